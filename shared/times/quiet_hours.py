"""Quiet hours: the hours of a day, on one person's clock, in which nothing is sent."""

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.errors import InvalidRequest
from shared.times.instants import instant

_QUIET = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def check_quiet_hours(value: object, field: str = "quiet_hours") -> str:
    """HH:MM-HH:MM on a 24-hour clock, past midnight if it ends earlier; or "off". Raises InvalidRequest."""
    if value == "off" or (isinstance(value, str) and _QUIET.fullmatch(value) and value[:5] != value[6:]):
        return str(value)
    raise InvalidRequest(field, "must be like 21:00-08:00, or off")


def quiet_until(quiet_hours: str, now: datetime, tz: ZoneInfo) -> datetime | None:
    """The end of the quiet hours, in UTC, if `now` is within them; else None."""
    match = _QUIET.fullmatch(quiet_hours)
    if not match:
        return None
    hours = [int(part) for part in match.groups()]
    start, end = time(hours[0], hours[1]), time(hours[2], hours[3])
    wall = now.astimezone(tz).replace(tzinfo=None)
    clock = wall.time()
    if not (start <= clock < end if start < end else clock >= start or clock < end):
        return None
    day = wall.date() if clock < end else wall.date() + timedelta(days=1)
    until = datetime.combine(day, end)
    ends = instant(until, tz)
    if ends <= now:  # the clocks go back tonight: that hour comes twice, and the first one is over
        ends = until.replace(tzinfo=tz, fold=1).astimezone(UTC)
    return ends
