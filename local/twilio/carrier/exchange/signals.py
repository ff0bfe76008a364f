"""How a call's script waits without doing any I/O.

A script is a coroutine that awaits two things: Receive (something happens to the call, or time passes) and
Fetch (an answer to a request). The world drives it with send() and throw(); no event loop is involved.
"""

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from local.twilio.carrier.exchange.leg import Pickup
from local.twilio.carrier.exchange.web_requests import Answer, Target, WebRequest

if TYPE_CHECKING:
    from local.twilio.carrier.exchange.leg import Call


class Wait(Enum):
    """Why a script waits for time to pass: this tells a test's clock how far it may run by itself."""

    SOUND = "something is being said or played, and goes on by itself"
    BACKGROUND = "hold music: it never ends by itself"
    PATIENCE = "somebody may act, and at the end of this time it is too late"


class Signal:
    """Something that happened to a call."""


@dataclass(frozen=True, slots=True)
class Key(Signal):
    key: str


@dataclass(frozen=True, slots=True)
class Speech(Signal):
    """The party said something that took `seconds`."""

    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class PickedUp(Signal):
    pickup: Pickup


@dataclass(frozen=True, slots=True)
class TurnedDown(Signal):
    """The handset, or the network, refused: busy, failed or no-answer."""

    status: str


@dataclass(frozen=True, slots=True)
class LegAnswered(Signal):
    """A dialed handset was picked up; its whisper, if any, comes first."""

    leg: "Call"


@dataclass(frozen=True, slots=True)
class LegReady(Signal):
    """A dialed leg can be connected."""

    leg: "Call"


@dataclass(frozen=True, slots=True)
class LegEnded(Signal):
    """A dialed leg is over, or (diverted) was sent to TwiML of its own by REST."""

    leg: "Call"
    diverted: bool = False


@dataclass(frozen=True, slots=True)
class Dequeue(Signal):
    """`agent` takes this call out of its queue, after the TwiML at `whisper` if there is one."""

    agent: "Call"
    whisper: Target | None


@dataclass(frozen=True, slots=True)
class QueueJoined(Signal):
    """Somebody came into the queue that this call dials."""


@dataclass(frozen=True, slots=True)
class CallerReady(Signal):
    """The dequeued caller has heard what there was to hear."""

    caller: "Call"


@dataclass(frozen=True, slots=True)
class Parted(Signal):
    """The other side of the bridge is gone. diverted: it was sent elsewhere by REST rather than hung up."""

    other: "Call"
    diverted: bool = False


@dataclass(frozen=True, slots=True)
class ConferenceStarted(Signal):
    pass


@dataclass(frozen=True, slots=True)
class ConferenceEnded(Signal):
    pass


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for the next signal, or until `until` on the exchange's clock (then it gives None)."""

    until: float | None
    why: Wait

    def __await__(self) -> "Generator[Command, Signal | None, Signal | None]":
        return (yield self)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Make a request and wait for what comes of it."""

    request: WebRequest

    def __await__(self) -> "Generator[Command, Answer, Answer]":
        return (yield self)


type Command = Receive | Fetch


class CallOver(Exception):
    """Thrown into a script, or raised by it: the call has ended."""


class Diverted(Exception):
    """Thrown into a script: REST gave the live call other TwiML."""

    def __init__(self, target: Target) -> None:
        self.target = target
        super().__init__("the call was redirected")


class Interrupted(Exception):
    """Thrown into a script where one of the signals that the call's `interrupts` names comes in."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        super().__init__(type(signal).__name__)
