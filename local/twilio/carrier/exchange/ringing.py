"""Calls that Twilio places: they ring, and Twilio detects whether a machine picked up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local.twilio.carrier.exchange.events import Played
from local.twilio.carrier.exchange.leg import Leg, MachineDetection, RecordingRequest, StatusCallback
from local.twilio.carrier.exchange.signals import (
    CallOver,
    Diverted,
    PickedUp,
    Pickup,
    Receive,
    Script,
    TurnedDown,
    Wait,
)
from local.twilio.carrier.exchange.telephony import Telephony
from local.twilio.carrier.exchange.web_requests import Target

RING_BUFFER = 5.0  # seconds that Twilio adds to a ringing time: the "timeout" section of the "Dial" page
DETECTION_TIME = {"human": 1.5, "machine": 4.0}  # seconds until machine detection has its result

type TwimlScript = Callable[[Telephony, Leg, Target], Script]
"""Carries out the TwiML at a target on a leg, until the call ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingCall:
    """What REST asked for. wait: seconds that the call is queued before it rings. timeout: of the ringing.

    extra: further parameters of every request.
    """

    from_: str
    to: str
    application: Target
    fallback: Target | None = None
    callback: StatusCallback | None = None
    timeout: float = 60
    time_limit: float = 14400
    detection: MachineDetection | None = None
    send_digits: str = ""
    recorded: RecordingRequest | None = None
    wait: float = 0.0
    extra: Mapping[str, str] = field(default_factory=dict)


async def outbound(telephony: Telephony, leg: Leg, asked: OutgoingCall, twiml: TwimlScript) -> None:
    """The script of a call placed by REST: ring, detect a machine, then carry out its TwiML."""
    if asked.wait:
        await _pass(telephony.now + asked.wait)
    pickup = await ring(telephony, leg, asked.timeout)
    if asked.send_digits:
        telephony.emit(Played(at=telephony.now, call_sid=leg.sid, url="", digits=asked.send_digits, times=1))
    target = leg.redirected or asked.application
    if leg.detection and leg.detection.asynchronous:
        detect_meanwhile(telephony, leg, leg.detection, pickup)
    elif leg.detection:
        seconds, answered_by = _detect(leg, leg.detection, pickup)
        try:
            await _pass(telephony.now + seconds * telephony.tempo)
        except Diverted as exc:
            target = exc.target
        leg.answered_by = answered_by
        leg.extra["MachineDetectionDuration"] = str(round(seconds * 1000))
    await twiml(telephony, leg, target)


async def _pass(until: float) -> None:
    """Let time pass. What the party does meanwhile is lost."""
    while await Receive(until, Wait.SOUND) is not None:
        pass


async def ring(telephony: Telephony, leg: Leg, timeout: float | None) -> Pickup:
    """Ring until the handset is picked up. If it is not, end the leg and raise CallOver."""
    telephony.transition(leg, "initiated")
    telephony.transition(leg, "ringing")
    until = None if timeout is None else telephony.now + timeout + RING_BUFFER
    while True:
        signal = await Receive(until, Wait.DEADLINE)
        if isinstance(signal, PickedUp):
            if signal.pickup.machine:
                leg.beep_at = telephony.now + signal.pickup.greeting
            telephony.transition(leg, "in-progress")
            return signal.pickup
        if signal is None or isinstance(signal, TurnedDown):
            status = "no-answer" if signal is None else signal.status
            telephony.end(leg, status, by="Twilio" if signal is None else "callee")
            raise CallOver


def detect_meanwhile(telephony: Telephony, leg: Leg, detection: MachineDetection, pickup: Pickup) -> None:
    """Detect a machine while the TwiML goes on, and report the result unless the call is over by then."""
    seconds, answered_by = _detect(leg, detection, pickup)

    def report() -> None:
        if leg.is_over:
            return
        leg.answered_by = answered_by
        if detection.callback:
            params = (
                ("CallSid", leg.sid),
                ("AccountSid", leg.account_sid),
                ("AnsweredBy", answered_by),
                ("MachineDetectionDuration", str(round(seconds * 1000))),
            )
            telephony.callback(leg, detection.callback, "AMD status callback", params)

    telephony.after(seconds * telephony.tempo, report)


def _detect(leg: Leg, detection: MachineDetection, pickup: Pickup) -> tuple[float, str]:
    """How long detection takes and its AnsweredBy, as on the page "Answering Machine Detection"."""
    found = pickup.answered_by or ("machine_start" if pickup.machine else "human")
    if found == "human":
        return DETECTION_TIME["human"], found
    needed = DETECTION_TIME["machine"]
    if detection.mode == "DetectMessageEnd" and found.startswith("machine"):
        needed = (leg.beep_at or 0.0) - (leg.answered_at or 0.0)
        found = "machine_end_beep" if found == "machine_start" else found
    return (float(detection.timeout), "unknown") if needed > detection.timeout else (needed, found)
