"""The engine under the exchange: clock, timers, requests, signals and events. It knows no TwiML.

Whoever drives it makes the requests in `outbox`, hands their answers to `answered`, and moves the clock with
`advance`. Everything else happens in between, at once.
"""

import heapq
import itertools
import secrets
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from local.phone.twiml.notices import Notice
from local.twilio.carrier.exchange.events import Answered, Ended, Event, Noted, Requested, StatusChanged
from local.twilio.carrier.exchange.leg import Call, StatusCallback
from local.twilio.carrier.exchange.recordings import Recording, begin, finish
from local.twilio.carrier.exchange.signals import (
    CallOver,
    Command,
    Diverted,
    Fetch,
    Interrupted,
    Key,
    PickedUp,
    Receive,
    Signal,
    Speech,
    TurnedDown,
    Wait,
)
from local.twilio.carrier.exchange.web_requests import Answer, NoResponse, Params, Target, WebRequest

if TYPE_CHECKING:
    from local.phone.verbs.conference import Conference
    from local.phone.verbs.queue import Queue

_EVENTS = {"initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}
_BY_A_PERSON = (Key, Speech, PickedUp, TurnedDown)


@dataclass(order=True, slots=True)
class _Timer:
    at: float
    order: int
    why: Wait
    call: Call | None
    token: int
    task: Callable[[], None] | None

    @property
    def is_live(self) -> bool:
        return self.task is not None or (self.call is not None and self.call.token == self.token)


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


class World:
    """Calls, the clock and what is under way.

    epoch: the time of day (UTC) that is second 0 of the clock. numbers: the account's own and verified
    numbers, which a callerId may show; empty for any. api_base: the origin in the URLs of recordings.
    tempo: how long sound takes; at 0.5 everybody speaks twice as fast, and waits as long as ever.
    """

    def __init__(
        self,
        *,
        epoch: datetime | None = None,
        api_base: str = "https://api.twilio.com",
        numbers: frozenset[str] = frozenset(),
    ) -> None:
        self.epoch = epoch or datetime.now(UTC)
        self.api_base = api_base
        self.numbers = numbers
        self.tempo = 1.0
        self.now = 0.0
        self.calls: dict[str, Call] = {}
        self.recordings: dict[str, Recording] = {}
        self.queues: dict[str, Queue] = {}
        self.conferences: dict[str, Conference] = {}
        self.events: list[Event] = []
        self.listeners: list[Callable[[Event], None]] = []
        self.outbox: dict[int, WebRequest] = {}
        self._fetching: dict[int, tuple[Call, int]] = {}
        self._ready: deque[Call] = deque()
        self._timers: list[_Timer] = []
        self._order = itertools.count()
        self._request_ids = itertools.count(1)

    # Time

    def after(self, seconds: float, task: Callable[[], None], why: Wait = Wait.SOUND) -> None:
        """Do `task` that much later, whatever becomes of the calls."""
        timer = _Timer(self.now + seconds, next(self._order), why, None, 0, task)
        heapq.heappush(self._timers, timer)

    def next_timer(self, *kinds: Wait) -> float | None:
        """When the next thing happens by itself; of the kinds given, or of any."""
        while self._timers and not self._timers[0].is_live:
            heapq.heappop(self._timers)
        if not kinds:
            return self._timers[0].at if self._timers else None
        return min((t.at for t in self._timers if t.why in kinds and t.is_live), default=None)

    def advance(self, to: float) -> None:
        """Let time pass until `to`, and do all that falls due on the way, in order."""
        self.run()
        while self._timers and self._timers[0].at <= to:
            timer = heapq.heappop(self._timers)
            if not timer.is_live:
                continue
            if timer.at > self.now:
                self.now = timer.at
                if timer.call:
                    timer.call.documents_in_a_row = 0
            if timer.task:
                timer.task()
            elif timer.call:
                self._turn(timer.call, value=None)
            self.run()
        self.now = max(self.now, to)

    # Scripts

    def new_call(
        self, from_: str, to: str, direction: str, status: str, account_sid: str, *, sid: str | None = None
    ) -> Call:
        call = Call(sid or new_sid("CA"), account_sid, from_, to, direction, status, self.now)
        self.calls[call.sid] = call
        return call

    def start(self, call: Call, script: Coroutine[Command, object, None]) -> None:
        call.script = script
        self._turn(call, value=None)

    def signal(self, call: Call, signal: Signal) -> None:
        """Tell a call's script that something happened. It is lost if the call has no script left."""
        if call.script is not None:
            if isinstance(signal, _BY_A_PERSON):
                call.documents_in_a_row = 0
            call.mailbox.append(signal)
            self._ready.append(call)

    def run(self) -> None:
        """Let every script go on that can, until each waits for time, for somebody or for an answer."""
        while self._ready:
            call = self._ready.popleft()
            if call.script is None or call.blocked is None:
                continue
            if isinstance(call.blocked, Receive) and call.mailbox:
                signal = call.mailbox.popleft()
            else:
                # While a document is fetched nobody listens: keys and speech are lost, as with Twilio.
                kept = [each for each in call.mailbox if not isinstance(each, (Key, Speech))]
                found = next((each for each in kept if isinstance(each, call.interrupts)), None)
                call.mailbox = deque(each for each in kept if each is not found)
                if found is None:
                    continue
                signal = found
            if isinstance(signal, call.interrupts):
                self._turn(call, error=Interrupted(signal))
            else:
                self._turn(call, value=signal)

    def _turn(self, call: Call, *, value: object = None, error: Exception | None = None) -> None:
        script = call.script
        if script is None:
            return
        call.blocked = None
        call.token += 1
        try:
            command = script.throw(error) if error else script.send(value)
        except (StopIteration, CallOver):
            call.script = None
            call.mailbox.clear()
            return
        call.blocked = command
        if isinstance(command, Receive):
            if command.until is not None:
                timer = _Timer(command.until, next(self._order), command.why, call, call.token, None)
                heapq.heappush(self._timers, timer)
            if call.mailbox:
                self._ready.append(call)
        else:
            self._send(command.request)
            self._fetching[command.request.id] = (call, call.token)
            if call.mailbox:
                self._ready.append(call)

    def divert(self, call: Call, target: Target) -> None:
        """Throw other TwiML at a live call."""
        self._turn(call, error=Diverted(target))

    # Requests

    def request(
        self, call: Call, target: Target, purpose: str, params: Params, *, wants_twiml: bool
    ) -> WebRequest:
        """A request to `target`'s URL with exactly these parameters."""
        assert target.url is not None  # noqa: S101
        return WebRequest(
            id=next(self._request_ids),
            call_sid=call.sid,
            method=target.method,
            target=target.url,
            params=params,
            purpose=purpose,
            at=self.now,
            wants_twiml=wants_twiml,
        )

    def fetch(self, request: WebRequest) -> Fetch:
        return Fetch(request)

    def notify(self, request: WebRequest) -> None:
        """Make a request whose answer changes nothing."""
        self._send(request)

    def _send(self, request: WebRequest) -> None:
        self.outbox[request.id] = request
        self.emit(Requested(at=self.now, call_sid=request.call_sid, request=request))

    def answered(self, request_id: int, answer: Answer) -> None:
        """What came of a request in the outbox. An answer that nobody waits for any more is only noted."""
        request = self.outbox.pop(request_id)
        call, token = self._fetching.pop(request_id, (None, 0))
        if call is not None and call.token == token:
            self._turn(call, value=answer)
            self.run()
            return
        notices: tuple[Notice, ...] = ()
        if isinstance(answer, NoResponse):
            notices = (Notice(answer.code, f"{answer.reason} from {request.url}"),)
        elif answer.status >= 400:
            notices = (Notice(15003, f"Got HTTP {answer.status} response to {request.url}"),)
        event = Answered(
            at=self.now, call_sid=request.call_sid, request=request, answer=answer, notices=notices
        )
        self.emit(event)

    # Events and the state of calls

    def emit(self, event: Event) -> None:
        self.events.append(event)
        for listener in self.listeners:
            listener(event)

    def note(self, call: Call, notice: Notice) -> None:
        self.emit(Noted(at=self.now, call_sid=call.sid, notice=notice))

    def transition(self, call: Call, status: str) -> None:
        """A call that is not over goes on to `status`, and its status callback hears of it."""
        call.status = status
        if status == "in-progress":
            call.answered_at = self.now
            self.after(call.time_limit, lambda: self.end(call, "completed", by="Twilio"), Wait.PATIENCE)
            if call.recorded:
                call.recording = begin(
                    self,
                    call,
                    new_sid("RE"),
                    "OutboundAPI",
                    call.recorded.callback,
                    channels=call.recorded.channels,
                )
        self.emit(StatusChanged(at=self.now, call_sid=call.sid, status=status))
        self._report(call, _EVENTS[status])

    def end(self, call: Call, status: str, *, by: str) -> None:
        """The call is over. Its script is told, unless it is the script that says so, and cleans up."""
        if call.is_over:
            return
        call.status = status
        call.ended_at = self.now
        if call.script is not None and call.blocked is not None:
            self._turn(call, error=CallOver())
        duration = call.duration(self.now)
        if call.recorded and call.recording:
            call.recording.duration = self.now - call.recording.started_at
            finish(self, call, call.recording, call.recorded.callback)
        self.emit(Ended(at=self.now, call_sid=call.sid, status=status, by=by, seconds=duration))
        self._report(call, "completed")

    def _report(self, call: Call, event: str) -> None:
        callback = call.callback
        sequence = call.sequence
        if call.direction != "inbound":  # of which only the end is ever reported
            call.sequence += 1
        if callback is None or event not in callback.events:
            return
        more: list[tuple[str, str]] = []
        if event == "completed":
            seconds = call.duration(self.now)
            more += [("CallDuration", str(seconds)), ("Duration", str(-(-seconds // 60)))]
            if call.recording:
                more += [("RecordingUrl", call.recording.url), ("RecordingSid", call.recording.sid)]
                more += [("RecordingDuration", str(call.recording.seconds))]
        more += [("Timestamp", self.timestamp()), ("CallbackSource", "call-progress-events")]
        more += [("SequenceNumber", str(sequence))]
        self.callback(call, callback, "status callback", call.parameters(more))

    def callback(
        self, call: Call, where: StatusCallback, purpose: str, params: Iterable[tuple[str, str]]
    ) -> None:
        """Report something to the application."""
        target = Target(where.url, where.method)
        self.notify(self.request(call, target, purpose, tuple(params), wants_twiml=False))

    def timestamp(self, at: float | None = None) -> str:
        """The time of day, now or at a second of the clock, as in Twilio's requests: RFC 2822, UTC."""
        return format_datetime(self.epoch + timedelta(seconds=self.now if at is None else at))
