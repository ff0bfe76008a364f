"""Calls: what is accepted and refused, inbound ones, and what may be changed. live.py does the rest."""

import logging
from typing import TYPE_CHECKING

from local.twilio.carrier.inbound_sms import Inbound, our_number, party
from local.twilio.carrier.legs import Redirect
from local.twilio.model.account import Resource
from local.twilio.model.addresses import MAGIC_CALL_FROM, MAGIC_CALL_TO, MAGIC_SENDER, e164
from local.twilio.model.errors import ApiError
from local.twilio.model.faults import Planned
from local.twilio.model.params import Form
from local.twilio.model.resources import CALL_ENDED, Call, mask, new_sid

if TYPE_CHECKING:
    from local.twilio.simulator import Core

log = logging.getLogger("local.twilio")

_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
_PRICE_PER_MINUTE = 0.014
TIMEOUT_LIMIT = 600
DURATION_LIMIT = 86_400


class Calling:
    """Creates calls and changes them; `live` carries them through."""

    def __init__(self, core: "Core") -> None:
        self._core = core

    # What is accepted

    def create(self, form: Form, planned: Planned | None = None) -> Call:
        """A call from a POST to Calls; it does not ring until `start`. Raises ApiError."""
        to = self._recipient(form.get("To"))
        sender = self._sender(form.get("From"))
        application = self._application(form.get("ApplicationSid"))
        url = application.text("voice_url") if application else form.url("Url", 21205)
        twiml = None if url else form.get("Twiml") or None
        if not url and not twiml:
            raise ApiError(21205, "Url parameter is required.")
        call = self._new(to, sender, "outbound-api")
        call.url, call.twiml = url, twiml
        self._instructions(call, form, application)
        call.timeout = form.whole("Timeout", 21208, 60, 1, TIMEOUT_LIMIT)
        call.time_limit = form.whole("TimeLimit", 20001, 14_400, 1, DURATION_LIMIT)
        if form.get("MachineDetection") not in {"", "Enable", "DetectMessageEnd", "none"}:
            raise ApiError(21234, "MachineDetection must be Enable or DetectMessageEnd")
        form.url("AsyncAmdStatusCallback", 21609)
        form.url("RecordingStatusCallback", 21609)
        call.params = {name: values for name, values in form.values.items() if name not in {"To", "From"}}
        if planned is not None and planned.outcome:
            call.ends = (planned.outcome, planned.answered_by)
        self._keep(call)
        return call

    def _new(self, to: str, sender: str, direction: str) -> Call:
        now = self._core.clock()
        number = self._core.account.number(to if direction == "inbound" else sender)
        return Call(
            sid=new_sid("CA"),
            account_sid=self._core.account.sid,
            to=to,
            sender=sender,
            direction=direction,
            status="queued",
            date_created=now,
            date_updated=now,
            phone_number_sid=number.sid if number else None,
        )

    def _keep(self, call: Call) -> None:
        self._core.calls.add(call)
        if call.direction != "inbound":
            self._core.ledger.add_call(call)
        log.info("call %s from %s to %s %s", call.sid, mask(call.sender), mask(call.to), call.status)
        self._core.changed()

    def _recipient(self, to: str) -> str:
        if not to:
            raise ApiError(21201)
        if to.startswith(("client:", "sip:")):
            return to
        number = e164(to)
        if number is None:
            raise ApiError(21211, f"The phone number you are attempting to call, {to}, is not valid.")
        if number in MAGIC_CALL_TO:
            raise ApiError(MAGIC_CALL_TO[number])
        return number

    def _sender(self, sender: str) -> str:
        if not sender:
            raise ApiError(21213)
        if sender.startswith("client:"):
            return sender
        number = e164(sender)
        if number is None or number in MAGIC_CALL_FROM:
            raise ApiError(21212, f"The 'From' number {sender} is not a valid phone number.")
        owned = self._core.account.number(number)
        if number != MAGIC_SENDER and (owned is None or "voice" not in owned.capabilities):
            raise ApiError(
                21210, f"The source phone number provided, {sender}, is not yet verified for your account."
            )
        return number

    def _application(self, sid: str) -> Resource | None:
        if not sid:
            return None
        application = self._core.account.applications.get(sid)
        if application is None:
            raise ApiError(21218)
        return application

    def _instructions(self, call: Call, form: Form, application: Resource | None) -> None:
        """Where TwiML and callbacks come from and go to: the application's settings replace the request's."""
        if application is not None:
            call.application_sid = application.sid
            call.method = application.text("voice_method")
            call.fallback_url = application.text("voice_fallback_url") or None
            call.fallback_method = application.text("voice_fallback_method")
            call.status_callback = application.text("status_callback") or None
            call.status_callback_method = application.text("status_callback_method")
        else:
            call.method = form.method("Method", 21209)
            call.fallback_url = form.url("FallbackUrl", 21205)
            call.fallback_method = form.method("FallbackMethod", 21209)
            call.status_callback = form.url("StatusCallback", 21609)
            call.status_callback_method = form.method("StatusCallbackMethod", 21209)
        events = {event for value in form.all("StatusCallbackEvent") for event in value.split()}
        if not events <= _EVENTS:
            raise ApiError(21626, "StatusCallbackEvent must be initiated, ringing, answered or completed")
        call.status_callback_events = frozenset(events or {"completed"})

    # Inbound calls and child legs

    async def receive(self, sender: str, to: str) -> Inbound:
        """A person calls one of our numbers: TwiML is fetched, the runner goes on. Raises InboundError."""
        core = self._core
        sender = party("from", sender) if not sender.startswith("client:") else sender
        to, number = our_number(core, to)
        source = core.account.applications.get(number.text("voice_application_sid")) or number
        call = self._new(to, sender, "inbound")
        call.status = "ringing"
        call.start_time = core.clock()
        call.application_sid = source.sid if source is not number else None
        call.url = source.text("voice_url") or None
        call.method = source.text("voice_method")
        call.fallback_url = source.text("voice_fallback_url") or None
        call.fallback_method = source.text("voice_fallback_method")
        call.status_callback = source.text("status_callback") or None
        call.status_callback_method = source.text("status_callback_method")
        self._keep(call)
        return await core.live.receive(call)

    async def application(self, sender: str, url: str, method: str = "POST") -> Inbound:
        """A person calls a TwiML application by its URL, as a softphone does."""
        number = next(iter(self._core.account.numbers.values()), None)
        call = self._new(number.phone_number if number else "", sender, "inbound")
        call.status = "ringing"
        call.start_time = self._core.clock()
        call.url, call.method = url, method
        self._keep(call)
        return await self._core.live.receive(call)

    def child(self, parent: Call, to: str, *, sender: str, sid: str | None = None) -> Call:
        """The record of a leg that a call dials."""
        call = self._new(to, sender, "outbound-dial")
        call.sid = sid or call.sid
        call.parent_call_sid = parent.sid
        self._keep(call)
        return call

    # What may be changed

    def update(self, call: Call, form: Form) -> Call:
        """Redirect a live call, end it, or cancel one that still rings. Raises ApiError."""
        live = self._core.live
        status = form.get("Status")
        if status not in {"", "canceled", "completed"}:
            raise ApiError(20001, "Status must be canceled or completed")
        url = form.url("Url", 21205)
        twiml = form.get("Twiml") or None
        method = form.method("Method", 21209)
        if call.status in CALL_ENDED or not live.carries(call):
            raise ApiError(21220)
        if (url or twiml) and call.status != "in-progress":
            raise ApiError(21220)
        if form.given("StatusCallback"):
            call.status_callback = form.url("StatusCallback", 21609)
            call.status_callback_method = form.method("StatusCallbackMethod", 21209)
        if form.get("TimeLimit"):
            live.limit(call, form.whole("TimeLimit", 20001, 14_400, 1, DURATION_LIMIT))
        if url or twiml:
            live.redirect(call, Redirect(url=url, method=method, twiml=None if url else twiml))
        elif status == "completed" or (status == "canceled" and call.status in {"queued", "ringing"}):
            live.hang_up(call, "canceled" if call.status in {"queued", "ringing"} else "completed")
        return call

    def delete(self, call: Call) -> None:
        """Forget a call that has ended. Raises ApiError (20009) for one that has not."""
        if call.status not in CALL_ENDED:
            raise ApiError(20009, "Cannot delete this resource before it is complete", status=409)
        self._core.calls.remove(call)
        self._core.changed()
