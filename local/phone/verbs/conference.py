"""<Dial><Conference>, by the rules of "TwiML Voice: <Conference>"."""

from dataclasses import dataclass, field

from local.phone.engine.interpreter import Place, Walk
from local.phone.twiml.attributes import flag, whole, word
from local.phone.twiml.markup import Element
from local.phone.twiml.notices import DocumentFailed, Notice
from local.phone.verbs.record import recording_callback
from local.twilio.carrier.exchange.engine import World, new_sid
from local.twilio.carrier.exchange.events import InConference, Music
from local.twilio.carrier.exchange.leg import Call, StatusCallback
from local.twilio.carrier.exchange.recordings import Recording, begin, finish
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

LONGEST_NAME = 128

_WHILE_WAITING = frozenset({"Play", "Say", "Pause", "Redirect"})


@dataclass(slots=True, eq=False)
class Participant:
    call: Call
    label: str
    muted: bool
    starts: bool
    ends: bool
    beep: str

    def params(self) -> Params:
        fields = {
            "CallSid": self.call.sid,
            "Muted": _text(self.muted),
            "Hold": "false",
            "Coaching": "false",
            "EndConferenceOnExit": _text(self.ends),
            "StartConferenceOnEnter": _text(self.starts),
        }
        if self.label:
            fields["ParticipantLabel"] = self.label
        return tuple(fields.items())


@dataclass(slots=True, eq=False)
class Conference:
    """A room. Its callbacks and its recording are what the first participant asked for."""

    world: World
    name: str
    callback: StatusCallback | None
    recorded: bool
    recording_callback: StatusCallback | None
    sid: str = field(default_factory=lambda: new_sid("CF"))
    started: bool = False
    participants: list[Participant] = field(default_factory=list)
    sequence: int = 0
    recording: Recording | None = None

    def enter(self, participant: Participant) -> None:
        self.participants.append(participant)
        participant.call.conference = self
        self._tell("joined", participant)
        self._report("join", "participant-join", participant.call, participant.params())
        if participant.beep in {"true", "onEnter"} and self.started:
            self._tell("beep", participant)
        if not self.started and len(self.participants) > 1 and any(p.starts for p in self.participants):
            self._start(participant.call)

    def _start(self, call: Call) -> None:
        self.started = True
        self._report("start", "conference-start", call, ())
        if self.recorded:
            self.recording = begin(
                self.world,
                self.participants[0].call,
                new_sid("RE"),
                "Conference",
                self.recording_callback,
                conference_sid=self.sid,
            )
        for each in self.participants:
            self._emit(each.call, "started")
            self.world.signal(each.call, ConferenceStarted())

    def leave(self, participant: Participant, reason: str) -> None:
        if participant not in self.participants:
            return
        self.participants.remove(participant)
        participant.call.conference = None
        status = participant.call.status
        params = (*participant.params(), ("ParticipantCallStatus", status), ("ReasonParticipantLeft", reason))
        self._tell("left", participant)
        if participant.beep in {"true", "onExit"}:
            self._tell("beep", participant)
        self._report("leave", "participant-leave", participant.call, params)
        if participant.ends and reason != "moderator_ended_conference":
            self._end(participant, "participant-with-end-conference-on-exit-left")
        elif not self.participants and self.name in self.world.conferences:
            self._end(participant, "last-participant-left")

    def _end(self, last: Participant, reason: str) -> None:
        self.world.conferences.pop(self.name, None)
        for each in list(self.participants):
            self._emit(each.call, "ended")
            self.world.signal(each.call, ConferenceEnded())
        params = [("ReasonConferenceEnded", reason), ("CallSidEndingConference", last.call.sid)]
        if last.label:
            params.append(("ParticipantLabelEndingConference", last.label))
        self._report("end", "conference-end", last.call, tuple(params))
        if self.recording is not None:
            self.recording.duration = self.world.now - self.recording.started_at
            finish(self.world, last.call, self.recording, self.recording_callback)

    def _report(self, event: str, name: str, call: Call, params: Params) -> None:
        if self.callback is None or event not in self.callback.events:
            return
        self.sequence += 1
        fields = (
            ("ConferenceSid", self.sid),
            ("FriendlyName", self.name),
            ("AccountSid", call.account_sid),
            ("SequenceNumber", str(self.sequence)),
            ("Timestamp", self.world.timestamp()),
            ("StatusCallbackEvent", name),
        )
        self.world.callback(call, self.callback, "conference status callback", (*fields, *params))

    def _tell(self, happening: str, about: Participant) -> None:
        """Everyone in the room notices."""
        for each in self.participants:
            self._emit(each.call, happening, about.call.party)
        if about not in self.participants and not about.call.is_over:
            self._emit(about.call, happening, about.call.party)

    def _emit(self, call: Call, happening: str, who: str = "") -> None:
        event = InConference(
            at=self.world.now, call_sid=call.sid, conference=self.name, happening=happening, who=who
        )
        self.world.emit(event)


def _text(value: bool) -> str:
    return "true" if value else "false"


async def attend(walk: Walk, element: Element, noun: Element, action: Target | None) -> Params:
    """Be in the room until it ends, the call ends, or * is pressed where hangupOnStar lets it."""
    world, call = walk.world, walk.call
    name = noun.text
    if not 1 <= len(name) <= LONGEST_NAME:
        detail = f"conference names have 1 to {LONGEST_NAME} characters"
        world.note(call, Notice(13237, detail, noun.line, noun.column))
        return _outcome("failed")
    room = world.conferences.get(name) or _open(walk, noun, name)
    if problem := _refusal(noun, room):
        world.note(call, problem)
        return _outcome("failed")
    participant = Participant(
        call,
        noun.attributes.get("participantLabel", ""),
        muted=flag(noun, "muted"),
        starts=flag(noun, "startConferenceOnEnter"),
        ends=flag(noun, "endConferenceOnExit"),
        beep=word(noun, "beep"),
    )
    world.conferences[name] = room
    room.enter(participant)
    reason = "participant_hung_up"
    try:
        reason = await _stay(walk, element, noun, room)
    except CallOver:
        room.leave(participant, reason)
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
    return Conference(walk.world, name, callback, recorded, recording_callback(walk, noun))


def _refusal(noun: Element, room: Conference) -> Notice | None:
    label = noun.attributes.get("participantLabel")
    if label and any(each.label == label for each in room.participants):
        return Notice(16025, f"{label[:50]!r} is in {room.name}", noun.line, noun.column)
    most = whole(noun, "maxParticipants") or 250
    if len(room.participants) >= most:
        return Notice(12200, f"{room.name} has its {most} participants", noun.line, noun.column)
    return None


async def _stay(walk: Walk, element: Element, noun: Element, room: Conference) -> str:
    """Wait to music until the room starts, then talk. Gives the reason for leaving."""
    until = walk.world.now + (whole(element, "timeLimit") or 14400)
    if not room.started:
        reason = await _hold(walk, noun)
        if reason is not None:
            return reason
    while True:
        signal = await walk.wait_for(until - walk.world.now, ConferenceEnded, Key)
        if isinstance(signal, ConferenceEnded):
            return "moderator_ended_conference"
        if signal is None or (
            isinstance(signal, Key) and signal.key == "*" and flag(element, "hangupOnStar")
        ):
            return "participant_hung_up"


async def _hold(walk: Walk, noun: Element) -> str | None:
    """The waitUrl's TwiML, once, and then silence, until the room starts or is over (then: why)."""
    world, call = walk.world, walk.call
    place = Place("conference's wait", _WHILE_WAITING, refusal=13238, ends=True, wait=Wait.BACKGROUND)
    inner = walk.at(place)
    call.interrupts = (ConferenceStarted, ConferenceEnded)
    try:
        reference = noun.attributes.get("waitUrl")
        if reference is None:
            world.emit(Music(at=world.now, call_sid=call.sid, url=""))
        elif reference:
            await inner.follow(Target(walk.url(noun, reference), word(noun, "waitMethod")))
        while True:
            await inner.wait_for(None)
    except Interrupted as exc:
        return "moderator_ended_conference" if isinstance(exc.signal, ConferenceEnded) else None
    except DocumentFailed:
        return "participant_add_failed"
    finally:
        call.interrupts = ()


def _outcome(status: str) -> Params:
    """What the action is told; no DialCallSid and no DialCallDuration "after dialing a conference"."""
    return (("DialCallStatus", status), ("DialBridged", _text(status == "answered")))
