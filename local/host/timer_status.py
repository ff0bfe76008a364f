"""What is remembered of a timer between two runs of the host.

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

    A new timer waits for its first occurrence. A schedule that was changed meanwhile starts anew. So neither
    counts as missed. Source: ScheduleMonitor.CheckPastDueAsync.
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
