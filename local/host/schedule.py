"""When a timer runs: NCRONTAB as NCrontab reads it, in UTC.

Sources: CrontabFieldImpl, CrontabField and CrontabSchedule in atifaziz/NCrontab. TimerSchedule and
CronSchedule in azure-webjobs-sdk-extensions choose between five and six fields, and decide what is monitored.
"""

import re
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

NEVER = datetime.max.replace(tzinfo=UTC)
"""The next occurrence of a schedule that has none, such as 30 February: as in NCrontab, no error."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
# int.Parse of .NET takes white space and a sign; a value of a field has to start with a digit all the same.
_NUMBER = re.compile(r"[0-9]+[\t-\r \0]*")
_STEP = re.compile(r"[\t-\r ]*[+-]?[0-9]+[\t-\r \0]*")
_TIME_SPAN = re.compile(r"\s*-?(?:[0-9]+\.)?[0-9]+:[0-9]+(?::[0-9]+(?:\.[0-9]+)?)?\s*|\s*-?[0-9]+\s*")
_MOST_INT32 = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a schedule: its name, the range of its values, and their names if they have any."""

    name: str
    lowest: int
    highest: int
    names: Sequence[str] = ()

    def values(self, text: str) -> tuple[int, ...]:
        """What the text stands for, in order. Raises ValueError."""
        parts = text.split(",") if text.find(",") > 0 else [text]
        try:
            return tuple(sorted({value for part in parts for value in self._part(part)}))
        except ValueError as exc:
            raise ValueError(f"has a wrong {self.name}: {text!r} ({exc})") from exc

    def _part(self, text: str) -> range:
        step = None
        if text.find("/") > 0:
            text, _, every = text.partition("/")
            # NCrontab takes 0 and what is negative for 1.
            step = max(_whole_number(every, _STEP), 1)
        if text == "*":
            return range(self.lowest, self.highest + 1, step or 1)
        if text.find("-") > 0:
            first, _, last = text.partition("-")
            return self._range(self._value(first), self._value(last), step or 1)
        value = self._value(text)
        return self._range(value, value if step is None else self.highest, step or 1)

    def _range(self, first: int, last: int, step: int) -> range:
        """A range that is written the wrong way round is turned round: 22-2 is 2-22."""
        first, last = min(first, last), max(first, last)
        if first < self.lowest or last > self.highest:
            raise ValueError(f"must be from {self.lowest} to {self.highest}")
        return range(first, last + 1, step)

    def _value(self, text: str) -> int:
        """A number, or the beginning of a name in any case: `J` fits several, and the first one counts."""
        if text[:1].isascii() and text[:1].isdigit():
            return _whole_number(text, _NUMBER)
        for number, name in enumerate(self.names):
            if text and name.lower().startswith(text.lower()):
                return number + self.lowest
        raise ValueError(f"{text!r} is no value" if text else "a value is missing")


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day-of-week", 0, 6, _DAYS),
)


class Schedule:
    """Six fields: second minute hour day month day-of-week; or five, without the second.

    A day must fit both day fields; in Unix cron one of them is enough. Raises ValueError.
    """

    def __init__(self, text: str) -> None:
        fields = [each for each in text.split(" ") if each]
        if len(fields) == 5:
            fields.insert(0, "0")
        if len(fields) != 6:
            if _TIME_SPAN.fullmatch(text):
                raise ValueError("is a time span, which only App Service plans take")
            names = " ".join(each.name for each in _FIELDS)
            raise ValueError(f"must have six fields ({names}), or five without the second; has {len(fields)}")
        self.text = text
        self._values = [field.values(each) for field, each in zip(_FIELDS, fields, strict=True)]

    @property
    def has_monitor(self) -> bool:
        """Whether a missed run is made up for: not if the timer runs several times in every minute.

        Source: TimerSchedule.ShouldDisableScheduleMonitor.
        """
        seconds, *others = self._values
        wide = all(
            len(values) == field.highest - field.lowest + 1
            for values, field in zip(others, _FIELDS[1:], strict=True)
        )
        return not (wide and len(seconds) > 1)

    def after(self, moment: datetime) -> datetime:
        """The first occurrence later than `moment`; NEVER if there is none up to the year 9999."""
        if moment >= NEVER - timedelta(seconds=1):
            return NEVER
        start = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        for day in self._days(start.date()):
            if found := self._time(start.time() if day == start.date() else time()):
                return datetime.combine(day, found, UTC)
        return NEVER

    def _days(self, start: date) -> Iterator[date]:
        """The days of the schedule, from `start` on."""
        days, months, weekdays = self._values[3:]
        for year in range(start.year, date.max.year + 1):
            for month in months:
                if (year, month) < (start.year, start.month):
                    continue
                length = monthrange(year, month)[1]
                for day in (date(year, month, each) for each in days if each <= length):
                    if day >= start and day.isoweekday() % 7 in weekdays:
                        yield day

    def _time(self, start: time) -> time | None:
        """The first time of the schedule on a day, from `start` on."""
        seconds, minutes, hours = self._values[:3]
        for hour in (each for each in hours if each >= start.hour):
            for minute in minutes:
                if (hour, minute) < (start.hour, start.minute):
                    continue
                at_once = (hour, minute) > (start.hour, start.minute)
                for second in seconds:
                    if at_once or second >= start.second:
                        return time(hour, minute, second)
        return None


def _whole_number(text: str, shape: re.Pattern[str]) -> int:
    if not shape.fullmatch(text):
        raise ValueError(f"{text!r} is no whole number")
    value = int(text.strip("\t\n\v\f\r \0"))
    if abs(value) > _MOST_INT32:
        raise ValueError(f"{text} is too large")
    return value
