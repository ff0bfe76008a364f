"""Which deployment a command is for, and how to talk to it: its API with a function key, its Twilio account.

The laptop edition says of itself in .local/running.env what is needed; azd keeps a deployment's values in
.azure/ENVIRONMENT/.env. The process environment comes before azd's; it can also stand alone.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import requests
import typer
from dotenv import dotenv_values

from local.launcher.running_env import KEY, NotRunning, Running
from ops.signature import masked
from shared.config import Settings, is_loopback, url_parts

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

ROOT = Path(__file__).parent.parent
TIMEOUT = (5, 30)
"""Seconds: to connect, and for an answer; a cold start takes a few."""
ARM = "https://management.azure.com"
AZURE = ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_FUNCTION_APP_NAME")
KNOWN = (*Settings.names(), *AZURE, "AZURE_STORAGE_ACCOUNT_NAME")

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="SWITCHBOARD_URL",
        metavar="BASE",
        help="Its origin, such as https://example.azurewebsites.net. Else azd's environment, or the laptop.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(envvar="SWITCHBOARD_KEY", help="A function key. Else one is fetched with your az sign-in."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]


class OpsError(Exception):
    """A command cannot be done; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One Switchboard. settings: what is known of it here. source: where that is from.

    folder: where commands remember things of it.
    """

    url: str
    source: str
    settings: Mapping[str, str] = field(repr=False)
    key: str | None = field(default=None, repr=False)
    folder: Path = ROOT / ".switchboard"

    @property
    def is_local(self) -> bool:
        return is_loopback(self.url)

    def setting(self, *names: str) -> list[str]:
        """The values of these settings. Raises OpsError naming those that are not known here."""
        missing = [name for name in names if not self.settings.get(name)]
        if missing:
            raise OpsError(
                f"{' and '.join(missing)} must be known here: from the environment, or by `azd env set`"
            )
        return [self.settings[name] for name in names]


def find(
    url: str | None,
    key: str | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Deployment:
    """The deployment at this URL; without one, that of azd's environment, or the laptop edition if it runs.

    Raises OpsError where there is none, or the URL is no origin.
    """
    folder = folder or ROOT
    data = Path(environ.get("SWITCHBOARD_DATA") or folder / ".local")
    laptop, azd = _laptop(data), _azd(folder, environ)
    own = {name: environ[name] for name in KNOWN if environ.get(name)}
    url = url or (azd.settings.get("PUBLIC_BASE_URL") if azd else None) or (laptop.url if laptop else None)
    if not url:
        raise OpsError(
            "which Switchboard? Run the laptop edition (`make start`), deploy one (`azd up`), or give --url"
        )
    url = _origin(url)
    if laptop and url in (laptop.url, laptop.settings.get("PUBLIC_BASE_URL"), _localhost(laptop.url)):
        return Deployment(url, "the laptop edition", laptop.settings, key or laptop.settings.get(KEY), data)
    if azd and url == azd.settings.get("PUBLIC_BASE_URL"):
        return Deployment(url, azd.source, {**azd.settings, **own}, key, folder / ".switchboard")
    return Deployment(url, "the environment", own, key, folder / ".switchboard")


def _laptop(data: Path) -> Running | None:
    try:
        return Running.read(data)
    except NotRunning:
        return None


def _azd(folder: Path, environ: Mapping[str, str]) -> Deployment | None:
    name = environ.get("AZURE_ENV_NAME", "")
    try:
        config = json.loads((folder / ".azure" / "config.json").read_text(encoding="utf-8"))
        name = name or config["defaultEnvironment"]
    except (OSError, ValueError, KeyError, TypeError):
        if not name:
            return None
    path = folder / ".azure" / name / ".env"
    if not path.is_file():
        return None
    values = {key: value or "" for key, value in dotenv_values(path, interpolate=False).items()}
    return Deployment(values.get("PUBLIC_BASE_URL", ""), f"azd's environment {name}", values)


def _origin(url: str) -> str:
    parts, given = url_parts(url), masked(url)
    if parts.username is not None:
        raise OpsError(f"--url must be an origin, without a user or a password; it is {given}")
    origin = f"{parts.scheme}://{parts.netloc}"
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or url.rstrip("/").lower() != origin.lower()
    ):
        raise OpsError(f"--url must be an origin, such as https://example.azurewebsites.net; it is {given}")
    if parts.scheme == "http" and not is_loopback(url):
        raise OpsError(
            f"--url must be https, as Twilio's requests and your key would go over it; it is {given}"
        )
    return url.rstrip("/")


def _localhost(url: str) -> str:
    return url.replace("//localhost", "//127.0.0.1")


class Api:
    """A deployment's JSON API. Every method raises OpsError with what would mend it."""

    def __init__(self, deployment: Deployment, credential: "TokenCredential | None" = None) -> None:
        self._deployment = deployment
        self._credential = credential
        self._session = requests.Session()

    def get(self, path: str, **params: str | int) -> Any:
        """GET /api/PATH; its JSON."""
        return self._json(self.request("GET", path, params=params, headers=self._keyed))

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST /api/PATH; its JSON, or None."""
        return self._json(self.request("POST", path, json=body or {}, headers=self._keyed))

    def delete(self, path: str) -> Any:
        """DELETE /api/PATH; its JSON, or None."""
        return self._json(self.request("DELETE", path, headers=self._keyed))

    def send(self, path: str, content: bytes, kind: str, **params: str) -> Any:
        """POST a file to /api/PATH; `kind` is its content type."""
        headers = {**self._keyed, "Content-Type": kind}
        return self._json(self.request("POST", path, data=content, params=params, headers=headers))

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Any request to /api/PATH, without a key."""
        url = f"{self._deployment.url}/api/{path}"
        try:
            return self._session.request(method, url, timeout=TIMEOUT, allow_redirects=False, **options)
        except requests.exceptions.SSLError as exc:
            raise OpsError(f"the certificate of {self._deployment.url} is not good: {exc}") from exc
        except requests.ConnectionError as exc:
            raise OpsError(f"{self._deployment.url} cannot be reached. Is it running?") from exc
        except requests.RequestException as exc:
            raise OpsError(f"no answer from {self._deployment.url} within {TIMEOUT[1]} s") from exc

    @cached_property
    def _keyed(self) -> dict[str, str]:
        key = self._deployment.key
        if key is None and not self._deployment.is_local:
            key = function_key(self._deployment, self._credential)
        return {"x-functions-key": key} if key else {}

    def _json(self, response: requests.Response) -> Any:
        if response.status_code == 401:
            raise OpsError(
                f"{self._deployment.url} does not take this function key: give --key or SWITCHBOARD_KEY"
            )
        try:
            answer: Any = response.json() if response.content else None
            error = {} if response.ok else answer["error"]
        except (ValueError, TypeError, KeyError) as exc:
            raise OpsError(
                f"{response.request.path_url} answers {response.status_code}, and not as Switchboard does: "
                "is it one, and as new as these commands?"
            ) from exc
        if response.ok:
            return answer
        raise OpsError(error["message"])


def function_key(
    deployment: Deployment, credential: "TokenCredential | None" = None, *, arm: str = ARM
) -> str:
    """The app's default function key, by the caller's own sign-in to Azure."""
    from azure.core.exceptions import ClientAuthenticationError

    missing = [name for name in AZURE if not deployment.settings.get(name)]
    if missing:
        raise OpsError(
            "a function key is needed: give --key or SWITCHBOARD_KEY. To have it fetched with your Azure "
            f"sign-in, run this where azd deployed, or set {', '.join(missing)}"
        )
    subscription, group, app = (deployment.settings[name] for name in AZURE)
    try:
        token = (credential or signed_in()).get_token(f"{ARM}/.default").token
    except ClientAuthenticationError as exc:
        raise OpsError(
            "a function key is needed: sign in with `az login` or `azd auth login`, or give --key"
        ) from exc
    site = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{app}"
    try:
        response = requests.post(
            f"{arm}{site}/host/default/listkeys?api-version=2025-05-01",
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
        )
        response.raise_for_status()
        return str(response.json()["functionKeys"]["default"])
    except (requests.RequestException, ValueError, KeyError) as exc:
        raise OpsError(
            f"Azure does not give the keys of {app}: {exc}. You need the role Website Contributor, or --key"
        ) from exc


def signed_in() -> "TokenCredential":
    """Whoever is signed in to azd or az on this machine."""
    from azure.identity import AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential

    return ChainedTokenCredential(AzureDeveloperCliCredential(), AzureCliCredential())
