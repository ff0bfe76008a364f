"""<Record>, by the rules of "TwiML Voice: <Record>"."""

from dataclasses import dataclass

from local.phone.engine.interpreter import Walk
from local.phone.twiml.attributes import flag, whole, word
from local.phone.twiml.markup import Element
from local.twilio.carrier.exchange.events import RecordingEnded, RecordingStarted
from local.twilio.carrier.exchange.leg import StatusCallback
from local.twilio.carrier.exchange.recordings import CallRecording
from local.twilio.carrier.exchange.signals import CallOver, Diverted, Key, Speech, Wait
from local.twilio.carrier.exchange.web_requests import Params, Target
from local.twilio.model.errors import Notice
from local.twilio.model.resources import new_sid

TRANSCRIBED_AFTER = 2.0  # seconds until the callback of a transcription is sent
TRANSCRIBABLE = (2, 120)  # seconds: a recording between these lengths can be transcribed


def recording_callback(walk: Walk, element: Element) -> StatusCallback | None:
    """Where a <Record>, <Dial> or <Conference> has its recording reported."""
    return walk.status_callback(
        element,
        "recordingStatusCallback",
        "recordingStatusCallbackEvent",
        method="recordingStatusCallbackMethod",
    )


@dataclass(slots=True)
class _Take:
    """What ended a <Record>, and how long somebody spoke."""

    digits: str = ""
    reason: str = "silence"
    spoken: float = 0.0


@dataclass(frozen=True, slots=True)
class _Reports:
    """Where the recording and its transcription are reported."""

    recording: StatusCallback | None
    transcription: Target | None


async def record(walk: Walk, element: Element) -> Target | None:
    """Record until a key, silence, the length limit or the end of the call. Then the action follows."""
    telephony, call = walk.telephony, walk.call
    action = walk.own_url(element)
    callback = recording_callback(walk, element)
    transcript = element.attributes.get("transcribeCallback")
    reports = _Reports(callback, Target(walk.url(element, transcript)) if transcript else None)
    transcribe = flag(element, "transcribe")
    longest = float(whole(element, "maxLength") or (120 if transcribe else 3600))
    finish_on_key = word(element, "finishOnKey")
    recording = walk.telephony.begin_recording(call, "RecordVerb", callback)
    telephony.emit(
        RecordingStarted(
            at=telephony.now,
            call_sid=call.sid,
            recording_sid=recording.sid,
            beep=flag(element, "playBeep"),
            finish_on_key=finish_on_key,
            max_length=round(longest),
        )
    )
    take = _Take()
    try:
        await _listen(walk, recording, take, float(whole(element, "timeout") or 0), longest, finish_on_key)
    except (CallOver, Diverted) as exc:
        take.digits, take.reason = "hangup", "hangup"
        _wrap_up(walk, element, recording, take, reports)
        if isinstance(exc, CallOver):
            walk.notify(action, "Record action", _action_params(recording, take))
        raise
    _wrap_up(walk, element, recording, take, reports)
    return Target(action.url, action.method, _action_params(recording, take))


async def _listen(
    walk: Walk, recording: CallRecording, take: _Take, silence: float, longest: float, finish_on_key: str
) -> None:
    until = recording.started_at + longest
    quiet_since = walk.telephony.now
    while True:
        speaking = quiet_since > walk.telephony.now
        gives_up = quiet_since if speaking else (quiet_since + silence if silence else until)
        deadline = min(gives_up, until)
        signal = await walk.receive(deadline, Wait.SOUND if speaking else Wait.DEADLINE, Key, Speech)
        if isinstance(signal, Speech):
            recording.said.append(signal.text)
            quiet_since = max(quiet_since, walk.telephony.now) + signal.seconds
            take.spoken += signal.seconds
        elif isinstance(signal, Key) and signal.key in finish_on_key:
            take.digits, take.reason = signal.key, signal.key
            return
        elif signal is None and walk.telephony.now >= until:
            take.reason = "full"
            return
        elif signal is None and not speaking:
            return


def _wrap_up(walk: Walk, element: Element, recording: CallRecording, take: _Take, reports: _Reports) -> None:
    telephony, call = walk.telephony, walk.call
    elapsed = telephony.now - recording.started_at
    trimmed = word(element, "trim") == "trim-silence"
    recording.duration = min(take.spoken, elapsed) if trimmed and recording.said else elapsed
    telephony.emit(
        RecordingEnded(
            at=telephony.now,
            call_sid=call.sid,
            recording_sid=recording.sid,
            duration=recording.seconds,
            reason=take.reason,
        )
    )
    walk.telephony.finish_recording(call, recording, reports.recording)
    if flag(element, "transcribe"):
        _transcribe(walk, element, recording, reports.transcription)


def _action_params(recording: CallRecording, take: _Take) -> Params:
    params = [("RecordingUrl", recording.url), ("RecordingSid", recording.sid)]
    params.append(("RecordingDuration", str(recording.seconds)))
    return (*params, ("Digits", take.digits)) if take.digits else tuple(params)


def _transcribe(walk: Walk, element: Element, recording: CallRecording, target: Target | None) -> None:
    shortest, longest = TRANSCRIBABLE
    if not shortest < recording.duration < longest:
        detail = f"{recording.seconds} s; transcribed are {shortest} to {longest} s"
        walk.telephony.note(walk.call, Notice(13617, detail, element.line, element.column))
        return
    if target is None:
        return
    sid = new_sid("TR")
    account = f"{walk.telephony.api_base}/2010-04-01/Accounts/{walk.call.account_sid}"
    params = (
        ("TranscriptionSid", sid),
        ("TranscriptionText", recording.text),
        ("TranscriptionStatus", "completed" if recording.text else "failed"),
        ("TranscriptionUrl", f"{account}/Transcriptions/{sid}"),
        ("TranscriptionType", "fast"),
        ("RecordingSid", recording.sid),
        ("RecordingUrl", recording.url),
    )
    walk.telephony.after(TRANSCRIBED_AFTER, lambda: walk.notify(target, "transcribe callback", params))
