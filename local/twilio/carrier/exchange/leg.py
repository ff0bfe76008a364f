"""A call, its party and its state, and the parameters that Twilio sends with every request about it."""

from collections import deque
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.twilio.carrier.exchange.web_requests import Params, Target
from local.twilio.model.addresses import geography

if TYPE_CHECKING:
    from local.twilio.carrier.exchange.signals import Command, Signal

API_VERSION = "2010-04-01"
OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
UNANSWERED = frozenset({"queued", "initiated", "ringing"})


@dataclass(frozen=True, slots=True)
class StatusCallback:
    """Where a call's progress is reported. events: of initiated, ringing, answered, completed."""

    url: str
    method: str = "POST"
    events: frozenset[str] = frozenset({"completed"})


@dataclass(frozen=True, slots=True)
class MachineDetection:
    """mode: Enable or DetectMessageEnd. timeout: seconds until `unknown`. callback: if asynchronous."""

    mode: str
    timeout: int = 30
    asynchronous: bool = False
    callback: StatusCallback | None = None


@dataclass(frozen=True, slots=True)
class RecordingRequest:
    """REST asked for the whole call to be recorded. channels: 1 or 2."""

    channels: int = 1
    callback: StatusCallback | None = None


@dataclass(frozen=True, slots=True)
class Pickup:
    """How a ringing handset was answered. A machine talks for `greeting` seconds, then beeps."""

    machine: bool = False
    greeting: float = 6.0


@dataclass(slots=True, eq=False)
class Call:
    """One leg, between Twilio and one party. `party` is whose handset it is."""

    sid: str
    account_sid: str
    from_: str
    to: str
    direction: str
    status: str
    created_at: float
    parent: "Call | None" = None
    forwarded_from: str | None = None
    fallback: Target | None = None
    callback: StatusCallback | None = None
    detection: MachineDetection | None = None
    time_limit: float = 14400
    answered_at: float | None = None
    ended_at: float | None = None
    answered_by: str | None = None
    beep_at: float | None = None
    peer: "Call | None" = None
    conference: Any = None
    documents: int = 0
    documents_in_a_row: int = 0
    extra: dict[str, str] = field(default_factory=dict)
    redirected: Target | None = None
    recorded: RecordingRequest | None = None
    recording: Any = None
    sequence: int = 0
    # How the exchange drives its script.
    script: "Coroutine[Command, Any, None] | None" = None
    blocked: "Command | None" = None
    token: int = 0
    mailbox: "deque[Signal]" = field(default_factory=deque)
    interrupts: "tuple[type[Signal], ...]" = ()

    @property
    def party(self) -> str:
        return self.from_ if self.direction == "inbound" else self.to

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def is_answered(self) -> bool:
        return self.answered_at is not None

    def duration(self, now: float) -> int:
        """Whole seconds since it was answered, or until it ended."""
        if self.answered_at is None:
            return 0
        return round((now if self.ended_at is None else self.ended_at) - self.answered_at)

    def parameters(self, more: Iterable[tuple[str, str]] = ()) -> Params:
        """Twilio's standard request parameters, as "TwiML for Programmable Voice" lists them, then `more`."""
        fields = {
            "CallSid": self.sid,
            "AccountSid": self.account_sid,
            "From": self.from_,
            "To": self.to,
            "Caller": self.from_,
            "Called": self.to,
            "CallStatus": self.status,
            "ApiVersion": API_VERSION,
            "Direction": self.direction,
        }
        if self.forwarded_from:
            fields["ForwardedFrom"] = self.forwarded_from
        if self.parent:
            fields["ParentCallSid"] = self.parent.sid
        if self.answered_by and not (self.detection and self.detection.asynchronous):
            fields["AnsweredBy"] = self.answered_by
        for names, address in ((("From", "Caller"), self.from_), (("To", "Called"), self.to)):
            if address.startswith("+"):
                for name in names:
                    fields |= dict(geography(name, address))
        fields |= self.extra
        fields |= dict(more)
        return tuple(fields.items())
