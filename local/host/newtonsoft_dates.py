"""Texts that Newtonsoft.Json takes for dates, and how it writes them again.

Azure's host reads JSON with Newtonsoft.Json, whose reader turns such a text into a DateTime without being
asked. Source: DateTimeUtils.TryParseDateTime, DateTimeParser and DateTimeUtils.WriteDateTimeString in
JamesNK/Newtonsoft.Json. The time zone of the host is UTC, as it is in Azure.
"""

import re
from dataclasses import dataclass
from datetime import MAXYEAR, date
from typing import Literal

_TICKS_A_SECOND = 10_000_000
_TICKS_A_DAY = 86_400 * _TICKS_A_SECOND
_MOST_TICKS = (date(MAXYEAR, 12, 31).toordinal()) * _TICKS_A_DAY - 1
_EPOCH_TICKS = (date(1970, 1, 1).toordinal() - 1) * _TICKS_A_DAY
_MOST_INT64 = 2**63 - 1

# A zone may lack its minutes; without a sign, two digits or a colon are read over and mean nothing.
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,7}))?"
    r"(?:([Zz])|([+-])(\d\d)(?::?(\d\d)|:)?|:(?:\d\d)?|\d\d)?",
    re.ASCII,
)
_MICROSOFT = re.compile(r"/Date\((-?\d+)([+-]\d\d(?:\d\d.*)?)?\)/", re.ASCII | re.DOTALL)


class DateOutOfRange(ValueError):
    """A date that .NET's DateTime cannot hold; Newtonsoft.Json raises too."""


@dataclass(frozen=True, slots=True)
class Date:
    """ticks: tenths of a microsecond since year 1. zone: what stands behind the time when it is written."""

    ticks: int
    zone: Literal["", "Z", "+00:00"]

    def iso(self) -> str:
        """As in JSON: `2026-11-28T15:00:00.5Z`, with as many digits of a second as there are."""
        days, rest = divmod(self.ticks, _TICKS_A_DAY)
        seconds, fraction = divmod(rest, _TICKS_A_SECOND)
        digits = f".{fraction:07}".rstrip("0") if fraction else ""
        return f"{date.fromordinal(days + 1).isoformat()}T{_clock(seconds)}{digits}{self.zone}"

    def plain(self) -> str:
        """As DateTime.ToString writes it in the invariant culture: `11/28/2026 15:00:00`."""
        days, rest = divmod(self.ticks, _TICKS_A_DAY)
        day = date.fromordinal(days + 1)
        return f"{day.month:02}/{day.day:02}/{day.year:04} {_clock(rest // _TICKS_A_SECOND)}"


def parse(text: str) -> Date | None:
    """The date that Newtonsoft.Json sees in this text, None if it leaves the text alone.

    Raises DateOutOfRange.
    """
    if text.startswith("/"):
        return _microsoft(text)
    return _iso(text) if 19 <= len(text) <= 40 else None


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _microsoft(text: str) -> Date | None:
    match = _MICROSOFT.fullmatch(text)
    if not match or abs(int(match[1])) > _MOST_INT64:
        return None
    ticks = int(match[1]) * 10_000 + _EPOCH_TICKS
    if not 0 <= ticks <= _MOST_TICKS:
        raise DateOutOfRange(f"{text} is no date that .NET can hold")
    return Date(ticks, "+00:00" if match[2] else "Z")


def _iso(text: str) -> Date | None:
    match = _ISO.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(each) for each in match.groups()[:6])
    fraction = int((match[7] or "").ljust(7, "0"))
    if hour > 24 or minute > 59 or second > 59 or (hour == 24 and minute + second + fraction):
        return None
    try:
        days = date(year, month, day).toordinal() - 1
    except ValueError:
        return None
    ticks = days * _TICKS_A_DAY + (hour * 3600 + minute * 60 + second) * _TICKS_A_SECOND + fraction
    if ticks > _MOST_TICKS:
        raise DateOutOfRange(f"{text} is no date that .NET can hold")
    if match[8]:
        return Date(ticks, "Z")
    if not match[9]:
        return Date(ticks, "")
    offset = (int(match[10]) * 60 + int(match[11] or 0)) * 60 * _TICKS_A_SECOND
    utc = ticks - offset if match[9] == "+" else ticks + offset
    return Date(min(max(utc, 0), _MOST_TICKS), "+00:00")
