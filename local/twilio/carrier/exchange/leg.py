"""One leg of a call: its party, its status, and the parameters of every request about it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from local.twilio.carrier.exchange.recordings import CallRecording
from local.twilio.carrier.exchange.web_requests import Params, Target
from local.twilio.model.addresses import geography
from local.twilio.model.resources import API_VERSION, CALL_ENDED


@dataclass(frozen=True, slots=True)
class StatusCallback:
    """Where progress is reported. events: which events are reported, such as initiated or completed."""

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
    """REST asked for the whole call to be recorded. channels: 1 or 2. track: inbound, outbound or both."""

    channels: int = 1
    callback: StatusCallback | None = None
    track: str = "both"


@dataclass(slots=True, eq=False)
class Leg:
    """One leg, between Twilio and one party.

    extra: further parameters of every request. redirected: TwiML that REST gave the call while it rang.
    documents_in_a_row: how many documents were fetched since time passed or the party did something.
    """

    sid: str
    account_sid: str
    from_: str
    to: str
    direction: str
    status: str
    created_at: float
    parent: "Leg | None" = None
    forwarded_from: str | None = None
    fallback: Target | None = None
    callback: StatusCallback | None = None
    detection: MachineDetection | None = None
    time_limit: float = 14400
    answered_at: float | None = None
    ended_at: float | None = None
    answered_by: str | None = None
    beep_at: float | None = None
    peer: "Leg | None" = None
    documents: int = 0
    documents_in_a_row: int = 0
    extra: dict[str, str] = field(default_factory=dict)
    redirected: Target | None = None
    recorded: RecordingRequest | None = None
    recording: CallRecording | None = None
    sequence: int = 0

    @property
    def party(self) -> str:
        """The address of the person on this leg."""
        return self.from_ if self.direction == "inbound" else self.to

    @property
    def is_over(self) -> bool:
        return self.status in CALL_ENDED

    @property
    def is_answered(self) -> bool:
        return self.answered_at is not None

    def duration(self, now: float) -> int:
        """Whole seconds from the answer to `now`, or to the end: then at least 1."""
        if self.answered_at is None:
            return 0
        if self.ended_at is None:
            return round(now - self.answered_at)
        return max(1, round(self.ended_at - self.answered_at))

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
        if self.direction == "inbound" and self.from_.startswith("+1"):
            fields["StirVerstat"] = "TN-Validation-Passed-A"
        fields |= self.extra
        fields |= dict(more)
        return tuple(fields.items())
