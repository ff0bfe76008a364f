"""Decides what `python -m local` runs, before anything is started.

Twilio is our emulator by default. It is the real Twilio if .env or the environment names an account other
than the well-known one, and no TWILIO_BASE_URL. Storage is always Azurite.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from dotenv import dotenv_values

from local.host.access import Keys, host_name, must_enforce
from local.launcher import azurite
from local.launcher.azurite import StoragePorts
from local.launcher.ports import is_taken
from local.twilio.model.options import ACCOUNT_SID, AUTH_TOKEN, NUMBER
from shared.config import Settings, is_loopback
from shared.errors import SettingsError

DEVELOPMENT_STORAGE = "UseDevelopmentStorage=true"
SCHEDULE = "*/15 * * * * *"


class CannotStart(Exception):
    """The laptop edition cannot start. The message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The options of the command line."""

    app_dir: Path
    data: Path
    port: int = 7071
    storage_port: int = 10000
    twilio_port: int = 4000
    phone_port: int = 7070
    auth: bool = False
    func: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """What is going to run.

    settings: every app setting that is known. given: the settings for the host's environment; the host reads
    the others from .env itself, so that it notices a change there. keys: None if function keys are off.
    storage_key: Azurite's well-known key if function keys are off, else a secret one.
    """

    choices: Choices
    settings: Mapping[str, str] = field(repr=False)
    given: Mapping[str, str] = field(repr=False)
    is_real: bool
    enforced_because: str | None
    keys: Keys | None
    storage_key: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.choices.port}"

    @property
    def twilio_url(self) -> str:
        return f"http://127.0.0.1:{self.choices.twilio_port}"

    @property
    def phone_url(self) -> str:
        return f"http://127.0.0.1:{self.choices.phone_port}"

    @property
    def storage(self) -> StoragePorts:
        return StoragePorts.starting_at(self.choices.storage_port)

    @property
    def running_file(self) -> Path:
        return self.choices.data / "running.env"


def make_plan(choices: Choices, environ: Mapping[str, str] = os.environ) -> LaunchPlan:
    """Decide what to run. Raises CannotStart if settings are wrong or contradict each other."""
    own = {name: value for name in Settings.names() if (value := environ.get(name, "").strip())}
    known = {**_env_file(choices.app_dir, environ), **own}
    is_real = "TWILIO_BASE_URL" not in known and known.get("TWILIO_ACCOUNT_SID", ACCOUNT_SID) != ACCOUNT_SID
    given = dict(own)
    defaults = {"PUBLIC_BASE_URL": f"http://localhost:{choices.port}", "SMS_SCHEDULE": SCHEDULE}
    if is_real:
        _needs_public_url(known.get("PUBLIC_BASE_URL"))
    else:
        given["TWILIO_BASE_URL"] = f"http://127.0.0.1:{choices.twilio_port}"
        given["PHONE_URL"] = f"http://127.0.0.1:{choices.phone_port}"
        defaults |= {
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_FROM_NUMBER": NUMBER,
        }
    given |= {name: value for name, value in defaults.items() if name not in known}
    because = must_enforce({**known, **given})
    enforced = choices.auth or because is not None
    storage_key = azurite.own_key(choices.data) if enforced else azurite.KEY
    given |= _storage(choices, known, storage_key)
    settings = {**known, **given}
    try:
        Settings.from_env(settings)
    except SettingsError as exc:
        raise CannotStart(f"{exc}. Put them right in {choices.app_dir / '.env'} or the environment.") from exc
    return LaunchPlan(
        choices=choices,
        settings={name: value for name, value in settings.items() if value},
        given=given,
        is_real=is_real,
        enforced_because=because,
        keys=Keys.kept_in(choices.data / "host") if enforced else None,
        storage_key=storage_key,
    )


def check_ports(plan: LaunchPlan) -> None:
    """Raises CannotStart if a port is taken. The message names the port and the option for another one."""
    choices = plan.choices
    asked = {choices.port: "--port"}
    storage = dict.fromkeys(plan.storage.all(), "--storage-port")
    twilio = {} if plan.is_real else {choices.twilio_port: "--twilio-port"}
    phone = {} if plan.is_real else {choices.phone_port: "--phone-port"}
    for wanted in (storage, twilio, phone):
        for port, option in wanted.items():
            if port in asked:
                raise CannotStart(f"port {port} is asked for twice, by {asked[port]} and {option}")
        asked |= wanted
    for port, option in asked.items():
        if is_taken(port):
            raise CannotStart(f"port {port} is already taken; choose another with {option}")


def _env_file(app_dir: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The app settings in .env; none if python-dotenv is switched off, as in tests and in the demo."""
    if environ.get("PYTHON_DOTENV_DISABLED", "").lower() in {"1", "true", "t", "yes", "y"}:
        return {}
    values = dotenv_values(app_dir / ".env")
    return {name: value.strip() for name in Settings.names() if (value := values.get(name) or "").strip()}


def _storage(choices: Choices, known: Mapping[str, str], key: str) -> dict[str, str]:
    named = known.get("AzureWebJobsStorage", DEVELOPMENT_STORAGE)
    if named != DEVELOPMENT_STORAGE and not _is_azurite(named):
        raise CannotStart(
            "AzureWebJobsStorage leads to storage elsewhere; the laptop edition keeps everything on this "
            f"machine: leave it out, or set it to {DEVELOPMENT_STORAGE}"
        )
    ports = StoragePorts.starting_at(choices.storage_port)
    # The empty account name hides one in .env: only the connection string counts here.
    return {"AzureWebJobsStorage": ports.connection_string(key=key), "AzureWebJobsStorage__accountName": ""}


def _is_azurite(connection: str) -> bool:
    parts = dict(part.partition("=")[::2] for part in connection.split(";") if part)
    endpoints = [value for name, value in parts.items() if name.endswith("Endpoint")]
    return bool(endpoints) and all(is_loopback(each) for each in endpoints)


def _needs_public_url(origin: str | None) -> None:
    name = host_name(origin or "")
    try:
        is_public = ip_address(name).is_global
    except ValueError:
        is_public = "." in name and not name.endswith((".local", ".localhost", ".internal", ".test"))
    if not (origin or "").lower().startswith("https://") or not is_public:
        is_now = f"it is {origin}" if origin else "it is missing"
        raise CannotStart(
            "TWILIO_ACCOUNT_SID is a real account, so PUBLIC_BASE_URL must be a public https origin that "
            f"Twilio can reach, such as a tunnel's (https://example.ngrok.app), and {is_now}. Twilio refuses "
            "other status callbacks with error 21609. To use our emulator instead, set TWILIO_BASE_URL to "
            "http://127.0.0.1:4000, or leave TWILIO_ACCOUNT_SID out."
        )
