"""The account: its credentials, phone numbers, TwiML applications and Messaging Services."""

import base64
import binascii
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from local.twilio.model.addresses import MAGIC_PURCHASE, channel, e164, formatted_name
from local.twilio.model.errors import ApiError
from local.twilio.model.options import MessagingService, Number, Options
from local.twilio.model.params import Form
from local.twilio.model.resources import API_VERSION, new_sid, rfc2822
from local.twilio.model.store import Clock

# What can be configured, by its JSON name. URLs and methods are checked.
_SHARED = (
    "voice_url", "voice_method", "voice_fallback_url", "voice_fallback_method", "sms_url", "sms_method",
    "sms_fallback_url", "sms_fallback_method", "status_callback", "status_callback_method", "friendly_name",
    "api_version", "voice_caller_id_lookup",
)  # fmt: skip
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "number": (
        *_SHARED, "sms_application_sid", "voice_application_sid", "trunk_sid", "address_sid", "identity_sid",
        "bundle_sid", "emergency_address_sid", "emergency_status", "voice_receive_mode",
    ),
    "application": (
        *_SHARED, "sms_status_callback", "message_status_callback", "public_application_connect_enabled",
    ),
}  # fmt: skip
_FLAGS = frozenset({"voice_caller_id_lookup", "public_application_connect_enabled"})
_NULLS = frozenset({
    "sms_application_sid", "voice_application_sid", "trunk_sid", "address_sid", "identity_sid", "bundle_sid",
    "emergency_address_sid",
})  # fmt: skip


def _parameter(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


class InboundError(ValueError):
    """An inbound text or call that is not possible. The message names the field and what would be right."""


def party(name: str, value: str) -> str:
    """A person's address in E.164, or a channel address. Raises InboundError."""
    kind, address = channel(value)
    number = e164(address)
    if number is None:
        raise InboundError(f"{name}: must be a phone number in E.164, such as +12025550101")
    return f"{kind}:{number}" if kind else number


@dataclass(slots=True, kw_only=True)
class Resource:
    """An IncomingPhoneNumber or an Application, and its settings."""

    kind: Literal["number", "application"]
    sid: str
    sequence: int
    account_sid: str
    date_created: datetime
    date_updated: datetime
    phone_number: str = ""
    capabilities: frozenset[str] = frozenset()
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _FIELDS[self.kind]:
            self.settings.setdefault(name, _default(name))

    def text(self, name: str) -> str:
        return str(self.settings.get(name) or "")

    def update(self, form: Form) -> None:
        """Set what is given. An empty value clears; if one value is refused, nothing changes."""
        changed: dict[str, Any] = {}
        for name in _FIELDS[self.kind]:
            parameter = _parameter(name)
            if not form.given(parameter):
                continue
            if name in _FLAGS:
                changed[name] = form.flag(parameter)
            elif name.endswith("_method"):
                changed[name] = form.method(parameter, 21403)
            elif name.endswith(("_url", "_callback")):
                changed[name] = form.url(parameter, 21402) or ""
            else:
                changed[name] = form.get(parameter) or _default(name)
        self.settings.update(changed)

    @property
    def uri(self) -> str:
        name = "IncomingPhoneNumbers" if self.kind == "number" else "Applications"
        return f"/{API_VERSION}/Accounts/{self.account_sid}/{name}/{self.sid}.json"

    def body(self) -> dict[str, Any]:
        shared = {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "date_created": rfc2822(self.date_created),
            "date_updated": rfc2822(self.date_updated),
            "uri": self.uri,
            **self.settings,
        }
        if self.kind == "application":
            return shared
        return shared | {
            "phone_number": self.phone_number,
            "capabilities": {
                "voice": "voice" in self.capabilities,
                "sms": "sms" in self.capabilities,
                "mms": "mms" in self.capabilities,
                "fax": False,
            },
            "address_requirements": "none",
            "beta": False,
            "origin": "twilio",
            "status": "in-use",
            "emergency_address_status": "unregistered",
            "subresource_uris": {"assigned_add_ons": f"{self.uri.removesuffix('.json')}/AssignedAddOns.json"},
        }


def _default(name: str) -> Any:
    if name in _FLAGS:
        return False
    if name in _NULLS:
        return None
    if name.endswith("_method"):
        return "POST"
    return {
        "api_version": API_VERSION,
        "emergency_status": "Inactive",
        "voice_receive_mode": "voice",
    }.get(name, "")


class Account:
    """One account. Its numbers and applications come from the options, and REST can change them."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self.options = options
        self.sid = options.account_sid
        self._clock = clock
        self._sequence = 0
        self._secrets = {options.account_sid: options.auth_token, **options.api_keys}
        self._known: set[str] = set()
        self.numbers: dict[str, Resource] = {}
        self.applications: dict[str, Resource] = {}
        self.services: dict[str, MessagingService] = {each.sid: each for each in options.messaging_services}
        self.services_changed = dict.fromkeys(self.services, clock())
        self.opened = clock()
        for number in options.numbers:
            self._seed(number)
        for sid in options.application_sids:
            self.applications[sid] = self._new("application", sid)

    def _new(self, kind: Literal["number", "application"], sid: str) -> Resource:
        self._sequence += 1
        now = self._clock()
        return Resource(
            kind=kind,
            sid=sid,
            sequence=self._sequence,
            account_sid=self.sid,
            date_created=now,
            date_updated=now,
        )

    def _seed(self, number: Number) -> None:
        resource = self._new("number", new_sid("PN"))
        resource.phone_number = number.phone_number
        resource.capabilities = number.capabilities
        resource.settings["friendly_name"] = formatted_name(number.phone_number)
        for name in _SHARED:
            if hasattr(number, name):
                resource.settings[name] = getattr(number, name)
        self.numbers[resource.sid] = resource

    def authenticated(self, header: str) -> bool:
        """Whether this Authorization header has the account's token or one of its API keys."""
        if header in self._known:
            return True
        scheme, _, credentials = header.partition(" ")
        try:
            user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        secret = self._secrets.get(user)
        if scheme.lower() != "basic" or secret is None:
            return False
        if not hmac.compare_digest(secret.encode(), password.encode()):
            return False
        self._known.add(header)
        return True

    def number(self, address: str) -> Resource | None:
        """The account's number with this address, in E.164 or as a channel address."""
        plain = channel(address)[1]
        return next((each for each in self.numbers.values() if each.phone_number == plain), None)

    def our_number(self, value: str) -> tuple[str, Resource]:
        """The account's number that is texted or called, and its address. Raises InboundError."""
        to = party("to", value)
        number = self.number(to)
        if number is None:
            owned = ", ".join(each.phone_number for each in self.numbers.values())
            raise InboundError(f"to: must be a number of the account: {owned}")
        return to, number

    def senders(self, service: MessagingService) -> list[str]:
        """The numbers that a Messaging Service sends from, in order."""
        owned = [each.phone_number for each in self.numbers.values() if "sms" in each.capabilities]
        return [each for each in service.senders if each in owned] if service.senders else owned

    def service_of(self, number: str) -> MessagingService | None:
        return next((each for each in self.services.values() if number in self.senders(each)), None)

    def configure_service(self, service: MessagingService) -> None:
        """Replace the service that has the same SID."""
        self.services[service.sid] = service
        self.services_changed[service.sid] = self._clock()

    def listed(self, kind: Literal["number", "application"], query: Form) -> Iterator[Resource]:
        resources = self.numbers if kind == "number" else self.applications
        for each in reversed(list(resources.values())):
            if query.get("FriendlyName") not in {"", each.text("friendly_name")}:
                continue
            if kind == "number" and query.get("PhoneNumber").strip("*") not in each.phone_number:
                continue
            yield each

    def create_application(self, form: Form) -> Resource:
        resource = self._new("application", new_sid("AP"))
        resource.update(form)
        self.applications[resource.sid] = resource
        return resource

    def buy_number(self, form: Form) -> Resource:
        """Buy PhoneNumber, or any number in AreaCode. Twilio's magic numbers and area codes are refused."""
        wanted = form.get("PhoneNumber")
        if not wanted and form.get("AreaCode"):
            area = form.get("AreaCode")
            if area == "533" or not (area.isdecimal() and len(area) == 3):
                raise ApiError(21452, f"No phone numbers found in area code {area}")
            free = (f"+1{area}5550{last}" for last in range(100, 200))  # numbers reserved for fiction
            wanted = next((each for each in free if self.number(each) is None), "")
        number = e164(wanted) if wanted else None
        if wanted in MAGIC_PURCHASE:
            raise ApiError(MAGIC_PURCHASE[wanted])
        if number is None:
            raise ApiError(21421)
        if self.number(number) is not None:
            raise ApiError(21422)
        resource = self._new("number", new_sid("PN"))
        resource.phone_number = number
        resource.capabilities = frozenset({"voice", "sms", "mms"})
        resource.settings["friendly_name"] = formatted_name(number)
        resource.update(form)
        self.numbers[resource.sid] = resource
        return resource

    def update(self, resource: Resource, form: Form) -> Resource:
        for name in ("VoiceApplicationSid", "SmsApplicationSid"):
            if form.get(name) and form.get(name) not in self.applications:
                raise ApiError(21218, f"{name} is not an application of this account")
        resource.update(form)
        resource.date_updated = self._clock()
        return resource
