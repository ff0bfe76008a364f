"""Which deployment a command is for, and how to talk to it: its API with a function key, its Twilio account.

The laptop edition writes into .local/running.env what is needed; azd keeps a deployment's values in .azure
(ops/azd.py). The process environment comes before azd's; it can also stand alone.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import requests
import typer

from local.launcher.running_env import KEY, NotRunning, Running
from ops import azd, azure_sign_in
from ops.azure_sign_in import TIMEOUT, function_key
from ops.errors import OpsError
from ops.secret_settings import AzdSecrets
from ops.signature import masked
from shared.config import Settings, is_loopback, url_parts

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

ROOT = Path(__file__).parent.parent
KNOWN = (*Settings.names(), *azure_sign_in.APP, azure_sign_in.VAULT, "AZURE_STORAGE_ACCOUNT_NAME")

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


type Secrets = Callable[[str], str | None]
"""A secret app setting by its name. None where it has no value. Raises OpsError where nobody can say."""


def no_secrets(_: str) -> str | None:
    """For a deployment of which nothing more can be found out."""
    return None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One Switchboard. settings: what is known of it here. source: where that is from.

    folder: where commands keep what they remember. secrets: finds a secret that is not in `settings`.
    """

    url: str
    source: str
    settings: Mapping[str, str] = field(repr=False)
    key: str | None = field(default=None, repr=False)
    folder: Path = ROOT / ".switchboard"
    secrets: Secrets = field(default=no_secrets, repr=False)

    @property
    def is_local(self) -> bool:
        return is_loopback(self.url)

    def setting(self, *names: str) -> list[str]:
        """The values of these settings. Raises OpsError naming those that are not known here."""
        found = {name: self.settings.get(name) or self.secrets(name) for name in names}
        missing = [name for name in names if not found[name]]
        if missing:
            raise OpsError(
                f"{' and '.join(missing)} must be known here: from the environment, or by `azd env set`"
            )
        return [value for value in found.values() if value]


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
    laptop, deployed = _laptop(data), azd.environment(folder, environ)
    own = {name: environ[name] for name in KNOWN if environ.get(name)}
    azure_url = deployed.values.get("PUBLIC_BASE_URL") if deployed else None
    url = url or azure_url or (laptop.url if laptop else None)
    if not url:
        raise OpsError(
            "which Switchboard? Run the laptop edition (`make start`), deploy one (`azd up`), or give --url"
        )
    url = _origin(url)
    if laptop and url in (laptop.url, laptop.settings.get("PUBLIC_BASE_URL"), _localhost(laptop.url)):
        return Deployment(url, "the laptop edition", laptop.settings, key or laptop.settings.get(KEY), data)
    if deployed and url == azure_url:
        settings = {**deployed.values, **own}
        source = f"azd's environment {deployed.name}"
        return Deployment(url, source, settings, key, folder / ".switchboard", AzdSecrets(deployed, settings))
    return Deployment(url, "the environment", own, key, folder / ".switchboard")


def _laptop(data: Path) -> Running | None:
    try:
        return Running.read(data)
    except NotRunning:
        return None


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
            key = function_key(self._deployment.settings, self._credential)
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
