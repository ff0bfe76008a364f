"""<Dial> and the nouns that ring somebody: "TwiML Voice: <Dial>", <Number>, <Client> and <Sip>."""

import re
from dataclasses import dataclass, field

from local.phone.engine.bridge import join, part
from local.phone.engine.interpreter import Walk
from local.phone.twiml.attributes import flag, whole, word
from local.phone.twiml.document import DocumentFailed
from local.phone.twiml.markup import Element
from local.phone.verbs.conference import attend
from local.phone.verbs.dialed_leg import dialed
from local.phone.verbs.queue import take
from local.phone.verbs.record import recording_callback
from local.twilio.carrier.exchange.events import Dialing, NotWalked
from local.twilio.carrier.exchange.leg import Leg, MachineDetection
from local.twilio.carrier.exchange.recordings import CallRecording
from local.twilio.carrier.exchange.ringing import RING_BUFFER
from local.twilio.carrier.exchange.signals import (
    CallOver,
    Diverted,
    Key,
    LegAnswered,
    LegEnded,
    LegReady,
    Signal,
)
from local.twilio.carrier.exchange.web_requests import Params, Target
from local.twilio.model.addresses import e164
from local.twilio.model.errors import Notice

MOST_AT_ONCE = 10  # "You can use up to ten <Number> nouns within a <Dial>"

_RECORDED_FROM = {"record-from-answer": "answer", "true": "answer", "record-from-ringing": "ringing"}
_CLIENT = re.compile(r"[^\s\x00-\x1f]{1,256}")


@dataclass(slots=True)
class DialOutcome:
    """How a <Dial> ended, for the parameters of its action."""

    status: str = "no-answer"
    leg: Leg | None = None
    bridged_at: float | None = None
    talked: float = 0.0
    diverted: bool = False
    recording: CallRecording | None = None
    legs: list[Leg] = field(default_factory=list)

    def params(self) -> Params:
        fields = [("DialCallStatus", self.status)]
        if self.leg is not None:
            fields.append(("DialCallSid", self.leg.sid))
            if not self.diverted and self.leg.is_answered:
                fields.append(("DialCallDuration", str(round(self.talked))))
        fields.append(("DialBridged", "true" if self.bridged_at is not None else "false"))
        if self.recording is not None:
            fields.append(("RecordingUrl", self.recording.url))
        return tuple(fields)


async def dial(walk: Walk, element: Element) -> Target | None:
    """Connect the call to others. The action follows if there is one, else the next verb."""
    if not flag(element, "answerOnBridge"):
        walk.answer()
    nouns = [each for each in element.children if each.name in {*_RINGS, *_MEETS, *_NOT_WALKED}]
    special = [each for each in nouns if each.name in _MEETS]
    if special and len(nouns) > 1:
        detail = f"<{special[0].name}> is dialed, the other nouns are not"
        walk.telephony.note(walk.call, Notice(13000, detail, special[0].line, special[0].column))
    action = walk.target(element)
    if special:
        walk.answer()
        params = await _MEETS[special[0].name](walk, element, special[0], action)
    else:
        params = await _ring(walk, element, nouns, action)
    return Target(action.url, action.method, params) if action else None


async def _ring(walk: Walk, element: Element, nouns: list[Element], action: Target | None) -> Params:
    outcome = DialOutcome()
    try:
        targets = [*nouns] if nouns else [element]
        if len(targets) > MOST_AT_ONCE:
            detail = f"{len(targets)} nouns; the first {MOST_AT_ONCE} are dialed"
            walk.telephony.note(walk.call, Notice(12200, detail, element.line, element.column))
        rounds = [[each] for each in targets] if flag(element, "sequential") else [targets]
        for nouns_at_once in rounds:
            await _ring_at_once(walk, element, nouns_at_once[:MOST_AT_ONCE], outcome)
            if outcome.leg is not None and outcome.leg.is_answered:
                break
    except (CallOver, Diverted, DocumentFailed):
        # The caller has hung up, or REST gave the call other TwiML: the legs have nobody to talk to.
        _give_up(walk, outcome, "completed" if outcome.bridged_at is not None else "canceled")
        _finish(walk, element, outcome)
        if walk.call.is_over and action:
            walk.notify(action, "Dial action", outcome.params())
        raise
    _finish(walk, element, outcome)
    return outcome.params()


async def _ring_at_once(walk: Walk, element: Element, nouns: list[Element], outcome: DialOutcome) -> None:
    telephony, call = walk.telephony, walk.call
    legs = [leg for leg in (_leg(walk, element, noun) for noun in nouns) if leg is not None]
    outcome.legs, outcome.leg = [leg for leg, *_ in legs], None
    if not legs:
        outcome.status = "failed"
        return
    if "ringing" in word(element, "record"):
        outcome.recording = _start_recording(walk, element)
    telephony.emit(
        Dialing(
            at=telephony.now,
            call_sid=call.sid,
            to=tuple(leg.to for leg in outcome.legs),
            legs=tuple(leg.sid for leg in outcome.legs),
        )
    )
    for leg, whisper, digits in legs:
        telephony.start(leg, dialed(telephony, leg, walk.handlers, whisper, digits))
    await _until_connected(walk, element, outcome)


async def _until_connected(walk: Walk, element: Element, outcome: DialOutcome) -> None:
    """Wait until the first leg is picked up, hang up the others, and talk until it ends."""
    deadline: float | None = walk.telephony.now + (whole(element, "timeout") or 30) + RING_BUFFER
    while True:
        left = None if deadline is None else deadline - walk.telephony.now
        signal = await walk.wait_for(left, LegAnswered, LegReady, LegEnded)
        if signal is None:
            _give_up(walk, outcome, "no-answer")
            outcome.status, outcome.leg = "no-answer", outcome.legs[-1]
            return
        if isinstance(signal, LegAnswered) and outcome.leg is None:
            # "The first call to pick up is connected to the current call and the rest are hung up."
            outcome.leg, deadline = signal.leg, None
            for other in outcome.legs:
                if other is not signal.leg:
                    walk.telephony.end(other, "canceled", by="Twilio")
        elif isinstance(signal, LegReady) and signal.leg is outcome.leg:
            walk.answer()
            await _talk(walk, element, outcome, signal.leg)
            return
        elif isinstance(signal, LegEnded) and signal.leg is outcome.leg:
            # The leg was answered, and hung up in the whisper, before it was connected.
            outcome.status, outcome.diverted = "completed", signal.diverted
            return
        elif (
            isinstance(signal, LegEnded) and outcome.leg is None and all(leg.is_over for leg in outcome.legs)
        ):
            outcome.leg = signal.leg
            outcome.status = _worst([leg.status for leg in outcome.legs])
            return


def _worst(statuses: list[str]) -> str:
    """One DialCallStatus for several legs of which none was picked up."""
    return next((each for each in ("no-answer", "busy", "canceled") if each in statuses), "failed")


async def _talk(walk: Walk, element: Element, outcome: DialOutcome, leg: Leg) -> None:
    telephony = walk.telephony
    outcome.bridged_at = telephony.now
    if "answer" in _RECORDED_FROM.get(word(element, "record").removesuffix("-dual"), ""):
        outcome.recording = _start_recording(walk, element)
    join(telephony, walk.call, leg)
    stop_on_star = flag(element, "hangupOnStar")
    until = telephony.now + (whole(element, "timeLimit") or 14400)
    outcome.status = "completed"
    while True:
        signal: Signal | None = await walk.wait_for(until - telephony.now, LegEnded, Key)
        if isinstance(signal, LegEnded) and signal.leg is leg:
            outcome.diverted = signal.diverted
            break
        if signal is None or (isinstance(signal, Key) and signal.key == "*" and stop_on_star):
            part(telephony, leg)
            telephony.end(leg, "completed", by="Twilio" if signal is None else "caller")
            break
    outcome.talked = telephony.now - (telephony.now if leg.answered_at is None else leg.answered_at)


def _give_up(walk: Walk, outcome: DialOutcome, status: str) -> None:
    for leg in outcome.legs:
        if not leg.is_over:
            outcome.leg = outcome.leg or leg
            outcome.status = "completed" if leg.is_answered else status
            if leg.answered_at is not None:
                outcome.talked = walk.telephony.now - leg.answered_at
            part(walk.telephony, leg)
            walk.telephony.end(leg, outcome.status, by="Twilio")


def _start_recording(walk: Walk, element: Element) -> CallRecording:
    channels = 2 if word(element, "record").endswith("-dual") else 1
    callback = recording_callback(walk, element)
    return walk.telephony.begin_recording(walk.call, "DialVerb", callback, channels=channels)


def _finish(walk: Walk, element: Element, outcome: DialOutcome) -> None:
    if outcome.recording is not None:
        outcome.recording.duration = walk.telephony.now - outcome.recording.started_at
        walk.telephony.finish_recording(walk.call, outcome.recording, recording_callback(walk, element))


def _leg(walk: Walk, element: Element, noun: Element) -> tuple[Leg, Target | None, str] | None:
    """The leg to one noun, its whisper and the tones that are played first; None if it cannot be dialed."""
    if noun.name in _NOT_WALKED:
        walk.telephony.emit(NotWalked(at=walk.telephony.now, call_sid=walk.call.sid, verb=noun.name))
        return None
    to = _RINGS[noun.name](walk, noun)
    caller_id = _caller_id(walk, element, to) if to else None
    if to is None or caller_id is None:
        return None
    leg = walk.telephony.new_leg(caller_id, to, "outbound-dial", "queued")
    leg.parent = walk.call
    if noun.name == "Dial":
        return leg, None, ""
    leg.callback = walk.status_callback(
        noun, "statusCallback", "statusCallbackEvent", method="statusCallbackMethod"
    )
    mode = word(noun, "machineDetection")
    if mode:
        report = walk.status_callback(noun, "amdStatusCallback", "", method="amdStatusCallbackMethod")
        timeout = whole(noun, "machineDetectionTimeout") or 30
        leg.detection = MachineDetection(mode, timeout, asynchronous=True, callback=report)
    digits = word(noun, "sendDigits") if noun.name == "Number" else ""
    return leg, walk.target(noun, "url"), digits


def _caller_id(walk: Walk, element: Element, to: str) -> str | None:
    """What the called party sees: the caller, or callerId if the account may show it ("callerId" section)."""
    given = element.attributes.get("callerId", "").strip()
    if not given:
        return walk.call.from_
    owned = walk.telephony.numbers
    shown = given if given.startswith("client:") or to.startswith("sip:") else e164(given)
    if shown is None:
        walk.telephony.note(
            walk.call, Notice(13214, f"callerId={given[:50]!r}", element.line, element.column)
        )
        return walk.call.from_
    if owned and shown.startswith("+") and shown not in owned | {walk.call.from_, walk.call.to}:
        detail = f"{shown} is neither a number of this account nor a party of the call"
        walk.telephony.note(walk.call, Notice(13247, detail, element.line, element.column))
        return None
    return shown


def _number(walk: Walk, noun: Element) -> str | None:
    to = e164(noun.text)
    if to is None:
        code = 13224 if noun.text.lstrip("+").isdecimal() else 13223
        walk.telephony.note(walk.call, Notice(code, f"{noun.text[:50]!r}", noun.line, noun.column))
    return to


def _client(walk: Walk, noun: Element) -> str | None:
    identity = next((each.text for each in noun.children if each.name == "Identity"), noun.text)
    if _CLIENT.fullmatch(identity):
        return f"client:{identity.removeprefix('client:')}"
    walk.telephony.note(walk.call, Notice(13223, f"client {identity[:50]!r}", noun.line, noun.column))
    return None


def _sip(walk: Walk, noun: Element) -> str | None:
    uri = next((each.text for each in noun.children if each.name == "Uri"), noun.text)
    if re.fullmatch(r"sips?:[^\s@]+@[^\s@]+", uri):
        return uri
    walk.telephony.note(walk.call, Notice(13243, f"{uri[:50]!r}", noun.line, noun.column))
    return None


_RINGS = {"Dial": _number, "Number": _number, "Client": _client, "Sip": _sip}
_MEETS = {"Conference": attend, "Queue": take}
_NOT_WALKED = frozenset({"Sim", "Application", "WhatsApp"})
