"""Scripts, which describe the course of a call without any I/O, and the signals they wait for.

A script is a coroutine that awaits two things: Receive (something happens on the call, or time passes) and
Fetch (the answer to a request). The engine drives it with send() and throw(); no event loop is involved.
"""

from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from local.twilio.carrier.exchange.leg import Leg
from local.twilio.carrier.exchange.web_requests import Answer, Target, WebRequest


class Wait(Enum):
    """Why a script waits. A test's clock runs by itself only while a script waits for SOUND."""

    SOUND = "something is said or played, or another event follows by itself"
    BACKGROUND = "hold music: it never ends by itself"
    DEADLINE = "somebody may act until this time has passed"


@dataclass(frozen=True, slots=True)
class Pickup:
    """How a ringing handset was answered. A machine talks for `greeting` seconds, then beeps.

    answered_by: what machine detection is to find, such as fax; by default human, or machine_start.
    """

    machine: bool = False
    greeting: float = 6.0
    answered_by: str | None = None


class Signal:
    """Something that happened on a leg."""


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
    """A dialed handset was picked up. Its whisper, if any, comes before LegReady."""

    leg: Leg


@dataclass(frozen=True, slots=True)
class LegReady(Signal):
    """A dialed leg can be connected."""

    leg: Leg


@dataclass(frozen=True, slots=True)
class LegEnded(Signal):
    """A dialed leg is over, or (diverted) REST gave it TwiML of its own."""

    leg: Leg
    diverted: bool = False


@dataclass(frozen=True, slots=True)
class Dequeue(Signal):
    """`agent` takes this call out of its queue, after the TwiML at `whisper` if there is one."""

    agent: Leg
    whisper: Target | None


@dataclass(frozen=True, slots=True)
class QueueJoined(Signal):
    """Somebody joined the queue that this leg dials."""


@dataclass(frozen=True, slots=True)
class CallerReady(Signal):
    """The dequeued caller has heard the whisper and can be connected."""

    caller: Leg


@dataclass(frozen=True, slots=True)
class Parted(Signal):
    """The other side of the bridge is gone. diverted: REST gave it other TwiML; it did not hang up."""

    other: Leg
    diverted: bool = False


@dataclass(frozen=True, slots=True)
class ConferenceStarted(Signal):
    pass


@dataclass(frozen=True, slots=True)
class ConferenceEnded(Signal):
    pass


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for the next signal, or until `until` on the exchange's clock: then the result is None."""

    until: float | None
    why: Wait

    def __await__(self) -> "Generator[Command, Signal | None, Signal | None]":
        return (yield self)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Make a request and wait for its answer."""

    request: WebRequest

    def __await__(self) -> "Generator[Command, Answer, Answer]":
        return (yield self)


type Command = Receive | Fetch
type Script = Coroutine[Command, Any, None]


class CallOver(Exception):
    """The call has ended. The engine throws it into a script; a script that ends its call raises it."""


class Diverted(Exception):
    """The engine throws it into a script when REST gives the live call other TwiML."""

    def __init__(self, target: Target) -> None:
        self.target = target
        super().__init__("the call was redirected")


class Interrupted(Exception):
    """The engine throws it into a script when a signal comes that the script asked to be interrupted by."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        super().__init__(type(signal).__name__)
