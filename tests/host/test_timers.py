"""When a timer runs: local/host's schedule, timer_status and timers, with a clock that the test holds."""

import asyncio
import heapq
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.host.errors import InvocationFailed
from local.host.schedule import NEVER, Schedule
from local.host.timer_status import TimerStatus, TimerStatuses
from local.host.timers import TimerLoop
from local.host.triggers import TimerTrigger
from local.host.worker import Function, Result

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


# What NCrontab.Signed 3.4.0, which the timer extension uses, makes of each from 2026-11-28 10:07:30 on.
SEEN = """
0 * * * * *              | 11-28 10:08:00, 11-28 10:09:00
*/15 * * * * *           | 11-28 10:07:45, 11-28 10:08:00
0 0 */6 * * *            | 11-28 12:00:00, 11-28 18:00:00, 11-29 00:00:00
0 30 9 * * MON-FRI       | 11-30 09:30:00, 12-01 09:30:00, 12-02 09:30:00
0 0 22-2 * * *           | 11-28 11:00:00, 11-28 12:00:00, 11-28 13:00:00
0 0 9 * * FRI-MON        | 11-30 09:00:00, 12-01 09:00:00, 12-02 09:00:00
0 0 9 29 2 *             | 2028-02-29 09:00:00, 2032-02-29 09:00:00
0 0 0 31 * *             | 12-31 00:00:00, 2027-01-31 00:00:00, 2027-03-31 00:00:00
0 0 0 1 January *        | 2027-01-01 00:00:00, 2028-01-01 00:00:00
0 0 0 1 Jan-Mar *        | 2027-01-01 00:00:00, 2027-02-01 00:00:00, 2027-03-01 00:00:00, 2028-01-01 00:00:00
0 0 0 * * 0              | 11-29 00:00:00, 12-06 00:00:00
0 0 9 13 * FRI           | 2027-08-13 09:00:00, 2028-10-13 09:00:00
0 9 * * 1-5              | 11-30 09:00:00, 12-01 09:00:00
* * * * *                | 11-28 10:08:00, 11-28 10:09:00
0 */0 * * * *            | 11-28 10:08:00, 11-28 10:09:00
0 5/20 * * * *           | 11-28 10:25:00, 11-28 10:45:00, 11-28 11:05:00
0 5-50/15 * * * *        | 11-28 10:20:00, 11-28 10:35:00, 11-28 10:50:00, 11-28 11:05:00
0 0 9 * * mon            | 11-30 09:00:00, 12-07 09:00:00
0 0 9 * * Mo             | 11-30 09:00:00, 12-07 09:00:00
0 0 9 * * T              | 12-01 09:00:00, 12-08 09:00:00
0 0 9 * J *              | 2027-01-01 09:00:00, 2027-01-02 09:00:00
0 */90 * * * *           | 11-28 11:00:00, 11-28 12:00:00
0 10-5/2 * * * *         | 11-28 10:09:00, 11-28 11:05:00, 11-28 11:07:00
30 7 10 28 11 *          | 2027-11-28 10:07:30, 2028-11-28 10:07:30
0 0 9 * * MON-WED,FRI    | 11-30 09:00:00, 12-01 09:00:00, 12-02 09:00:00, 12-04 09:00:00
0  0   9 * * *           | 11-29 09:00:00, 11-30 09:00:00
0 0 9 * * SUN-SAT        | 11-29 09:00:00, 11-30 09:00:00
0 0 9 * * 6-1            | 11-30 09:00:00, 12-01 09:00:00
59-1 * * * * *           | 11-28 10:07:31, 11-28 10:07:32
0 0 9,17 * * 1-5         | 11-30 09:00:00, 11-30 17:00:00
0 0 9 * * tues           | 12-01 09:00:00, 12-08 09:00:00
0 0 9 * * Sunda          | 11-29 09:00:00, 12-06 09:00:00
0 0 0 1 */3 *            | 2027-01-01 00:00:00, 2027-04-01 00:00:00, 2027-07-01 00:00:00
0 0 0 30 2 *             | never
0 0 9 31 4 *             | never
"""
# These were read in NCrontab's source.
READ = """
0 59 23 31 12 *          | 12-31 23:59:00, 2027-12-31 23:59:00
0 */-5 * * * *           | 11-28 10:08:00, 11-28 10:09:00
0 */+30 * * * *          | 11-28 10:30:00, 11-28 11:00:00
0 *,5 * * * *            | 11-28 10:08:00, 11-28 10:09:00
0 0 0 * DECEMBER-nov 5/9 | 12-04 00:00:00, 12-11 00:00:00
0 7,7 10 * * *           | 11-29 10:07:00, 11-30 10:07:00
*/61 * * * * *           | 11-28 10:08:00, 11-28 10:09:00
"""


def rows(table: str) -> list[tuple[str, list[str]]]:
    cut = [line.partition(" | ") for line in table.strip().splitlines()]
    return [(schedule.strip(), times.split(", ")) for schedule, _, times in cut]


@pytest.mark.parametrize(("schedule", "expected"), rows(SEEN) + rows(READ))
def test_a_schedule_is_read_as_ncrontab_reads_it(schedule: str, expected: list[str]) -> None:
    read, moment = Schedule(schedule), at("2026-11-28T10:07:30.5")
    for text in expected:
        moment = read.after(moment)
        if text == "never":
            assert moment == read.after(moment) == NEVER
        else:
            assert moment == at(text if text.startswith("20") else f"2026-{text}")


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("0 0 9 * * * *", "must have six fields .* or five without the second; has 7"),
        ("@daily", "must have six fields"),
        ("00:05:00", "is a time span, which only App Service plans take"),
        ("1.12:00", "is a time span"),
        ("0\t0 9 * * *", "has a wrong minute"),
        ("0 60 * * * *", "has a wrong minute: '60' .must be from 0 to 59"),
        ("0 0 24 * * *", "must be from 0 to 23"),
        ("0 0 9 0 * *", "must be from 1 to 31"),
        ("0 0 9 * 13 *", "must be from 1 to 12"),
        ("0 0 9 * * 7", "must be from 0 to 6"),
        ("0 0 9 L * *", "'L' is no value"),
        ("0 0 9 ? * *", "is no value"),
        ("0 0 9 * * MON#2", "has a wrong day-of-week"),
        ("0 0 9 * * Mondays", "is no value"),
        ("0 +5 * * * *", "is no value"),
        ("0 5- * * * *", "a value is missing"),
        ("0 ,5 * * * *", "is no value"),
        ("0 5, * * * *", "a value is missing"),
        ("1.5 * * * * *", "is no whole number"),
        ("0 */x * * * *", "is no whole number"),
        ("0 */99999999999 * * * *", "is too large"),
    ],
)
def test_what_ncrontab_does_not_take_is_refused(schedule: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Schedule(schedule)


@pytest.mark.parametrize(
    ("schedule", "has_monitor"),
    [
        ("*/15 * * * * *", False),
        ("0,30 * * * * *", False),
        ("*/15 0-59 */1 1-31 Dec-Jan 0-6", False),
        ("*/15 * 9-17 * * *", True),
        ("*/15 */2 * * * *", True),
        ("0 * * * * *", True),
        ("* * * * *", True),
        ("0 0 9 * * *", True),
    ],
)
def test_a_timer_that_runs_several_times_every_minute_has_no_monitor(
    schedule: str, has_monitor: bool
) -> None:
    assert Schedule(schedule).has_monitor is has_monitor


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
        self.statuses: list[Mapping[str, str] | None] = []
        self.takes = 0.0
        self.fails = False
        self.kept = TimerStatuses(folder)
        read = Schedule(schedule)
        trigger = TimerTrigger(Function("tick", "1", ()), read, is_monitored=read.has_monitor)
        self.loop = TimerLoop(trigger, self.kept, self._fire, self.clock)
        self.task = asyncio.create_task(self.loop.run())

    async def _fire(self, trigger: TimerTrigger, past_due: bool, status: Mapping[str, str] | None) -> Result:
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
    assert timer.statuses[1]
    assert timer.statuses[1]["Last"] == "2026-03-01T12:01:00+00:00"
    assert timer.statuses[1]["Next"] == "2026-03-01T12:02:00+00:00"


async def test_after_an_overrun_the_timer_runs_again_at_once_and_once(tmp_path: Path) -> None:
    timer = Timer(tmp_path)
    timer.takes = 150
    await timer.clock.advance(215)
    timer.takes = 0
    await timer.clock.advance(200)
    await timer.stop()
    # 12:01 lasts until 12:03:30, and that run until 12:06; neither overlaps with another, none is past due.
    assert [began - NOON for began, _ in timer.runs] == [
        timedelta(minutes=1),
        timedelta(minutes=3, seconds=30),
        timedelta(minutes=6),
    ]
    assert not any(past_due for _, past_due in timer.runs)


async def test_a_timer_without_a_monitor_is_never_past_due_and_is_told_no_status(tmp_path: Path) -> None:
    first = Timer(tmp_path, schedule="*/15 * * * * *")
    await first.clock.advance(16)
    await first.stop()
    later = Timer(tmp_path, now=NOON + timedelta(minutes=10, seconds=1), schedule="*/15 * * * * *")
    await later.clock.advance(15)
    await later.stop()
    assert later.runs == [(NOON + timedelta(minutes=10, seconds=15), False)]
    assert first.statuses == later.statuses == [None]
    assert later.kept.load("tick") is None


async def test_a_schedule_that_never_comes_round_waits(tmp_path: Path) -> None:
    timer = Timer(tmp_path, schedule="0 0 0 30 2 *")
    await timer.clock.advance(3600)
    await timer.stop()
    assert timer.runs == []


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
