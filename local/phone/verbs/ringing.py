"""Calls that Twilio places: ringing a handset, finding out who picked up, and what they hear first."""

from collections.abc import Mapping

from local.phone.engine.interpreter import CALL, Handler, Place, Walk
from local.phone.twiml.notices import DocumentFailed
from local.twilio.carrier.exchange.engine import World
from local.twilio.carrier.exchange.events import Connected, Disconnected, Played
from local.twilio.carrier.exchange.leg import Call, MachineDetection
from local.twilio.carrier.exchange.signals import (
    CallOver,
    Diverted,
    LegAnswered,
    LegEnded,
    LegReady,
    Parted,
    PickedUp,
    Receive,
    TurnedDown,
    Wait,
)
from local.twilio.carrier.exchange.web_requests import Target

RING_BUFFER = 5.0  # seconds that Twilio adds to a ringing time: the "timeout" section of the "Dial" page
DETECTION_TIME = {"human": 1.5, "machine": 4.0}  # seconds until machine detection has made up its mind

WHISPER = Place("whisper", frozenset({"Play", "Say", "Pause", "Gather", "Hangup", "Redirect"}))

type Handlers = Mapping[str, Handler]


async def ring(world: World, call: Call, timeout: float | None) -> bool:
    """Ring until the handset is picked up; otherwise end the call and say so by CallOver."""
    world.transition(call, "initiated")
    world.transition(call, "ringing")
    until = None if timeout is None else world.now + timeout + RING_BUFFER
    while True:
        signal = await Receive(until, Wait.PATIENCE)
        if isinstance(signal, PickedUp):
            if signal.pickup.machine:
                call.beep_at = world.now + signal.pickup.greeting
            world.transition(call, "in-progress")
            return signal.pickup.machine
        if signal is None or isinstance(signal, TurnedDown):
            status = "no-answer" if signal is None else signal.status
            world.end(call, status, by="Twilio" if signal is None else "callee")
            raise CallOver


def detect(call: Call, detection: MachineDetection, *, machine: bool) -> tuple[float, str]:
    """How long machine detection takes and its AnsweredBy, as on the page "Answering Machine Detection"."""
    if not machine:
        return DETECTION_TIME["human"], "human"
    if detection.mode == "DetectMessageEnd":
        needed = (call.beep_at or 0.0) - (call.answered_at or 0.0)
        answered_by = "machine_end_beep"
    else:
        needed, answered_by = DETECTION_TIME["machine"], "machine_start"
    return (float(detection.timeout), "unknown") if needed > detection.timeout else (needed, answered_by)


def report_detection(world: World, call: Call, seconds: float, answered_by: str) -> None:
    """The result of asynchronous detection, unless the call is over by then."""
    detection = call.detection
    if call.is_over or detection is None:
        return
    call.answered_by = answered_by
    if detection.callback:
        params = (
            ("CallSid", call.sid),
            ("AccountSid", call.account_sid),
            ("AnsweredBy", answered_by),
            ("MachineDetectionDuration", str(round(seconds * 1000))),
        )
        world.callback(call, detection.callback, "AMD status callback", params)


async def outbound(
    world: World, call: Call, handlers: Handlers, first: Target, timeout: float, digits: str
) -> None:
    """The script of a call placed by REST: ring, detect, then walk its TwiML."""
    machine = await ring(world, call, timeout)
    if digits:
        world.emit(Played(at=world.now, call_sid=call.sid, url="", digits=digits, times=1))
    target = call.redirected or first
    if call.detection:
        seconds, answered_by = detect(call, call.detection, machine=machine)
        if call.detection.asynchronous:
            world.after(seconds, lambda: report_detection(world, call, seconds, answered_by))
        else:
            try:
                await Walk(world, call, handlers).pass_time(seconds)
            except Diverted as exc:
                target = exc.target
            call.answered_by = answered_by
            call.extra["MachineDetectionDuration"] = str(round(seconds * 1000))
    await live(world, call, handlers, target)


async def live(world: World, call: Call, handlers: Handlers, target: Target) -> None:
    """Walk a call's TwiML to its end, whatever REST throws at it meanwhile, then hang up."""
    while True:
        try:
            await Walk(world, call, handlers, CALL).follow_or_apologise(target)
        except Diverted as exc:
            target = exc.target
            continue
        world.end(call, "completed" if call.is_answered else "canceled", by="TwiML")
        return


async def dialed(world: World, call: Call, handlers: Handlers, whisper: Target | None, digits: str) -> None:
    """The script of a leg of <Dial>: ring, whisper, then be there for the other party.

    The parent decides how long it rings. A leg that REST diverts leaves the parent and lives on its own.
    """
    parent = call.parent
    assert parent is not None  # noqa: S101
    diverted: Target | None = None
    try:
        machine = await ring(world, call, None)
        if call.detection:
            seconds, answered_by = detect(call, call.detection, machine=machine)
            world.after(seconds, lambda: report_detection(world, call, seconds, answered_by))
        world.signal(parent, LegAnswered(call))
        if digits:
            world.emit(Played(at=world.now, call_sid=call.sid, url="", digits=digits, times=1))
        if whisper:
            await Walk(world, call, handlers, WHISPER).follow(whisper)
        if call.redirected:
            raise Diverted(call.redirected)
        world.signal(parent, LegReady(call))
        await stay()
    except Diverted as exc:
        diverted = exc.target
    except DocumentFailed:
        world.end(call, "completed", by="Twilio")
    finally:
        part(world, call, diverted=diverted is not None)
        world.signal(parent, LegEnded(call, diverted=diverted is not None))
    if diverted:
        call.parent = None
        await live(world, call, handlers, diverted)


async def stay() -> None:
    """Be on the line until the call is over."""
    while True:
        await Receive(None, Wait.PATIENCE)


def join(world: World, one: Call, other: Call) -> None:
    """Let two parties talk."""
    one.peer, other.peer = other, one
    for call, peer in ((one, other), (other, one)):
        world.emit(Connected(at=world.now, call_sid=call.sid, other_sid=peer.sid, other=peer.party))


def part(world: World, call: Call, *, diverted: bool = False) -> None:
    """Take a call off the bridge it is on, and tell the other side."""
    peer = call.peer
    if peer is None:
        return
    call.peer = peer.peer = None
    for one, other in ((call, peer), (peer, call)):
        if not one.is_over:
            world.emit(Disconnected(at=world.now, call_sid=one.sid, other=other.party))
    world.signal(peer, Parted(call, diverted=diverted))
