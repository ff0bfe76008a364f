"""NCRONTAB schedules and what is remembered of a timer between two runs of the host."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from croniter import CroniterBadDateError, croniter

_FIELD_NAMES = ("second", "minute", "hour", "day", "month", "day-of-week")
_NAMES = r"(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC|SUN|MON|TUE|WED|THU|FRI|SAT)"
_VALUE = rf"(?:\d+|{_NAMES})"
_FIELD = re.compile(
    rf"(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/\d+)?(?:,(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/\d+)?)*", re.I
)


class Schedule:
    """Six fields, in UTC: second minute hour day month day-of-week, as NCrontab reads them.

    A day must fit both day fields, where Unix cron lets either do. croniter's own extensions (L, #, @daily)
    are refused, because Azure would refuse them. Raises ValueError saying what would be right.
    """

    def __init__(self, text: str) -> None:
        fields = text.split()
        if len(fields) != 6:
            raise ValueError(f"must have six fields ({' '.join(_FIELD_NAMES)}), has {len(fields)}")
        for name, value in zip(_FIELD_NAMES, fields, strict=True):
            if not _FIELD.fullmatch(value):
                raise ValueError(f"has a {name} that NCRONTAB does not know: {value!r}")
        if re.search(r"(?<![\d/])7", fields[5]):
            raise ValueError("has day-of-week 7; NCRONTAB counts from 0 (Sunday) to 6")
        self.text = text
        try:
            self.after(datetime(2000, 1, 1, tzinfo=UTC))
        except CroniterBadDateError:
            raise ValueError("never comes round: there is no such day") from None
        except ValueError as exc:
            raise ValueError(f"is not NCRONTAB: {exc}") from exc

    def after(self, moment: datetime) -> datetime:
        """The first occurrence later than `moment`."""
        following: datetime = croniter(
            self.text, moment, ret_type=datetime, day_or=False, second_at_beginning=True
        ).get_next()
        return following


@dataclass(frozen=True, slots=True)
class TimerStatus:
    """last: when it last ran, None if it never did. next: when it is due. updated: when this was written."""

    last: datetime | None
    next: datetime
    updated: datetime

    def as_json(self) -> dict[str, str]:
        """As the real host stores it and hands it to the function."""
        return {
            "Last": (self.last or datetime.min.replace(tzinfo=UTC)).isoformat(),
            "Next": self.next.isoformat(),
            "LastUpdated": self.updated.isoformat(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, str]) -> "TimerStatus":
        """Raises ValueError or KeyError where the file was not written by as_json."""
        last, due, updated = (
            datetime.fromisoformat(values[name]).astimezone(UTC) for name in ("Last", "Next", "LastUpdated")
        )
        return cls(None if last.year == 1 else last, due, updated)


class TimerStatuses:
    """One small file a timer, so that a missed run is noticed after a restart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, name: str) -> TimerStatus | None:
        """None where there is none yet, or a crash left half a file."""
        try:
            return TimerStatus.from_json(json.loads((self._folder / f"{name}.json").read_text()))
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def save(self, name: str, status: TimerStatus) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._folder / f"{name}.json.new"
        unfinished.write_text(json.dumps(status.as_json()))
        os.replace(unfinished, self._folder / f"{name}.json")


def on_start(schedule: Schedule, known: TimerStatus | None, now: datetime) -> TimerStatus:
    """The status to start from; the run is past due if its `next` is already over.

    As the real host's ScheduleMonitor: a new timer waits for its first occurrence, and a schedule that was
    changed meanwhile starts anew, so neither counts as missed.
    """
    if known is None:
        return TimerStatus(None, schedule.after(now), now)
    expected = schedule.after(known.last or known.updated)
    if known.next == expected:
        return known
    return TimerStatus(None, expected if expected >= now else schedule.after(now), now)
