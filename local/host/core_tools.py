"""The function keys of Core Tools: under `func start --enableAuth` they lie in the storage account.

Sources, in azure-functions-host: DefaultSecretManagerProvider and BlobStorageSecretsRepository (the container
and its blobs), HostSecrets and Key (their JSON), ScriptHostIdProvider (the host's id), SecretManager (which
makes the keys at the first request that carries one).
"""

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus

import aiohttp

from local.host.access import Keys
from local.host.errors import HostError
from shared.config import AZURITE

CONTAINER = "azure-webjobs-secrets"
HOST_ID = "switchboard-laptop"
ENVIRON: Mapping[str, str] = {"AzureFunctionsWebHost__hostid": HOST_ID}
"""What `func start` has to be given. Else its id is made of the machine's name and a hash of the folder."""

_PATIENCE = 30.0


class NoKeys(HostError):
    """The storage account has no function keys, or none that can be read."""


async def first_keys(url: str, connection: str) -> Keys:
    """The keys of a `func start` that runs with ENVIRON at this URL. Raises NoKeys.

    A request with a key that opens nothing makes them.
    """
    try:
        async with asyncio.timeout(_PATIENCE):
            async with aiohttp.ClientSession() as session:
                headers = {"x-functions-key": "none"}
                async with session.get(f"{url}/admin/host/status", headers=headers) as response:
                    if response.status != HTTPStatus.UNAUTHORIZED:
                        raise NoKeys(f"{url} does not enforce function keys: it answers {response.status}")
            while True:
                if keys := (await stored(connection)).get(HOST_ID):
                    return keys
                await asyncio.sleep(0.2)
    except (TimeoutError, aiohttp.ClientError) as exc:
        raise NoKeys(f"Core Tools made no function keys within {_PATIENCE:g} s") from exc


async def stored(connection: str) -> dict[str, Keys]:
    """The keys in a storage account by the id of their host, the newest first. Raises NoKeys."""
    from azure.core.exceptions import AzureError, ResourceNotFoundError
    from azure.storage.blob.aio import BlobServiceClient

    text = AZURITE if connection.strip() == "UseDevelopmentStorage=true" else connection
    try:
        service = BlobServiceClient.from_connection_string(text, retry_total=1, connection_timeout=5)
    except ValueError as exc:
        raise NoKeys(f"this is no storage connection string: {exc}") from exc
    async with service, service.get_container_client(CONTAINER) as container:
        try:
            blobs = [blob async for blob in container.list_blobs() if blob.name.endswith("/host.json")]
            blobs.sort(key=lambda blob: blob.last_modified, reverse=True)
            contents = [await (await container.download_blob(blob.name)).readall() for blob in blobs]
        except ResourceNotFoundError:
            return {}
        except AzureError as exc:
            reason = str(exc).partition("\n")[0]
            raise NoKeys(f"the container {CONTAINER} cannot be read: {reason}") from exc
    return {
        blob.name.removesuffix("/host.json"): _keys(content)
        for blob, content in zip(blobs, contents, strict=True)
    }


def _keys(content: bytes) -> Keys:
    try:
        secrets = json.loads(content)
        master, functions = secrets["masterKey"], secrets["functionKeys"]
        if master["encrypted"]:
            raise NoKeys("the keys are encrypted: they were made in Azure")
        by_name = {each["name"]: each["value"] for each in functions}
        return Keys(master["value"], by_name.get("default") or next(iter(by_name.values())))
    except (ValueError, KeyError, TypeError, StopIteration) as exc:
        raise NoKeys(f"host.json in {CONTAINER} is not what azure-functions-host writes") from exc
