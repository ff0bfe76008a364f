"""The engine under the exchange: clock, timers, scripts, requests, signals and events. It knows no TwiML.

Its caller makes the requests in `outbox`, gives their answers to `answered`, and moves the clock with
`advance`. Everything else happens inside these calls and takes no time on the clock.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from local.twilio.carrier.exchange.events import Answered, Event, Noted, Requested
from local.twilio.carrier.exchange.leg import Leg
from local.twilio.carrier.exchange.signals import (
    CallOver,
    Command,
    Diverted,
    Fetch,
    Interrupted,
    Key,
    PickedUp,
    Receive,
    Script,
    Signal,
    Speech,
    TurnedDown,
    Wait,
)
from local.twilio.carrier.exchange.web_requests import Answer, NoResponse, Params, Target, WebRequest
from local.twilio.model.errors import Notice

_BY_A_PERSON = (Key, Speech, PickedUp, TurnedDown)


@dataclass(slots=True, eq=False)
class _Run:
    """The script of one leg while it runs. turn: how often it went on; a wait of an earlier turn is void."""

    leg: Leg
    script: Script
    blocked: Command | None = None
    turn: int = 0
    mailbox: deque[Signal] = field(default_factory=deque)
    interrupts: tuple[type[Signal], ...] = ()


@dataclass(order=True, slots=True)
class _Timer:
    """Something that falls due: a task, or the end of a script's wait."""

    at: float
    order: int
    why: Wait = field(compare=False)
    task: Callable[[], None] | None = field(default=None, compare=False)
    while_on: Leg | None = field(default=None, compare=False)
    run: _Run | None = field(default=None, compare=False)
    turn: int = field(default=0, compare=False)

    @property
    def is_live(self) -> bool:
        if self.run is not None:
            return self.run.turn == self.turn
        return self.while_on is None or not self.while_on.is_over


class Engine:
    """Legs, the clock and what is under way.

    epoch: the time of day (UTC) that is second 0 of the clock. tempo: how long sound takes; at 0.5 everybody
    speaks twice as fast, but waits as long as before. on_failure: called when a script raises; without it,
    the caller of the engine gets the exception. upcoming: how many tasks of `after` are still to be done.
    """

    def __init__(self, epoch: datetime | None = None) -> None:
        self.epoch = epoch or datetime.now(UTC)
        self.tempo = 1.0
        self.now = 0.0
        self.legs: dict[str, Leg] = {}
        self.listeners: list[Callable[[Event], None]] = []
        self.outbox: dict[int, WebRequest] = {}
        self.on_failure: Callable[[Leg, Exception], None] | None = None
        self.upcoming = 0
        self._runs: dict[str, _Run] = {}
        self._fetching: dict[int, tuple[_Run, int]] = {}
        self._ready: deque[_Run] = deque()
        self._timers: list[_Timer] = []
        self._order = itertools.count()
        self._request_ids = itertools.count(1)

    # Time

    def after(self, seconds: float, task: Callable[[], None]) -> None:
        """Do `task` that much later, even if calls have ended by then."""
        self.upcoming += 1
        self._wait(_Timer(self.now + seconds, next(self._order), Wait.SOUND, task))

    def limit_to(self, seconds: float, leg: Leg, task: Callable[[], None]) -> None:
        """Do `task` that much later if the leg is not over by then."""
        self._wait(_Timer(self.now + seconds, next(self._order), Wait.DEADLINE, task, while_on=leg))

    def _wait(self, timer: _Timer) -> None:
        heapq.heappush(self._timers, timer)

    def next_timer(self, *kinds: Wait) -> float | None:
        """When the next timer falls due, of these kinds or of any kind."""
        while self._timers and not self._timers[0].is_live:
            heapq.heappop(self._timers)
        if not kinds:
            return self._timers[0].at if self._timers else None
        return min((t.at for t in self._timers if t.why in kinds and t.is_live), default=None)

    def advance(self, to: float) -> None:
        """Let time pass until `to`, and do in order all that falls due on the way."""
        self.run()
        while self._timers and self._timers[0].at <= to:
            timer = heapq.heappop(self._timers)
            if timer.is_live:
                self._fall_due(timer)
                self.run()
        self.now = max(self.now, to)

    def _fall_due(self, timer: _Timer) -> None:
        if timer.at > self.now:
            self.now = timer.at
            if timer.run:
                timer.run.leg.documents_in_a_row = 0
        if timer.run:
            self._turn(timer.run, value=None)
        elif timer.task:
            if timer.while_on is None:
                self.upcoming -= 1
            timer.task()

    # Scripts

    def start(self, leg: Leg, script: Script) -> None:
        run = self._runs[leg.sid] = _Run(leg, script)
        self._turn(run, value=None)

    def is_running(self, leg: Leg) -> bool:
        """Whether the leg's script has not come to its end."""
        return leg.sid in self._runs

    def waits_until(self, leg: Leg) -> float | None:
        """When the wait of the leg's script ends if nothing happens; None if it has no such end."""
        run = self._runs.get(leg.sid)
        return run.blocked.until if run and isinstance(run.blocked, Receive) else None

    def interrupt_on(self, leg: Leg, *signals: type[Signal]) -> None:
        """From now on, throw Interrupted into the leg's script when one of these signals comes."""
        run = self._runs.get(leg.sid)
        if run is not None:
            run.interrupts = signals

    def signal(self, leg: Leg, signal: Signal) -> None:
        """Tell a leg's script that something happened. If the script has ended, do nothing."""
        run = self._runs.get(leg.sid)
        if run is not None:
            if isinstance(signal, _BY_A_PERSON):
                leg.documents_in_a_row = 0
            run.mailbox.append(signal)
            self._ready.append(run)

    def run(self) -> None:
        """Let every script go on that can, until each waits for time, for a person or for an answer."""
        while self._ready:
            run = self._ready.popleft()
            if run.blocked is None or self._runs.get(run.leg.sid) is not run:
                continue
            signal = self._next_signal(run)
            if signal is None:
                continue
            if isinstance(signal, run.interrupts):
                self._turn(run, error=Interrupted(signal))
            else:
                self._turn(run, value=signal)

    def _next_signal(self, run: _Run) -> Signal | None:
        if isinstance(run.blocked, Receive):
            return run.mailbox.popleft() if run.mailbox else None
        # As at Twilio, keys and speech are lost while a document is fetched.
        kept = [each for each in run.mailbox if not isinstance(each, (Key, Speech))]
        found = next((each for each in kept if isinstance(each, run.interrupts)), None)
        run.mailbox = deque(each for each in kept if each is not found)
        return found

    def _turn(self, run: _Run, *, value: object = None, error: Exception | None = None) -> None:
        """Give a script what it waited for, or an exception, and take its next command."""
        run.blocked = None
        run.turn += 1
        try:
            command = run.script.throw(error) if error else run.script.send(value)
        except (StopIteration, CallOver):
            self._forget(run)
            return
        except Exception as exc:
            self._forget(run)
            if self.on_failure is None:
                raise
            self.on_failure(run.leg, exc)
            return
        run.blocked = command
        if isinstance(command, Fetch):
            self._fetching[command.request.id] = (run, run.turn)
            self.send(command.request)
        elif command.until is not None:
            self._wait(_Timer(command.until, next(self._order), command.why, run=run, turn=run.turn))
        if run.mailbox:
            self._ready.append(run)

    def _forget(self, run: _Run) -> None:
        if self._runs.get(run.leg.sid) is run:
            del self._runs[run.leg.sid]

    def throw(self, leg: Leg, error: Exception) -> None:
        """Throw this into the leg's script, if it has one that waits."""
        run = self._runs.get(leg.sid)
        if run is not None and run.blocked is not None:
            self._turn(run, error=error)

    def divert(self, leg: Leg, target: Target) -> None:
        """Give a live call other TwiML."""
        self.throw(leg, Diverted(target))

    # Requests

    def request(
        self, leg: Leg, target: Target, purpose: str, params: Params, *, wants_twiml: bool
    ) -> WebRequest:
        """A request to `target`'s URL with exactly these parameters."""
        if target.url is None:
            raise ValueError("TwiML that was given with the call has no URL")
        return WebRequest(
            id=next(self._request_ids),
            call_sid=leg.sid,
            method=target.method,
            target=target.url,
            params=params,
            purpose=purpose,
            at=self.now,
            wants_twiml=wants_twiml,
        )

    def send(self, request: WebRequest) -> None:
        """Make a request. Its answer changes nothing, except for the script that fetches it."""
        self.outbox[request.id] = request
        self.emit(Requested(at=self.now, call_sid=request.call_sid, request=request))

    def answered(self, request_id: int, answer: Answer) -> None:
        """Hand in the answer to a request of the outbox. If no script waits for it, it is only noted."""
        request = self.outbox.pop(request_id)
        run, turn = self._fetching.pop(request_id, (None, 0))
        if run is not None and run.turn == turn:
            self._turn(run, value=answer)
            self.run()
            return
        notices: tuple[Notice, ...] = ()
        if isinstance(answer, NoResponse):
            notices = (Notice(answer.code, f"{answer.reason} from {request.url}"),)
        elif answer.status >= 400:
            notices = (Notice(15003, f"Got HTTP {answer.status} response to {request.url}"),)
        self.emit(
            Answered(at=self.now, call_sid=request.call_sid, request=request, answer=answer, notices=notices)
        )

    # Events

    def emit(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def note(self, leg: Leg, notice: Notice) -> None:
        self.emit(Noted(at=self.now, call_sid=leg.sid, notice=notice))
