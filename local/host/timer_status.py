"""The status of a timer, which is kept between two runs of the host.

Source: ScheduleMonitor in azure-webjobs-sdk-extensions. In Azure it lies in a blob.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from local.host.schedule import Schedule


@dataclass(frozen=True, slots=True)
class TimerStatus:
    """last: when the timer last ran, or None. next: when it is due. updated: from when `next` was counted."""

    last: datetime | None
    next: datetime
    updated: datetime

    def as_json(self) -> dict[str, str]:
        """The form in which the real host stores it and gives it to the function."""
        return {
            "Last": (self.last or datetime.min.replace(tzinfo=UTC)).isoformat(),
            "Next": self.next.isoformat(),
            "LastUpdated": self.updated.isoformat(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, str]) -> "TimerStatus":
        """Read what as_json wrote. Raises ValueError or KeyError for anything else."""
        last, due, updated = (
            datetime.fromisoformat(values[name]).astimezone(UTC) for name in ("Last", "Next", "LastUpdated")
        )
        return cls(None if last.year == 1 else last, due, updated)


class TimerStatuses:
    """The statuses in a folder: one file for each timer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, name: str) -> TimerStatus | None:
        """The status of a timer; None if there is no file, or if a crash left half of one."""
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

    A new timer waits for its first occurrence. A timer whose schedule was changed waits for its next one.
    Neither is past due. Source: ScheduleMonitor.CheckPastDueAsync.
    """
    if known is None:
        return TimerStatus(None, schedule.after(now), now)
    counted_from = known.last or known.updated
    expected = schedule.after(counted_from)
    if known.next == expected:
        return known
    if now > expected:
        return TimerStatus(None, schedule.after(now), now)
    return TimerStatus(None, expected, counted_from)
