"""What a person's own sign-in to Azure gives: the app's function key, and a secret of its vault.

Nothing of it is printed, logged or written to a file.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import requests

from ops.errors import OpsError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

TIMEOUT = (5, 30)
"""Seconds: to connect, and for an answer."""
ARM = "https://management.azure.com"
APP = ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_FUNCTION_APP_NAME")
"""What names the app; azd keeps all three."""
VAULT = "AZURE_KEY_VAULT_NAME"
VAULT_NAME = re.compile("[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]")
"""Azure's own rule for a vault's name. A sign-in goes to no host that another name could lead to."""


def signed_in() -> "TokenCredential":
    """Whoever is signed in to azd or az on this machine."""
    from azure.identity import AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential

    return ChainedTokenCredential(AzureDeveloperCliCredential(), AzureCliCredential())


def function_key(
    settings: Mapping[str, str], credential: "TokenCredential | None" = None, *, arm: str = ARM
) -> str:
    """The app's default function key. Raises OpsError."""
    from azure.core.exceptions import ClientAuthenticationError

    missing = [name for name in APP if not settings.get(name)]
    if missing:
        raise OpsError(
            "a function key is needed: give --key or SWITCHBOARD_KEY. To have it fetched with your Azure "
            f"sign-in, run this where azd deployed, or set {', '.join(missing)}"
        )
    subscription, group, app = (settings[name] for name in APP)
    try:
        token = (credential or signed_in()).get_token(f"{ARM}/.default").token
    except ClientAuthenticationError as exc:
        raise OpsError(
            "a function key is needed: sign in with `az login` or `azd auth login`, or give --key"
        ) from exc
    site = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{app}"
    try:
        response = requests.post(
            f"{arm}{site}/host/default/listkeys?api-version=2025-03-01",
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
        )
        response.raise_for_status()
        return str(response.json()["functionKeys"]["default"])
    except (requests.RequestException, ValueError, KeyError) as exc:
        raise OpsError(
            f"Azure does not give the keys of {app}: {exc}. You need the role Website Contributor, or --key"
        ) from exc


def vault_secret(
    settings: Mapping[str, str],
    setting: str,
    credential: "TokenCredential | None" = None,
    *,
    origin: str | None = None,
) -> str | None:
    """A secret app setting from the app's own vault; None where the vault has none of that name.

    origin: of the vault, in tests. Raises OpsError, which says why it cannot be read and what to do.
    Key Vault's REST API: Get Secret, api-version 7.4.
    """
    from azure.core.exceptions import ClientAuthenticationError

    vault = settings.get(VAULT, "")
    if not VAULT_NAME.fullmatch(vault):
        raise OpsError(f"which vault has it is not known here: {VAULT}, which `azd provision` leaves")
    try:
        token = (credential or signed_in()).get_token("https://vault.azure.net/.default").token
    except ClientAuthenticationError as exc:
        raise OpsError(f"to read the vault {vault}, sign in with `az login` or `azd auth login`") from exc
    name = setting.replace("_", "-")
    try:
        response = requests.get(
            f"{origin or f'https://{vault}.vault.azure.net'}/secrets/{name}?api-version=7.4",
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        if response.status_code == 404:
            return None
        if response.status_code in (401, 403):
            raise OpsError(
                f"the vault {vault} does not let you read {name} (HTTP {response.status_code}): you need "
                "the role Key Vault Secrets User, which `azd provision` gives to whoever runs it"
            )
        response.raise_for_status()
        return str(response.json()["value"])
    except (requests.RequestException, ValueError, KeyError, TypeError) as exc:
        # Neither the answer nor the request is repeated: either may hold a secret.
        raise OpsError(f"the vault {vault} does not give {name}: {type(exc).__name__}") from exc
