"""Points in time: read from RFC 3339 or from a wall clock in a time zone, always kept in UTC."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.errors import InvalidRequest

PAST = timedelta(minutes=1)
"""How far in the past a time may be, since the clocks of two machines differ."""
YEARS_AHEAD = 10


def zone(name: str, field: str = "time_zone") -> ZoneInfo:
    """An IANA time zone, such as Europe/Berlin."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise InvalidRequest(field, "must be an IANA time zone, such as Europe/Berlin") from exc


def instant(wall: datetime, tz: ZoneInfo) -> datetime:
    """The instant, in UTC, at which clocks in `tz` show `wall`.

    A wall time that the change to summer time skips is read with the offset before the change, so it moves
    forward by the gap (RFC 5545, 3.3.5). Of a wall time that comes twice, the first one counts.
    """
    return wall.replace(tzinfo=tz, fold=0).astimezone(UTC)


def parse(text: object, field: str, tz: ZoneInfo | None) -> datetime:
    """An RFC 3339 time with an offset, or a local time if `tz` is given; in UTC. Raises InvalidRequest."""
    right = "must be an RFC 3339 time, such as 2030-01-31T09:00:00Z, or a local time with time_zone"
    try:
        given = datetime.fromisoformat(text) if isinstance(text, str) and len(text) > 10 else None
    except ValueError:
        given = None
    if given is None or (given.tzinfo is None and tz is None):
        raise InvalidRequest(field, right)
    try:
        return given.astimezone(UTC) if given.tzinfo else instant(given, tz or ZoneInfo("UTC"))
    except OverflowError as exc:  # at the edge of the year 1 or 9999
        raise InvalidRequest(field, right) from exc


def send_time(text: object, tz: ZoneInfo | None, *, now: datetime) -> datetime:
    """`send_at`: at most a minute in the past, at most ten years ahead. Raises InvalidRequest."""
    due = parse(text, "send_at", tz)
    if due < now - PAST:
        raise InvalidRequest("send_at", f"lies in the past; it is now {now:%Y-%m-%dT%H:%M:%SZ}")
    if due > now + timedelta(days=366 * YEARS_AHEAD):
        raise InvalidRequest("send_at", f"must lie within {YEARS_AHEAD} years")
    return due
