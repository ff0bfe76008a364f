"""Turns the record of a call, with its REST parameters, into a request to the exchange."""

from local.twilio.carrier.exchange.exchange import IncomingCall
from local.twilio.carrier.exchange.leg import MachineDetection, RecordingRequest, StatusCallback
from local.twilio.carrier.exchange.ringing import OutgoingCall
from local.twilio.carrier.exchange.web_requests import Target
from local.twilio.model.resources import Call


def outgoing_call(call: Call, wait: float) -> OutgoingCall:
    """A call that REST created. wait: seconds until it rings."""
    callback = None
    if call.status_callback:
        callback = StatusCallback(
            call.status_callback, call.status_callback_method, call.status_callback_events
        )
    return OutgoingCall(
        from_=call.sender,
        to=call.to,
        application=Target(call.url, call.method, twiml=call.twiml),
        fallback=_fallback(call),
        callback=callback,
        timeout=call.timeout,
        time_limit=call.time_limit,
        detection=_detection(call),
        send_digits=_param(call, "SendDigits"),
        recorded=_recorded(call),
        wait=wait,
        extra=_extra(call),
    )


def incoming_call(call: Call) -> IncomingCall:
    """A call to one of our numbers, or to a TwiML application. Only its end is reported."""
    report = None
    if call.status_callback:
        report = StatusCallback(call.status_callback, call.status_callback_method)
    return IncomingCall(
        from_=call.sender,
        to=call.to,
        application=Target(call.url, call.method),
        fallback=_fallback(call),
        callback=report,
        extra=_extra(call),
    )


def _fallback(call: Call) -> Target | None:
    return Target(call.fallback_url, call.fallback_method) if call.fallback_url else None


def _extra(call: Call) -> dict[str, str]:
    return {"ApplicationSid": call.application_sid} if call.application_sid else {}


def _param(call: Call, name: str) -> str:
    return (call.params.get(name) or [""])[-1]


def _callback(call: Call, name: str) -> StatusCallback | None:
    url = _param(call, name)
    if not url:
        return None
    events = frozenset(" ".join(call.params.get(f"{name}Event", [])).split())
    method = _param(call, f"{name}Method").upper() or "POST"
    return StatusCallback(url, method, events or frozenset({"completed"}))


def _detection(call: Call) -> MachineDetection | None:
    mode = _param(call, "MachineDetection")
    if mode not in {"Enable", "DetectMessageEnd"}:
        return None
    timeout = _param(call, "MachineDetectionTimeout")
    return MachineDetection(
        mode,
        int(timeout) if timeout.isdecimal() else 30,
        asynchronous=_param(call, "AsyncAmd") == "true",
        callback=_callback(call, "AsyncAmdStatusCallback"),
    )


def _recorded(call: Call) -> RecordingRequest | None:
    if _param(call, "Record") != "true":
        return None
    channels = 2 if _param(call, "RecordingChannels") == "dual" else 1
    track = _param(call, "RecordingTrack") or "both"
    return RecordingRequest(channels, _callback(call, "RecordingStatusCallback"), track)
