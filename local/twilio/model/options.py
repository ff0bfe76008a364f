"""The settings of the emulator: one account, its numbers and senders, and its pace."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "twilio_test_auth_token"  # noqa: S105  the well-known token of the laptop edition, no secret
NUMBER = "+12025550100"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A phone number that the account owns, and the URLs of its webhooks. Methods are GET or POST."""

    phone_number: str = NUMBER
    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    sms_url: str = ""
    sms_method: str = "POST"
    sms_fallback_url: str = ""
    sms_fallback_method: str = "POST"
    status_callback: str = ""
    status_callback_method: str = "POST"
    capabilities: frozenset[str] = frozenset({"voice", "sms", "mms"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagingService:
    """A Messaging Service. senders: its numbers; if empty, every number of the account that can send SMS.

    use_inbound_webhook_on_number: texts go to the webhook of the number, else to inbound_request_url. If that
    is empty, they are dropped.
    """

    sid: str
    friendly_name: str = "Switchboard"
    senders: tuple[str, ...] = ()
    status_callback: str = ""
    inbound_request_url: str = ""
    inbound_method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"
    use_inbound_webhook_on_number: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things take, in seconds.

    step: from one status of a message or a ringing call to the next. talk: from the moment when a call waits
    for a robot until it hangs up.
    """

    step: float = 0.2
    talk: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The settings of one emulator.

    allowed_hosts: host names other than loopback that webhooks may go to. webhook_timeout: seconds, at Twilio
    15. capacity: how many messages, and how many calls, are kept; after that the oldest are forgotten.
    deliveries_kept, rest_requests_kept: how many are kept of each. automatic_replies: answer STOP, START and
    HELP as Twilio does. seed: of the faults that are drawn.
    """

    account_sid: str = ACCOUNT_SID
    auth_token: str = field(default=AUTH_TOKEN, repr=False)
    api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    restricted_keys: frozenset[str] = frozenset()
    numbers: tuple[Number, ...] = (Number(),)
    messaging_services: tuple[MessagingService, ...] = ()
    application_sids: tuple[str, ...] = ()
    port: int = 0
    allowed_hosts: frozenset[str] = frozenset()
    pace: Pace = Pace()
    webhook_timeout: float = 15.0
    capacity: int = 100_000
    deliveries_kept: int = 5_000
    rest_requests_kept: int = 5_000
    automatic_replies: bool = True
    seed: int = 1


LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def is_allowed(url: str, options: Options) -> bool:
    """Whether a webhook may go to this URL: http or https, on this machine or on an allowed host."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and host is not None and host in LOOPBACK | options.allowed_hosts
