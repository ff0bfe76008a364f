"""Clocks for the tests of times: two time zones, instants in UTC, and any minute of some days."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def minutes(start: datetime, days: int) -> st.SearchStrategy[datetime]:
    """Any minute of these days."""
    return st.integers(0, days * 1440).map(lambda minute: start + timedelta(minutes=minute))
