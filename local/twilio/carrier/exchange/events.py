"""What happens on a call: what the people on it notice, and what a developer sees beside it.

Every event has its time (seconds on the exchange's clock) and its call. `str(event)` is its line in a
transcript; an empty line is left out.
"""

from dataclasses import dataclass

from local.twilio.carrier.exchange.web_requests import Answer, WebRequest
from local.twilio.model.errors import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened on the call `call_sid` at `at`."""

    at: float
    call_sid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged(Event):
    """The call's CallStatus is now `status`."""

    status: str

    def __str__(self) -> str:
        return f"-- {self.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Event):
    """A voice said `text`, `times` times over, taking `seconds` in all."""

    text: str
    voice: str
    language: str
    times: int
    seconds: float

    def __str__(self) -> str:
        return f'says "{self.text}"' + (f" ({self.times} times)" if self.times > 1 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Played(Event):
    """Audio from `url`, or the tones of `digits`."""

    url: str
    digits: str
    times: int

    def __str__(self) -> str:
        what = f"plays {self.url}" if self.url else f"plays tones {self.digits}"
        return what + (f" ({self.times} times)" if self.times > 1 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Music(Event):
    """Hold music began; `url` is empty for Twilio's own."""

    url: str

    def __str__(self) -> str:
        return f"plays hold music {self.url}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    seconds: int

    def __str__(self) -> str:
        return f"pauses {self.seconds} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Event):
    """A <Gather> listens for keys, speech or both. timeout: seconds until it gives up."""

    keys: bool
    speech: bool
    timeout: float
    num_digits: int | None
    finish_on_key: str
    hints: str
    language: str

    def __str__(self) -> str:
        inputs = " or ".join(
            name for name, wanted in (("keys", self.keys), ("speech", self.speech)) if wanted
        )
        return f"waits for {inputs}, {self.timeout:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStarted(Event):
    recording_sid: str
    beep: bool
    finish_on_key: str
    max_length: int

    def __str__(self) -> str:
        return ("beeps and " if self.beep else "") + f"records, {self.max_length} s at most"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingEnded(Event):
    """duration: whole seconds. reason: the key pressed, "silence", "full" or "hangup"."""

    recording_sid: str
    duration: int
    reason: str

    def __str__(self) -> str:
        return f"recorded {self.duration} s ({self.reason})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingCompleted(Event):
    """A recording is complete: one of a <Record>, a <Dial>, a conference or a whole call."""

    recording_sid: str

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialing(Event):
    """The call rings `to`; those calls are `legs`."""

    to: tuple[str, ...]
    legs: tuple[str, ...]

    def __str__(self) -> str:
        return f"rings {', '.join(self.to)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected(Event):
    """The two parties can talk."""

    other_sid: str
    other: str

    def __str__(self) -> str:
        return f"is connected to {self.other}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected(Event):
    other: str

    def __str__(self) -> str:
        return f"is no longer connected to {self.other}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued(Event):
    queue: str
    position: int

    def __str__(self) -> str:
        return f"waits in queue {self.queue}, position {self.position}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dequeued(Event):
    """result: QueueResult."""

    queue: str
    result: str
    seconds: int

    def __str__(self) -> str:
        return f"leaves queue {self.queue} after {self.seconds} s: {self.result}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InConference(Event):
    """happening: "waits", "joined", "started", "left", "beep" or "ended"."""

    conference: str
    happening: str
    who: str = ""

    def __str__(self) -> str:
        return f"conference {self.conference}: {self.happening} {self.who}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard(Event):
    """Someone else on the line said `text`."""

    by: str
    text: str

    def __str__(self) -> str:
        return f'hears {self.by}: "{self.text}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Did(Event):
    """The person at this call did something: "pressed 1", 'said "sales"', "hung up"."""

    what: str

    def __str__(self) -> str:
        return f"> {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Texted(Event):
    """An <Sms> sent a message."""

    message_sid: str
    to: str
    sender: str
    body: str

    def __str__(self) -> str:
        return f'texts {self.to}: "{self.body}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class TwimlGiven(Event):
    """The call goes on with TwiML that REST gave it, instead of a URL."""

    twiml: str

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening(Event):
    """The call has its TwiML, and nothing carries it out: the party is on the line until it hangs up."""

    def __str__(self) -> str:
        return "is on the line"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotWalked(Event):
    """TwiML that Twilio has and this phone does not carry out. The call goes on with the next verb."""

    verb: str

    def __str__(self) -> str:
        return f"<{self.verb}> is TwiML, but this phone does not walk it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Event):
    """The call is over. by: "caller", "callee", "TwiML", "REST" or "Twilio"."""

    status: str
    by: str
    seconds: int

    def __str__(self) -> str:
        return f"-- over: {self.status} after {self.seconds} s, by {self.by}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested(Event):
    request: WebRequest

    def __str__(self) -> str:
        return f"   {self.request.method} {self.request.url} ({self.request.purpose})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Event):
    """A request was answered. notices: what is wrong with the answer or its TwiML."""

    request: WebRequest
    answer: Answer
    notices: tuple[Notice, ...] = ()

    def __str__(self) -> str:
        return "\n".join(f"   ! {notice}" for notice in self.notices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """A notice that does not belong to one answer."""

    notice: Notice

    def __str__(self) -> str:
        return f"   ! {self.notice}"
