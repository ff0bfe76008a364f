"""Messaging Services over REST, as messaging.twilio.com has them: /v1/Services and the numbers of each."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from aiohttp import web

from local.twilio.model.account import Resource
from local.twilio.model.addresses import geography
from local.twilio.model.errors import ApiError, not_found
from local.twilio.model.options import MessagingService
from local.twilio.model.params import Form, meta_page
from local.twilio.rest.api import RestAnswer, RestHandler
from local.twilio.simulator import Simulator

_FIRST = 10**6
"""Sequence numbers fall along a list. Services are listed in the order of the options, so they count down."""
_RELATED = {
    "phone_numbers": "PhoneNumbers",
    "short_codes": "ShortCodes",
    "alpha_senders": "AlphaSenders",
    "messages": "Messages",
    "us_app_to_person": "Compliance/Usa2p",
    "us_app_to_person_usecases": "Compliance/Usa2p/Usecases",
    "channel_senders": "ChannelSenders",
    "destination_alpha_senders": "DestinationAlphaSenders",
}
_UPDATED = {
    "FriendlyName", "InboundRequestUrl", "InboundMethod", "FallbackUrl", "FallbackMethod", "StatusCallback",
    "UseInboundWebhookOnNumber",
}  # fmt: skip
"""The parameters of an update that the emulator acts on. It refuses all others rather than ignore them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceResource:
    """One Service resource."""

    service: MessagingService
    account_sid: str
    url: str
    sequence: int
    made: datetime
    changed: datetime

    def body(self) -> dict[str, Any]:
        one = self.service
        return {
            "sid": one.sid,
            "account_sid": self.account_sid,
            "friendly_name": one.friendly_name,
            "date_created": iso8601(self.made),
            "date_updated": iso8601(self.changed),
            "inbound_request_url": one.inbound_request_url or None,
            "inbound_method": one.inbound_method,
            "fallback_url": one.fallback_url or None,
            "fallback_method": one.fallback_method,
            "status_callback": one.status_callback or None,
            "use_inbound_webhook_on_number": one.use_inbound_webhook_on_number,
            "sticky_sender": True,
            "mms_converter": True,
            "smart_encoding": False,
            "scan_message_content": "inherit",
            "fallback_to_long_code": False,
            "area_code_geomatch": False,
            "synchronous_validation": False,
            "validity_period": 36000,
            "usecase": "undeclared",
            "us_app_to_person_registered": False,
            "sending_windows": [],
            "url": self.url,
            "links": {name: f"{self.url}/{path}" for name, path in _RELATED.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderResource:
    """One number in a service's sender pool."""

    number: Resource
    service_sid: str
    url: str

    @property
    def sequence(self) -> int:
        return self.number.sequence

    def body(self) -> dict[str, Any]:
        names = {"mms": "MMS", "sms": "SMS", "voice": "Voice"}
        return {
            "sid": self.number.sid,
            "account_sid": self.number.account_sid,
            "service_sid": self.service_sid,
            "date_created": iso8601(self.number.date_created),
            "date_updated": iso8601(self.number.date_updated),
            "phone_number": self.number.phone_number,
            "country_code": dict(geography("", self.number.phone_number))["Country"] or None,
            "capabilities": [name for key, name in names.items() if key in self.number.capabilities],
            "url": f"{self.url}/{self.number.sid}",
        }


def iso8601(moment: datetime) -> str:
    """`2019-05-24T17:44:46Z`, as Twilio's newer APIs write dates."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def routes(api: Callable[[RestHandler], Callable[[web.Request], Awaitable[web.StreamResponse]]]) -> list[Any]:
    """The paths of this API. api: makes an aiohttp handler of a RestHandler."""
    return [
        web.get("/v1/Services", api(_list)),
        web.get("/v1/Services/{sid}", api(_fetch)),
        web.post("/v1/Services/{sid}", api(_update)),
        web.get("/v1/Services/{sid}/PhoneNumbers", api(_numbers)),
        web.route("*", "/v1/Services{rest:.*}", api(_unknown)),
    ]


def _listed(simulator: Simulator) -> dict[str, ServiceResource]:
    return {
        sid: ServiceResource(
            service=service,
            account_sid=simulator.account.sid,
            url=f"{simulator.base_url}/v1/Services/{sid}",
            sequence=_FIRST - place,
            made=simulator.account.opened,
            changed=simulator.account.services_changed[sid],
        )
        for place, (sid, service) in enumerate(simulator.account.services.items())
    }


def _one(simulator: Simulator, request: web.Request) -> ServiceResource:
    found = _listed(simulator).get(request.match_info["sid"])
    if found is None:
        raise not_found(request.path)
    return found


async def _list(simulator: Simulator, request: web.Request, query: Form) -> RestAnswer:
    return 200, meta_page(simulator.base_url + request.path, "services", _listed(simulator).values(), query)


async def _fetch(simulator: Simulator, request: web.Request, _: Form) -> RestAnswer:
    return 200, _one(simulator, request).body()


async def _update(simulator: Simulator, request: web.Request, form: Form) -> RestAnswer:
    """Change a service. An empty URL clears it; if one value is refused, nothing changes."""
    service = _one(simulator, request).service
    if unknown := form.values.keys() - _UPDATED:
        raise ApiError(
            20001, f"the emulator does not keep {', '.join(sorted(unknown))} of a Messaging Service"
        )
    changed: dict[str, Any] = {}
    if form.given("FriendlyName"):
        changed["friendly_name"] = form.get("FriendlyName")
    for name, key in (
        ("InboundRequestUrl", "inbound_request_url"),
        ("FallbackUrl", "fallback_url"),
        ("StatusCallback", "status_callback"),
    ):
        if form.given(name):
            changed[key] = form.url(name, 21402) or ""
    for name, key in (("InboundMethod", "inbound_method"), ("FallbackMethod", "fallback_method")):
        if form.given(name):
            changed[key] = form.method(name, 21403)
    if form.given("UseInboundWebhookOnNumber"):
        changed["use_inbound_webhook_on_number"] = form.flag("UseInboundWebhookOnNumber")
    simulator.account.configure_service(replace(service, **changed))
    return 200, _one(simulator, request).body()


async def _numbers(simulator: Simulator, request: web.Request, query: Form) -> RestAnswer:
    found = _one(simulator, request)
    pool = set(simulator.account.senders(found.service))
    url = f"{found.url}/PhoneNumbers"
    senders = [
        SenderResource(number=each, service_sid=found.service.sid, url=url)
        for each in reversed(simulator.account.numbers.values())
        if each.phone_number in pool
    ]
    return 200, meta_page(url, "phone_numbers", senders, query)


async def _unknown(_: Simulator, request: web.Request, __: Form) -> RestAnswer:
    raise not_found(request.path)
