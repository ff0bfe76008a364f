"""Runs timer functions when they are due. Source: TimerListener in azure-webjobs-sdk-extensions."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from local.host.console import log
from local.host.errors import InvocationFailed
from local.host.timer_status import TimerStatus, TimerStatuses, on_start
from local.host.triggers import TimerTrigger
from local.host.worker import Result

type Fire = Callable[[TimerTrigger, bool, Mapping[str, str] | None], Awaitable[Result]]


class Clock(Protocol):
    """The time, and waiting; tests have a clock of their own."""

    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None: ...


class WallClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class TimerLoop:
    """Runs one timer function, never twice at once.

    After a run that lasted beyond the next occurrence, the function runs again at once, once, however many
    occurrences went by.
    """

    def __init__(self, trigger: TimerTrigger, statuses: TimerStatuses, fire: Fire, clock: Clock) -> None:
        self._trigger = trigger
        self._statuses = statuses
        self._fire = fire
        self._clock = clock
        self._stopping = False
        self._nap: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Run the timer until `stop`. If runs were missed while the host was down, run once at the start."""
        name = self._trigger.function.name
        now = self._clock.now()
        known = self._statuses.load(name) if self._trigger.is_monitored else None
        status = on_start(self._trigger.schedule, known, now)
        self._save(status)
        if now > status.next:
            missed = status.next.isoformat(timespec="seconds")
            log.info("past due: %s was missed", missed, extra={"function": name})
            status = await self._tick(status, past_due=True)
        while await self._until(status.next):
            status = await self._tick(status, past_due=False)

    def stop(self) -> None:
        """Start no further run. A run in progress still ends, and its status is saved."""
        self._stopping = True
        if self._nap:
            self._nap.cancel()

    async def _until(self, due: datetime) -> bool:
        """Wait until that time. Returns False if `stop` was called first."""
        # Wait in short steps, so that a laptop that slept, or a clock that was set, does not delay the run.
        while not self._stopping and (wait := (due - self._clock.now()).total_seconds()) > 0:
            self._nap = asyncio.ensure_future(self._clock.sleep(min(wait, 30.0)))
            await asyncio.wait([self._nap])
        return not self._stopping

    async def _tick(self, status: TimerStatus, *, past_due: bool) -> TimerStatus:
        """Run the function; the next run is counted from this one's beginning (InvokeJobFunction)."""
        began = self._clock.now()
        # The failure is logged already. As in the real host, a failed run is not repeated.
        with suppress(InvocationFailed):
            await self._fire(
                self._trigger, past_due, status.as_json() if self._trigger.is_monitored else None
            )
        if not past_due:
            # A clock that was set back must not run one occurrence twice.
            began = max(began, status.next)
        done = TimerStatus(began, self._trigger.schedule.after(began), began)
        # The status is saved after the run, so a crash during the run makes it run again.
        self._save(done)
        return done

    def _save(self, status: TimerStatus) -> None:
        if self._trigger.is_monitored:
            self._statuses.save(self._trigger.function.name, status)
