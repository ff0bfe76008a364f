"""`python -m tests.host.core_tools`: a stand-in for `func start`, with the keys where Core Tools keep them.

Our host runs behind it. The keys are made at the first request that carries one. They lie in the storage
account under the host's id, and are not printed.
Source: SecretManager and BlobStorageSecretsRepository in azure-functions-host.
"""

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

from azure.storage.blob import BlobServiceClient

from local.host.access import Gate, Keys
from local.host.host import Host, HostOptions


class KeysInStorage(Keys):
    """Keys that exist from the first request on that carries one."""

    def level(self, key: str) -> str:
        if key:
            keep(self)
        return super().level(key)


def keep(keys: Keys) -> None:
    """Write the keys to the storage account, as Core Tools do."""
    document = {
        "masterKey": {"name": "master", "value": keys.master, "encrypted": False},
        "functionKeys": [{"name": "default", "value": keys.default, "encrypted": False}],
        "systemKeys": [],
        "hostName": "localhost",
        "source": "runtime",
    }
    host_id = os.environ.get("AzureFunctionsWebHost__hostid", "somemachine-12345")  # noqa: SIM112
    connection = os.environ["AzureWebJobsStorage"]  # noqa: SIM112
    with BlobServiceClient.from_connection_string(connection) as service:
        container = service.get_container_client("azure-webjobs-secrets")
        if not container.exists():
            container.create_container()
        container.upload_blob(f"{host_id}/host.json", json.dumps(document), overwrite=True)


class CoreTools(Host):
    """Our host, with function keys on if `--enableAuth` is given."""

    def _gate(self) -> Gate:
        keys = KeysInStorage(secrets.token_urlsafe(40), secrets.token_urlsafe(40))
        return replace(super()._gate(), keys=keys, enforced="--enableAuth" in sys.argv)


async def main(app_dir: Path, port: int) -> None:
    print(" ".join(["func", *sys.argv[2:], "in", str(app_dir)]), flush=True)
    listening = socket.create_server(("127.0.0.1", port))
    os.chdir(app_dir)
    host = CoreTools(HostOptions(app_dir=app_dir, data=Path(os.environ["TMPDIR"])))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await host.start(listening)
    await stop.wait()
    await host.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[sys.argv.index("--port") + 1])))
