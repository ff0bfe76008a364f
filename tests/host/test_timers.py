"""local/host/schedule.py and timers.py: when a timer runs, with a clock that the test holds."""

import asyncio
import heapq
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.host.errors import InvocationFailed
from local.host.schedule import Schedule, TimerStatus, TimerStatuses
from local.host.timers import TimerLoop
from local.host.triggers import TimerTrigger
from local.host.worker import Function, Result

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("*/15 * * * * *", "2026-03-01T12:00:00.5", "2026-03-01T12:00:15"),
        ("*/15 * * * * *", "2026-03-01T12:00:15", "2026-03-01T12:00:30"),
        ("0 */5 * * * *", "2026-03-01T12:03:00", "2026-03-01T12:05:00"),
        ("0 30 9 * * MON-FRI", "2026-03-06T10:00:00", "2026-03-09T09:30:00"),
        ("0 0 0 1 1 *", "2026-03-01T12:00:00", "2027-01-01T00:00:00"),
        ("0 0 0 29 2 *", "2026-03-01T12:00:00", "2028-02-29T00:00:00"),
        # NCRONTAB wants both day fields to fit: a Friday the 13th, not the 13th and every Friday.
        ("0 0 0 13 * 5", "2026-04-01T00:00:00", "2026-11-13T00:00:00"),
    ],
)
def test_ncrontab_says_when(schedule: str, after: str, expected: str) -> None:
    assert Schedule(schedule).after(at(after)) == at(expected)


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("* * * * *", "six fields"),
        ("0 0 0 1 1 * 2026", "six fields"),
        ("60 * * * * *", "out of range"),
        ("0 0 0 L * *", "a day that NCRONTAB does not know: 'L'"),
        ("0 0 0 * * 5#2", "a day-of-week that NCRONTAB does not know"),
        ("0 0 0 * * 7", "0 \\(Sunday\\) to 6"),
        ("00:00:15 * * * * *", "a second that NCRONTAB does not know"),
        ("0 0 0 31 2 *", "never comes round"),
    ],
)
def test_what_is_not_ncrontab_is_refused(schedule: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Schedule(schedule)


class HeldClock:
    """Time moves only with `advance`, and nobody sleeps past it."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=seconds), id(woken), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking everybody at the right moment."""
        end = self._now + timedelta(seconds=seconds)
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            await settle()
        self._now = end


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Timer:
    """A loop over a function that notes when it ran; `takes` seconds of the held clock each."""

    def __init__(self, folder: Path, now: datetime = NOON, schedule: str = "0 * * * * *") -> None:
        self.clock = HeldClock(now)
        self.runs: list[tuple[datetime, bool]] = []
        self.statuses: list[Mapping[str, str]] = []
        self.takes = 0.0
        self.fails = False
        self.kept = TimerStatuses(folder)
        trigger = TimerTrigger(Function("tick", "1", ()), Schedule(schedule), is_monitored=True)
        self.loop = TimerLoop(trigger, self.kept, self._fire, self.clock)
        self.task = asyncio.create_task(self.loop.run())

    async def _fire(self, trigger: TimerTrigger, past_due: bool, status: Mapping[str, str]) -> Result:
        self.runs.append((self.clock.now(), past_due))
        self.statuses.append(status)
        if self.takes:
            await self.clock.sleep(self.takes)
        if self.fails:
            raise InvocationFailed(trigger.function.name, "it broke", "")
        return Result()

    async def stop(self) -> None:
        self.loop.stop()
        await self.task


async def test_a_timer_runs_at_each_occurrence(tmp_path: Path) -> None:
    timer = Timer(tmp_path, now=NOON + timedelta(seconds=10))
    await timer.clock.advance(130)
    await timer.stop()
    assert timer.runs == [(NOON + timedelta(minutes=1), False), (NOON + timedelta(minutes=2), False)]
    assert timer.statuses[1]["Last"] == "2026-03-01T12:01:00+00:00"
    assert timer.statuses[1]["Next"] == "2026-03-01T12:02:00+00:00"


async def test_runs_never_overlap_and_missed_ticks_are_dropped(tmp_path: Path) -> None:
    timer = Timer(tmp_path)
    timer.takes = 150
    await timer.clock.advance(400)
    timer.loop.stop()
    await timer.clock.advance(150)
    await timer.task
    assert timer.runs == [(NOON + timedelta(minutes=1), False), (NOON + timedelta(minutes=4), False)]


async def test_many_missed_runs_become_one_that_is_past_due(tmp_path: Path) -> None:
    first = Timer(tmp_path)
    await first.clock.advance(61)
    await first.stop()
    later = Timer(tmp_path, now=NOON + timedelta(minutes=10, seconds=30))
    await later.clock.advance(40)
    await later.stop()
    assert later.runs == [
        (NOON + timedelta(minutes=10, seconds=30), True),
        (NOON + timedelta(minutes=11), False),
    ]


async def test_a_short_stop_between_two_runs_misses_nothing(tmp_path: Path) -> None:
    first = Timer(tmp_path)
    await first.clock.advance(61)
    await first.stop()
    later = Timer(tmp_path, now=NOON + timedelta(seconds=70))
    await later.clock.advance(20)
    await later.stop()
    assert later.runs == []


async def test_a_new_timer_is_not_past_due(tmp_path: Path) -> None:
    timer = Timer(tmp_path)
    await timer.clock.advance(30)
    await timer.stop()
    assert timer.runs == []
    assert timer.kept.load("tick") == TimerStatus(None, NOON + timedelta(minutes=1), NOON)


async def test_a_changed_schedule_is_not_past_due(tmp_path: Path) -> None:
    first = Timer(tmp_path, schedule="0 0 * * * *")
    await first.clock.advance(5)
    await first.stop()
    later = Timer(tmp_path, now=NOON + timedelta(hours=3, seconds=5), schedule="0 */7 * * * *")
    await later.clock.advance(5)
    await later.stop()
    assert later.runs == []


async def test_a_crash_in_the_middle_of_a_run_runs_it_again(tmp_path: Path) -> None:
    first = Timer(tmp_path)
    first.takes = 10
    await first.clock.advance(65)
    first.task.cancel()
    later = Timer(tmp_path, now=NOON + timedelta(seconds=75))
    await later.clock.advance(1)
    await later.stop()
    assert [past_due for _, past_due in first.runs + later.runs] == [False, True]


async def test_a_failed_run_is_not_repeated(tmp_path: Path) -> None:
    timer = Timer(tmp_path)
    timer.fails = True
    await timer.clock.advance(119)
    await timer.stop()
    assert len(timer.runs) == 1


async def test_a_run_in_progress_is_remembered_when_the_host_stops(tmp_path: Path) -> None:
    timer = Timer(tmp_path)
    timer.takes = 5
    await timer.clock.advance(61)
    timer.loop.stop()
    await timer.clock.advance(10)
    await timer.task
    kept = timer.kept.load("tick")
    assert kept
    assert kept.last == NOON + timedelta(minutes=1)


def test_half_a_status_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "tick.json").write_text('{"Last": "2026')
    assert TimerStatuses(tmp_path).load("tick") is None
