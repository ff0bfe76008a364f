"""Recurrence rules (RFC 5545): which are valid, and when the next occurrence is."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.errors import InvalidRequest
from shared.times.instants import instant

_RULE_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYSETPOS", "BYMONTH", "BYMONTHDAY", "BYYEARDAY"}
_RULE_PARTS |= {"BYWEEKNO", "BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND"}


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
    # dateutil never ends its search for the next occurrence of INTERVAL=0
    if not all(re.fullmatch("[1-9][0-9]{0,5}", parts.get(name, "1")) for name in ("INTERVAL", "COUNT")):
        raise InvalidRequest("repeat", right)
    try:
        recurs = _recurs({name: parts[name] for name in parts if name not in {"COUNT", "UNTIL"}}, due)
        if recurs:
            following(rule, due, tz, after=due)
    except (ValueError, TypeError, OverflowError, AttributeError, IndexError) as exc:
        raise InvalidRequest("repeat", right) from exc
    if not recurs:
        raise InvalidRequest("repeat", "never comes, as 30 February does not")
    return rule


def _recurs(parts: Mapping[str, str], due: datetime) -> bool:
    """Whether a rule has another occurrence at all.

    dateutil searches until the year 9999, and blocks everything else meanwhile. The calendar repeats every
    400 years, so this starts in an equal year after 9600, and leaves it less than 400 years to search.
    """
    from dateutil.rrule import rrulestr

    start = due.replace(year=9600 + due.year % 400, tzinfo=None)
    series = rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=start)
    return next(series.xafter(start), None) is not None


def following(rule: str, first: datetime, tz: ZoneInfo, *, after: datetime) -> datetime | None:
    """The first occurrence after `after` of the series that began at `first`, or None at its end.

    The rule runs on the wall clock of `tz`: nine o'clock stays nine o'clock when the clocks change.
    """
    from dateutil.rrule import rrulestr

    def wall_clock(match: re.Match[str]) -> str:
        until = datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).astimezone(tz)
        return f"UNTIL={until:%Y%m%dT%H%M%S}"

    local = re.sub(r"UNTIL=(\d{8}T\d{6}Z)", wall_clock, rule)
    start = first.astimezone(tz).replace(tzinfo=None)
    series = rrulestr(local, dtstart=start)
    wall = after.astimezone(tz).replace(tzinfo=None)
    # An hour may come twice or not at all. So start a little earlier, and compare instants.
    for each in series.xafter(wall - timedelta(hours=3)):
        moment = instant(each, tz)
        if moment > after:
            return moment
    return None
