"""Times as people give them: instants, wall clocks in a time zone, recurrence rules and quiet hours."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.errors import InvalidRequest

PAST = timedelta(minutes=1)
"""How far back a time may lie, for clocks that differ."""
YEARS_AHEAD = 10

_RULE_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYSETPOS", "BYMONTH", "BYMONTHDAY", "BYYEARDAY"}
_RULE_PARTS |= {"BYWEEKNO", "BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND"}
_QUIET = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def zone(name: str, field: str = "time_zone") -> ZoneInfo:
    """An IANA time zone, such as Europe/Berlin."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise InvalidRequest(field, "must be an IANA time zone, such as Europe/Berlin") from exc


def instant(wall: datetime, tz: ZoneInfo) -> datetime:
    """The instant, in UTC, at which clocks in `tz` show `wall`.

    A wall time that DST skips moves forward by the gap (RFC 5545, 3.3.5: the offset before it holds); one
    that comes twice means its first coming, so it happens once.
    """
    return wall.replace(tzinfo=tz, fold=0).astimezone(UTC)


def parse(text: object, field: str, tz: ZoneInfo | None) -> datetime:
    """An RFC 3339 time with an offset, or a local one where a time zone is given; in UTC."""
    right = "must be an RFC 3339 time, such as 2030-01-31T09:00:00Z, or a local time with time_zone"
    try:
        given = datetime.fromisoformat(text) if isinstance(text, str) and len(text) > 10 else None
    except ValueError:
        given = None
    if given is None or (given.tzinfo is None and tz is None):
        raise InvalidRequest(field, right)
    try:
        return given.astimezone(UTC) if given.tzinfo else instant(given, tz or ZoneInfo("UTC"))
    except OverflowError as exc:  # on the edge of year 1 or 9999
        raise InvalidRequest(field, right) from exc


def send_time(text: object, tz: ZoneInfo | None, *, now: datetime) -> datetime:
    """`send_at`, checked: not over a minute past, not over ten years ahead."""
    due = parse(text, "send_at", tz)
    if due < now - PAST:
        raise InvalidRequest("send_at", f"lies in the past; it is now {now:%Y-%m-%dT%H:%M:%SZ}")
    if due > now + timedelta(days=366 * YEARS_AHEAD):
        raise InvalidRequest("send_at", f"must lie within {YEARS_AHEAD} years")
    return due


def check_rule(rule: object, due: datetime, tz: ZoneInfo) -> str:
    """A recurrence rule (RFC 5545, 3.3.10), such as FREQ=WEEKLY;BYDAY=MO,TH. Raises InvalidRequest."""
    right = "must be an RFC 5545 recurrence rule, such as FREQ=WEEKLY;BYDAY=MO,TH"
    if not isinstance(rule, str) or "\n" in rule or not 0 < len(rule) <= 500:
        raise InvalidRequest("repeat", right)
    rule = rule.upper().removeprefix("RRULE:")
    parts = dict(part.partition("=")[::2] for part in rule.split(";"))
    if len(parts) != rule.count(";") + 1 or not set(parts) <= _RULE_PARTS:
        raise InvalidRequest("repeat", right)
    minutes_or_seconds = parts.get("BYMINUTE", "") + parts.get("BYSECOND", "")
    if parts.get("FREQ") in {"SECONDLY", "MINUTELY"} or "," in minutes_or_seconds:
        raise InvalidRequest("repeat", "must not repeat more often than every hour")
    # dateutil would look for the next of INTERVAL=0 for ever
    if not all(re.fullmatch("[1-9][0-9]{0,5}", parts.get(name, "1")) for name in ("INTERVAL", "COUNT")):
        raise InvalidRequest("repeat", right)
    try:
        comes = _comes_true({name: parts[name] for name in parts if name not in {"COUNT", "UNTIL"}}, due)
        if comes:
            following(rule, due, tz, after=due)
    except (ValueError, TypeError, OverflowError, AttributeError, IndexError) as exc:
        raise InvalidRequest("repeat", right) from exc
    if not comes:
        raise InvalidRequest("repeat", "never comes, as 30 February does not")
    return rule


def _comes_true(parts: Mapping[str, str], due: datetime) -> bool:
    """Does a rule come again at all? dateutil looks until the year 9999, and nothing else runs meanwhile.

    The calendar repeats every 400 years, so we ask from a year that leaves it less than that to look through.
    """
    from dateutil.rrule import rrulestr

    start = due.replace(year=9600 + due.year % 400, tzinfo=None)
    series = rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=start)
    return next(series.xafter(start), None) is not None


def following(rule: str, first: datetime, tz: ZoneInfo, *, after: datetime) -> datetime | None:
    """The first time of the series that began at `first` which lies after `after`, or None at its end.

    The rule runs on the wall clock of `tz`, so nine o'clock stays nine o'clock when clocks change.
    """
    from dateutil.rrule import rrulestr

    def wall_clock(match: re.Match[str]) -> str:
        until = datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).astimezone(tz)
        return f"UNTIL={until:%Y%m%dT%H%M%S}"

    local = re.sub(r"UNTIL=(\d{8}T\d{6}Z)", wall_clock, rule)
    start = first.astimezone(tz).replace(tzinfo=None)
    series = rrulestr(local, dtstart=start)
    wall = after.astimezone(tz).replace(tzinfo=None)
    # An hour may come twice or not at all: look from a little before, and compare instants.
    for each in series.xafter(wall - timedelta(hours=3)):
        moment = instant(each, tz)
        if moment > after:
            return moment
    return None


def check_quiet_hours(value: object, field: str = "quiet_hours") -> str:
    """HH:MM-HH:MM on a 24-hour clock, over midnight where the end is the earlier; or "off"."""
    if value == "off" or (isinstance(value, str) and _QUIET.fullmatch(value) and value[:5] != value[6:]):
        return str(value)
    raise InvalidRequest(field, "must be like 21:00-08:00, or off")


def quiet_until(quiet_hours: str, now: datetime, tz: ZoneInfo) -> datetime | None:
    """When the quiet hours that hold now end, in UTC; None where they do not hold."""
    match = _QUIET.fullmatch(quiet_hours)
    if not match:
        return None
    hours = [int(part) for part in match.groups()]
    start, end = time(hours[0], hours[1]), time(hours[2], hours[3])
    wall = now.astimezone(tz).replace(tzinfo=None)
    clock = wall.time()
    holds = start <= clock < end if start < end else clock >= start or clock < end
    if not holds:
        return None
    day = wall.date() if clock < end else wall.date() + timedelta(days=1)
    until = datetime.combine(day, end)
    ends = instant(until, tz)
    if ends <= now:  # in the night in which that hour comes twice, its first coming is over
        ends = until.replace(tzinfo=tz, fold=1).astimezone(UTC)
    return ends
