"""Where calls wait and meet: queues and conferences, and the calls in them."""

from dataclasses import dataclass, field

from local.twilio.carrier.exchange.leg import Leg, StatusCallback
from local.twilio.carrier.exchange.recordings import CallRecording
from local.twilio.carrier.exchange.web_requests import Params
from local.twilio.model.resources import new_sid

LONGEST_QUEUE = 1000  # the default maximum size of a queue


@dataclass(slots=True, eq=False)
class CallQueue:
    """Calls in the order in which they came. agents: calls that dial this queue while it is empty."""

    name: str
    sid: str = field(default_factory=lambda: new_sid("QU"))
    max_size: int = LONGEST_QUEUE
    members: list["Waiter"] = field(default_factory=list)
    agents: list[Leg] = field(default_factory=list)

    def average_time(self, now: float) -> int:
        """How long its members have waited so far, in seconds, on average."""
        times = [now - each.joined_at for each in self.members]
        return round(sum(times) / len(times)) if times else 0


@dataclass(slots=True, eq=False)
class Waiter:
    """A call in a queue. agent: the call that took it out."""

    call: Leg
    queue: CallQueue
    joined_at: float
    left_at: float | None = None
    agent: Leg | None = None

    def seconds(self, now: float) -> int:
        return round((now if self.left_at is None else self.left_at) - self.joined_at)

    def leave(self, now: float) -> None:
        if self in self.queue.members:
            self.queue.members.remove(self)
            self.left_at = now

    def params(self, now: float) -> Params:
        """What Twilio sends to a waitUrl."""
        queue = self.queue
        position = queue.members.index(self) + 1 if self in queue.members else 0
        return (
            ("QueueSid", queue.sid),
            ("QueuePosition", str(position)),
            ("QueueTime", str(self.seconds(now))),
            ("AvgQueueTime", str(queue.average_time(now))),
            ("CurrentQueueSize", str(len(queue.members))),
            ("MaxQueueSize", str(queue.max_size)),
        )


@dataclass(slots=True, eq=False)
class Participant:
    """A call in a conference. starts, ends: entering starts, and leaving ends, the conference."""

    call: Leg
    label: str
    muted: bool
    starts: bool
    ends: bool
    beep: str

    def params(self) -> Params:
        """What a conference's callback says of it."""
        fields = {
            "CallSid": self.call.sid,
            "Muted": truth(self.muted),
            "Hold": "false",
            "Coaching": "false",
            "EndConferenceOnExit": truth(self.ends),
            "StartConferenceOnEnter": truth(self.starts),
        }
        if self.label:
            fields["ParticipantLabel"] = self.label
        return tuple(fields.items())


@dataclass(slots=True, eq=False)
class Conference:
    """A conference. Its callbacks and its recording are those that the first participant asked for."""

    name: str
    callback: StatusCallback | None
    recorded: bool
    recording_callback: StatusCallback | None
    sid: str = field(default_factory=lambda: new_sid("CF"))
    started: bool = False
    participants: list[Participant] = field(default_factory=list)
    sequence: int = 0
    recording: CallRecording | None = None

    def others(self, call: Leg) -> list[Leg] | None:
        """Who hears this call in the conference; None if the call is not in it."""
        own = next((each for each in self.participants if each.call is call), None)
        if own is None:
            return None
        if own.muted or not self.started:
            return []
        return [each.call for each in self.participants if each is not own]


def truth(value: bool) -> str:
    """`true` or `false`, as Twilio writes them."""
    return "true" if value else "false"
