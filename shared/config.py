"""The app settings. Nothing else in the app reads the environment.

Each field of Settings names its app setting, how its text is parsed, and its default where it has one.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from shared.errors import InvalidRequest, SettingsError

if TYPE_CHECKING:
    from dataclasses import Field

    from shared.times.business_hours import Opening

LONGEST_CALL = 86_400
"""Seconds: the largest TimeLimit or timeLimit that Twilio takes."""
CALL_QUEUE = "support"
"""The name of the queue at Twilio in which callers wait for one of us."""
MEETING = 14_400
"""Seconds that a guest may stay in a conference, at least. It is the default timeLimit of Twilio's <Dial>."""
AZURITE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    # Azurite's published development key: the same for everyone, and no secret.
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)
UNRESOLVED = (
    "is a Key Vault reference that Azure has not resolved, so its value is not known: see that the secret is "
    "there and that the app's identity has the role Key Vault Secrets User on the vault, then `azd provision`"
)
"""App Service leaves the reference itself where it cannot resolve it ("Use Key Vault references")."""


type Parse = Callable[[str], Any]
"""Parses the text of one setting. Raises ValueError that says what would be right."""


def _matching(pattern: str, right: str) -> Parse:
    def parse(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {right}")
        return value

    return parse


def _sid(prefix: str) -> Parse:
    return _matching(f"{prefix}[0-9a-fA-F]{{32}}", f"{prefix} and 32 hexadecimal digits")


_identity = _matching("[A-Za-z0-9_]{1,121}", "1 to 121 letters, digits and underscores")


def _number(value: str) -> str:
    # Compiling a regular expression for this would slow every cold start.
    if not (value.startswith("+") and value[1:].isdecimal() and value.isascii() and 8 <= len(value) <= 16):
        raise ValueError("must be a phone number in E.164, such as +12025550100")
    return value


def _one_of(*choices: str) -> Parse:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be {' or '.join(choices)}")
        return value

    return parse


def _seconds(least: int, most: int) -> Parse:
    def parse(value: str) -> int:
        if not re.fullmatch("[0-9]{1,5}", value) or not least <= int(value) <= most:
            raise ValueError(f"must be whole seconds from {least} to {most:,}")
        return int(value)

    return parse


def _positive(value: str) -> int:
    if not value.isdecimal() or not int(value):
        raise ValueError("must be a whole number above 0")
    return int(value)


def _rate(value: str) -> float:
    try:
        rate = float(value)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise ValueError("must be a number above 0")
    return rate


def _is_true(value: str) -> bool:
    """Whether the platform has written True. Any other text means no."""
    return value.lower() == "true"


def _yes_or_no(value: str) -> bool:
    if value.lower() not in {"true", "false"}:
        raise ValueError("must be true or false")
    return _is_true(value)


def _names(value: str) -> tuple[str, ...]:
    """The names between commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))


def _countries(value: str) -> frozenset[str]:
    names = frozenset(_names(value.upper()))
    if any(len(name) != 2 or not name.isalpha() for name in names):
        raise ValueError("must be ISO 3166 country codes with commas between, such as US,CA")
    return names


def _hosts(value: str) -> frozenset[str]:
    names = frozenset(_names(value.lower()))
    if any("/" in name or ":" in name for name in names):
        raise ValueError("must be host names with commas between, such as example.com,cdn.example.com")
    return names


def _callers(value: str) -> frozenset[str]:
    return frozenset(name if name == "anonymous" else _number(name) for name in _names(value))


def _targets(value: str) -> tuple[str, ...]:
    targets = _names(value)
    for target in targets:
        if not target.startswith(("sip:", "client:")):
            _number(target)
    if len(targets) > 10:
        raise ValueError("must be at most ten, which is how many <Dial> rings at once")
    return targets


def _rooms(value: str) -> tuple[tuple[str, str], ...]:
    rooms = [
        (pin.strip(), room.strip()) for room, _, pin in (part.partition(":") for part in value.split(","))
    ]
    pins = {pin for pin, room in rooms if room and re.fullmatch("[0-9]{4,12}", pin)}
    if len(pins) < len(rooms):
        raise ValueError("must be rooms, each with its own PIN of 4 to 12 digits: standup:4321,board:8765")
    return tuple(rooms)


def _openings(value: str) -> "tuple[Opening, ...]":
    from shared.times import business_hours

    return business_hours.parse(value)


def _zone(value: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(value).key
    except (KeyError, ValueError, OSError) as exc:
        raise ValueError("must be an IANA time zone, such as America/New_York") from exc


def _quiet_hours(value: str) -> str:
    from shared.times.quiet_hours import check_quiet_hours

    try:
        return check_quiet_hours(value)
    except InvalidRequest as exc:
        raise ValueError(exc.message) from exc


def url_parts(url: str) -> SplitResult:
    """The parts of a URL. All parts are empty where it is malformed, such as http://[ or a port of 99999."""
    try:
        parts = urlsplit(url)
        return urlsplit("") if parts.port == 0 else parts
    except ValueError:
        return urlsplit("")


def is_loopback(url: str) -> bool:
    """Whether this URL, or origin, leads to this machine."""
    return url_parts(url).hostname in {"127.0.0.1", "localhost", "::1"}


def _web(value: str, right: str) -> SplitResult:
    url = url_parts(value)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ValueError(right)
    return url


def _media(value: str) -> str:
    _web(value, "must be the URL of an audio file, such as https://example.com/hold.mp3")
    return value


def _origin(value: str) -> str:
    right = "must be an origin, such as https://example.azurewebsites.net"
    url = _web(value.rstrip("/"), right)
    if url.path or url.query or url.fragment:
        raise ValueError(right)
    return value.rstrip("/")


def _loopback_origin(value: str) -> str:
    if not is_loopback(value):
        right = "must be a loopback origin, such as http://127.0.0.1:4000: it is for the emulator alone"
        raise ValueError(right)
    return _origin(value)


def _setting(
    name: str, parse: Parse = str, *, default: Any = MISSING, secret: bool = False, platform: bool = False
) -> Any:
    metadata = {"name": name, "parse": parse, "platform": platform}
    return field(default=default, repr=not secret, metadata=metadata)


class _Reading:
    """The values that were read, by field, and what is wrong, by app setting."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.missing: list[str] = []
        self.invalid: list[tuple[str, str]] = []
        self.unresolved: list[tuple[str, str]] = []

    def read(self, each: "Field[Any]", text: str) -> None:
        """Read one app setting."""
        name, is_required = each.metadata["name"], each.default is MISSING
        if not text:
            if is_required:
                self.missing.append(name)
        elif text.casefold().startswith("@microsoft.keyvault("):
            (self.invalid if is_required else self.unresolved).append((name, UNRESOLVED))
        else:
            try:
                self.values[each.name] = each.metadata["parse"](text)
            except ValueError as exc:
                self.invalid.append((name, str(exc)))

    def check_together(self) -> None:
        """Check the settings that depend on each other."""
        values = self.values
        if "storage" not in values and "storage_account" not in values:
            if ("AzureWebJobsStorage", UNRESOLVED) in self.unresolved:
                self.invalid.append(("AzureWebJobsStorage", UNRESOLVED))
            else:
                self.missing.append("AzureWebJobsStorage")
        if ("TWILIO_API_SECRET", UNRESOLVED) in self.unresolved:
            values.pop("api_key", None)  # it cannot be used without its secret: REST uses the auth token
        if ("api_key" in values) != ("api_secret" in values):
            self.missing.append("TWILIO_API_SECRET" if "api_key" in values else "TWILIO_API_KEY")
        music = urlsplit(values.get("hold_music", "")).hostname
        ours = urlsplit(values.get("public_base_url", "")).hostname
        if music and music != ours and music not in values.get("allowed_twiml_hosts", ()):
            self.invalid.append(("HOLD_MUSIC", "must be on a host that ALLOWED_TWIML_HOSTS names"))


# eq=False: nothing compares two Settings, and generating __eq__ would slow a cold start.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settings:
    """The app settings as they were read once, parsed. A field without a default must be set."""

    account_sid: str = _setting("TWILIO_ACCOUNT_SID", _sid("AC"))
    auth_token: str = _setting("TWILIO_AUTH_TOKEN", secret=True)
    auth_token_secondary: str | None = _setting("TWILIO_AUTH_TOKEN_SECONDARY", default=None, secret=True)
    api_key: str | None = _setting("TWILIO_API_KEY", _sid("SK"), default=None)
    api_secret: str | None = _setting("TWILIO_API_SECRET", default=None, secret=True)
    from_number: str = _setting("TWILIO_FROM_NUMBER", _number)
    messaging_service_sid: str | None = _setting("TWILIO_MESSAGING_SERVICE_SID", _sid("MG"), default=None)
    twiml_app_sid: str | None = _setting("TWILIO_TWIML_APP_SID", _sid("AP"), default=None)
    twilio_base_url: str | None = _setting("TWILIO_BASE_URL", _loopback_origin, default=None)
    public_base_url: str = _setting("PUBLIC_BASE_URL", _origin)
    client_identity: str = _setting("CLIENT_IDENTITY", _identity, default="agent")
    client_token_seconds: int = _setting("CLIENT_TOKEN_SECONDS", _seconds(60, 3600), default=3600)
    app_service_authentication: bool = _setting("APP_SERVICE_AUTHENTICATION", _yes_or_no, default=False)
    # Azure sets it; nobody can change it ("Environment variables and app settings in Azure App Service").
    sign_in_is_on: bool = _setting("WEBSITE_AUTH_ENABLED", _is_true, default=False, platform=True)
    phone_url: str | None = _setting("PHONE_URL", _loopback_origin, default=None)
    storage: str | None = _setting("AzureWebJobsStorage", default=None, secret=True)
    storage_account: str | None = _setting("AzureWebJobsStorage__accountName", default=None)
    storage_client_id: str | None = _setting("AzureWebJobsStorage__clientId", default=None)
    sms_schedule: str = _setting("SMS_SCHEDULE")
    allowed_countries: frozenset[str] = _setting("ALLOWED_COUNTRIES", _countries, default=frozenset())
    allowed_twiml_hosts: frozenset[str] = _setting("ALLOWED_TWIML_HOSTS", _hosts, default=frozenset())
    send_concurrency: int = _setting("SEND_CONCURRENCY", _positive, default=64)
    max_per_second: float | None = _setting("MAX_PER_SECOND", _rate, default=None)
    erasure_key: str | None = _setting("ERASURE_KEY", default=None, secret=True)
    quiet_hours: str = _setting("QUIET_HOURS", _quiet_hours, default="")
    daily_limit: int | None = _setting("DAILY_LIMIT", _positive, default=None)
    daily_call_limit: int | None = _setting("DAILY_CALL_LIMIT", _positive, default=None)
    reply_to_stop: bool = _setting("REPLY_TO_STOP", _yes_or_no, default=False)
    call_time_limit: int = _setting("CALL_TIME_LIMIT", _seconds(1, LONGEST_CALL), default=1800)
    # What call flows say about the company. An option of the menu whose setting is missing is left out.
    company_name: str | None = _setting("COMPANY_NAME", default=None)
    company_address: str | None = _setting("COMPANY_ADDRESS", default=None)
    owner_number: str | None = _setting("OWNER_NUMBER", _number, default=None)
    team_numbers: tuple[str, ...] = _setting("TEAM_NUMBERS", _targets, default=())
    team_ring: str = _setting("TEAM_RING", _one_of("in-turn", "all"), default="in-turn")
    ring_seconds: int = _setting("RING_SECONDS", _seconds(5, 600), default=20)
    business_hours: "tuple[Opening, ...]" = _setting("BUSINESS_HOURS", _openings, default=())  # noqa: RUF009
    time_zone: str = _setting("TIME_ZONE", _zone, default="UTC")
    language: str | None = _setting("VOICE_LANGUAGE", _one_of("en-US", "ko-KR"), default=None)
    blocked_numbers: frozenset[str] = _setting("BLOCKED_NUMBERS", _callers, default=frozenset())
    blocked_reason: str = _setting("BLOCKED_REASON", _one_of("rejected", "busy"), default="rejected")
    hold_music: str | None = _setting("HOLD_MUSIC", _media, default=None)
    conference_rooms: tuple[tuple[str, str], ...] = _setting(
        "CONFERENCE_ROOMS", _rooms, default=(), secret=True
    )
    # Not a setting: (name, what is wrong) of each optional one whose Key Vault reference was not resolved.
    unresolved: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read every setting from `environ`, or from the environment and the .env file.

        An empty setting counts as missing. So does an optional one whose Key Vault reference was not
        resolved, and `unusable` names it. Raises SettingsError that names all that is missing or wrong.
        python-dotenv does not read .env where PYTHON_DOTENV_DISABLED is set, as in the tests.
        """
        if environ is None:
            if os.path.isfile(".env"):  # not in Azure, where importing python-dotenv would slow a cold start
                from dotenv import load_dotenv

                load_dotenv(".env")
            environ = os.environ
        reading = _Reading()
        for each in _app_settings(cls):
            reading.read(each, environ.get(each.metadata["name"], "").strip())
        reading.check_together()
        if reading.missing or reading.invalid:
            raise SettingsError(tuple(reading.missing), tuple(reading.invalid))
        if reading.values.get("storage") == "UseDevelopmentStorage=true":
            reading.values["storage"] = AZURITE
        return cls(**reading.values, unresolved=tuple(reading.unresolved))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Every app setting that a person sets, in the README's table."""
        return tuple(each.metadata["name"] for each in _app_settings(cls) if not each.metadata["platform"])

    @classmethod
    def secret_names(cls) -> frozenset[str]:
        """Every app setting that is a secret: in Azure, the key vault has its value."""
        return frozenset(each.metadata["name"] for each in _app_settings(cls) if not each.repr)

    @property
    def conference_time_limit(self) -> int:
        """Seconds after which a guest who dialed into a conference is disconnected.

        It may be longer than CALL_TIME_LIMIT: guests of a meeting called us, and a meeting can take hours.
        """
        return max(MEETING, self.call_time_limit)

    @property
    def unusable(self) -> tuple[tuple[str, str], ...]:
        """(name, what would be right) of each setting that has no effect here. Everything else works.

        While App Service's sign-in is off, anybody can send the header that names who has signed in.
        """
        if not self.app_service_authentication or self.sign_in_is_on:
            return self.unresolved
        problem = (
            "is true, but App Service's sign-in is off here (WEBSITE_AUTH_ENABLED, which the platform sets, "
            "is not True): switch it on, or set this to false; until then no token is minted"
        )
        return (*self.unresolved, ("APP_SERVICE_AUTHENTICATION", problem))

    @property
    def auth_tokens(self) -> tuple[str, ...]:
        """The tokens that may have signed a webhook: two while a token is being rotated."""
        return tuple(token for token in (self.auth_token, self.auth_token_secondary) if token)


def _app_settings(cls: type[Settings]) -> "tuple[Field[Any], ...]":
    """The fields that an app setting fills."""
    return tuple(each for each in fields(cls) if each.metadata)
