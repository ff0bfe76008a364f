"""Business hours, such as `Mon-Fri 09:00-17:00; Sat 10:00-14:00`, in the company's time zone."""

import re
from dataclasses import dataclass
from datetime import datetime, time

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PART = re.compile(r"([A-Za-z,\- ]+?)\s+(\d{1,2}:\d{2})\s*-\s*(\d{1,2}:\d{2})")
EXAMPLE = "Mon-Fri 09:00-17:00; Sat 10:00-14:00"


@dataclass(frozen=True, slots=True)
class Opening:
    """Open on these weekdays (0 is Monday) from `start` until `end`; if end <= start, until the next day."""

    days: frozenset[int]
    start: time
    end: time

    def covers(self, weekday: int, clock: time) -> bool:
        if self.start < self.end:
            return weekday in self.days and self.start <= clock < self.end
        yesterday = (weekday - 1) % 7
        return (weekday in self.days and clock >= self.start) or (yesterday in self.days and clock < self.end)


def parse(text: str) -> tuple[Opening, ...]:
    """The openings of a week. Raises ValueError with a correct example."""
    openings = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = PART.fullmatch(part)
        try:
            if not match:
                raise ValueError(part)
            openings.append(Opening(_days(match[1]), _clock(match[2]), _clock(match[3])))
        except ValueError as exc:
            raise ValueError(f"must be like {EXAMPLE} (24:00 is midnight)") from exc
    return tuple(openings)


def is_open(openings: tuple[Opening, ...], zone: str, now: datetime) -> bool:
    """Whether `now` (aware) is in business hours, in the IANA time zone `zone`; without openings always."""
    if not openings:
        return True
    from zoneinfo import ZoneInfo

    local = now.astimezone(ZoneInfo(zone))
    return any(opening.covers(local.weekday(), local.time()) for opening in openings)


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        start = DAYS.index(first)
        length = (DAYS.index(last) - start) % 7 if dash else 0
        days.update((start + offset) % 7 for offset in range(length + 1))
    return frozenset(days)


def _clock(text: str) -> time:
    return time() if text == "24:00" else time.fromisoformat(text.zfill(5))
