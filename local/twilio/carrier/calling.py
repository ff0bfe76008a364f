"""Calls over REST: which are accepted, which are refused, and what may be changed while they are up."""

from local.twilio.carrier.backend import Backend
from local.twilio.carrier.exchange.web_requests import Target
from local.twilio.carrier.live_calls import LiveCalls
from local.twilio.model.account import Resource, party
from local.twilio.model.addresses import MAGIC_CALL_FROM, MAGIC_CALL_TO, MAGIC_SENDER, e164
from local.twilio.model.errors import ApiError
from local.twilio.model.faults import Planned
from local.twilio.model.params import Form
from local.twilio.model.resources import CALL_ENDED, Call, Inbound

_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
TIMEOUT_LIMIT = 600
DURATION_LIMIT = 86_400


class Calling:
    """Creates and changes the records of calls. The calls themselves are on `live_calls`."""

    def __init__(self, backend: Backend, live_calls: LiveCalls) -> None:
        self._backend = backend
        self._live_calls = live_calls

    # What is accepted

    def create(self, form: Form, planned: Planned | None = None) -> Call:
        """The call of a POST to Calls. It rings when LiveCalls starts it. Raises ApiError."""
        to = self._recipient(form.get("To"))
        sender = self._sender(form.get("From"))
        application = self._application(form.get("ApplicationSid"))
        url = application.text("voice_url") if application else form.url("Url", 21205)
        twiml = None if url else form.get("Twiml") or None
        if not url and not twiml:
            raise ApiError(21205, "Url parameter is required.")
        call = self._backend.new_call(to, sender, "outbound-api")
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
        self._backend.keep_call(call)
        return call

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
        owned = self._backend.account.number(number)
        if number != MAGIC_SENDER and (owned is None or "voice" not in owned.capabilities):
            raise ApiError(
                21210, f"The source phone number provided, {sender}, is not yet verified for your account."
            )
        return number

    def _application(self, sid: str) -> Resource | None:
        if not sid:
            return None
        application = self._backend.account.applications.get(sid)
        if application is None:
            raise ApiError(21218)
        return application

    def _instructions(self, call: Call, form: Form, application: Resource | None) -> None:
        """Where TwiML comes from and callbacks go to. An application's settings replace the request's."""
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

    # Inbound calls

    async def receive(self, sender: str, to: str) -> Inbound:
        """A person calls one of our numbers. Returns when the first document came. Raises InboundError."""
        backend = self._backend
        sender = party("from", sender) if not sender.startswith("client:") else sender
        to, number = backend.account.our_number(to)
        source = backend.account.applications.get(number.text("voice_application_sid")) or number
        call = self._backend.new_call(to, sender, "inbound")
        call.status = "ringing"
        call.start_time = backend.clock()
        call.application_sid = source.sid if source is not number else None
        call.url = source.text("voice_url") or None
        call.method = source.text("voice_method")
        call.fallback_url = source.text("voice_fallback_url") or None
        call.fallback_method = source.text("voice_fallback_method")
        call.status_callback = source.text("status_callback") or None
        call.status_callback_method = source.text("status_callback_method")
        self._backend.keep_call(call)
        return await self._live_calls.receive(call)

    async def application(self, sender: str, url: str, method: str = "POST") -> Inbound:
        """A person calls a TwiML application by its URL, as a softphone does."""
        number = next(iter(self._backend.account.numbers.values()), None)
        call = self._backend.new_call(number.phone_number if number else "", sender, "inbound")
        call.status = "ringing"
        call.start_time = self._backend.clock()
        call.url, call.method = url, method
        self._backend.keep_call(call)
        return await self._live_calls.receive(call)

    # What may be changed

    def update(self, call: Call, form: Form) -> Call:
        """Redirect a live call, end it, or cancel one that still rings. Raises ApiError."""
        live = self._live_calls
        status = form.get("Status")
        if status not in {"", "canceled", "completed"}:
            raise ApiError(20001, "Status must be canceled or completed")
        url = form.url("Url", 21205)
        twiml = form.get("Twiml") or None
        method = form.method("Method", 21209)
        if call.status in CALL_ENDED or not live.is_up(call):
            raise ApiError(21220)
        if (url or twiml) and call.status != "in-progress":
            raise ApiError(21220)
        if form.given("StatusCallback"):
            call.status_callback = form.url("StatusCallback", 21609)
            call.status_callback_method = form.method("StatusCallbackMethod", 21209)
        if form.get("TimeLimit"):
            live.limit(call, form.whole("TimeLimit", 20001, 14_400, 1, DURATION_LIMIT))
        if url or twiml:
            live.redirect(call, Target(url, method, twiml=None if url else twiml))
        elif status == "completed" or (status == "canceled" and call.status in {"queued", "ringing"}):
            live.hang_up(call)
        return call

    def delete(self, call: Call) -> None:
        """Forget a call that has ended. Raises ApiError (20009) for one that has not."""
        if call.status not in CALL_ENDED:
            raise ApiError(20009, "Cannot delete this resource before it is complete", status=409)
        self._backend.calls.remove(call)
        self._backend.changed()
