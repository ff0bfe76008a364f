"""<Dial><Conference>, by the rules of "TwiML Voice: <Conference>"."""

from local.phone.engine.conferences import ConferenceRoom
from local.phone.engine.interpreter import Place, Walk
from local.phone.twiml.attributes import flag, whole, word
from local.phone.twiml.document import DocumentFailed
from local.phone.twiml.markup import Element
from local.phone.verbs.record import recording_callback
from local.twilio.carrier.exchange.events import Music
from local.twilio.carrier.exchange.rooms import Conference, Participant, truth
from local.twilio.carrier.exchange.signals import (
    CallOver,
    ConferenceEnded,
    ConferenceStarted,
    Diverted,
    Interrupted,
    Key,
    Wait,
)
from local.twilio.carrier.exchange.web_requests import Params, Target
from local.twilio.model.errors import Notice

LONGEST_NAME = 128

_WHILE_WAITING = frozenset({"Play", "Say", "Pause", "Redirect"})


async def attend(walk: Walk, element: Element, noun: Element, action: Target | None) -> Params:
    """Be in the conference until it ends, the call ends, or * is pressed where hangupOnStar lets it."""
    telephony, call = walk.telephony, walk.call
    name = noun.text
    if not 1 <= len(name) <= LONGEST_NAME:
        detail = f"conference names have 1 to {LONGEST_NAME} characters"
        telephony.note(call, Notice(13237, detail, noun.line, noun.column))
        return _outcome("failed")
    conference = telephony.conferences.get(name) or _open(walk, noun, name)
    if problem := _refusal(noun, conference):
        telephony.note(call, problem)
        return _outcome("failed")
    participant = Participant(
        call,
        noun.attributes.get("participantLabel", ""),
        muted=flag(noun, "muted"),
        starts=flag(noun, "startConferenceOnEnter"),
        ends=flag(noun, "endConferenceOnExit"),
        beep=word(noun, "beep"),
    )
    room = ConferenceRoom(telephony, conference)
    room.enter(participant)
    try:
        reason = await _stay(walk, element, noun, conference)
    except CallOver:
        room.leave(participant, "participant_hung_up")
        if action:
            walk.notify(action, "Dial action", _outcome("answered"))
        raise
    except Diverted:
        room.leave(participant, "participant_updated_via_api")
        raise
    room.leave(participant, reason)
    return _outcome("failed" if reason == "participant_add_failed" else "answered")


def _open(walk: Walk, noun: Element, name: str) -> Conference:
    callback = walk.status_callback(
        noun, "statusCallback", "statusCallbackEvent", method="statusCallbackMethod"
    )
    recorded = word(noun, "record") in {"record-from-start", "true"}
    return Conference(name, callback, recorded, recording_callback(walk, noun))


def _refusal(noun: Element, conference: Conference) -> Notice | None:
    label = noun.attributes.get("participantLabel")
    if label and any(each.label == label for each in conference.participants):
        return Notice(16025, f"{label[:50]!r} is in {conference.name}", noun.line, noun.column)
    most = whole(noun, "maxParticipants") or 250
    if len(conference.participants) >= most:
        return Notice(12200, f"{conference.name} has its {most} participants", noun.line, noun.column)
    return None


async def _stay(walk: Walk, element: Element, noun: Element, conference: Conference) -> str:
    """Hear music until the conference starts, then talk. Returns the reason for leaving."""
    until = walk.telephony.now + (whole(element, "timeLimit") or 14400)
    if not conference.started:
        reason = await _hold(walk, noun)
        if reason is not None:
            return reason
    while True:
        signal = await walk.wait_for(until - walk.telephony.now, ConferenceEnded, Key)
        if isinstance(signal, ConferenceEnded):
            return "moderator_ended_conference"
        if signal is None or (
            isinstance(signal, Key) and signal.key == "*" and flag(element, "hangupOnStar")
        ):
            return "participant_hung_up"


async def _hold(walk: Walk, noun: Element) -> str | None:
    """Carry out the waitUrl's TwiML once, then be silent, until the conference starts.

    Returns the reason for leaving, if the call leaves before that.
    """
    telephony, call = walk.telephony, walk.call
    place = Place("conference's wait", _WHILE_WAITING, refusal=13238, ends=True, wait=Wait.BACKGROUND)
    inner = walk.at(place)
    telephony.interrupt_on(call, ConferenceStarted, ConferenceEnded)
    try:
        reference = noun.attributes.get("waitUrl")
        if reference is None:
            telephony.emit(Music(at=telephony.now, call_sid=call.sid, url=""))
        elif reference:
            await inner.follow(Target(walk.url(noun, reference), word(noun, "waitMethod")))
        while True:
            await inner.wait_for(None)
    except Interrupted as exc:
        return "moderator_ended_conference" if isinstance(exc.signal, ConferenceEnded) else None
    except DocumentFailed:
        return "participant_add_failed"
    finally:
        telephony.interrupt_on(call)


def _outcome(status: str) -> Params:
    """The parameters of the action: "after dialing a conference" without DialCallSid and DialCallDuration."""
    return (("DialCallStatus", status), ("DialBridged", truth(status == "answered")))
