"""shared/times/quiet_hours.py: when quiet hours hold, and when they end."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import InvalidRequest
from shared.times import quiet_hours
from tests.times.clocks import BERLIN, NEW_YORK, minutes, utc


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        ("21:00-08:00", utc(2026, 11, 23, 22), utc(2026, 11, 24, 8)),
        ("21:00-08:00", utc(2026, 11, 23, 7, 59), utc(2026, 11, 23, 8)),
        ("21:00-08:00", utc(2026, 11, 23, 8), None),
        ("21:00-08:00", utc(2026, 11, 23, 20, 59), None),
        ("21:00-08:00", utc(2026, 11, 23, 21), utc(2026, 11, 24, 8)),
        ("12:00-14:00", utc(2026, 11, 23, 13), utc(2026, 11, 23, 14)),
        ("12:00-14:00", utc(2026, 11, 23, 15), None),
        ("off", utc(2026, 11, 23, 22), None),
        ("", utc(2026, 11, 23, 22), None),
    ],
)
def test_quiet_hours_end(hours: str, now: datetime, until: datetime | None) -> None:
    assert quiet_hours.quiet_until(hours, now, ZoneInfo("UTC")) == until


@example((22, 0, 1, 30), NEW_YORK, utc(2026, 11, 1, 6, 10))
@given(
    st.tuples(st.integers(0, 23), st.integers(0, 59), st.integers(0, 23), st.integers(0, 59)),
    st.sampled_from([NEW_YORK, BERLIN, ZoneInfo("Australia/Lord_Howe")]),
    # the nights in which the clocks of the three zones change
    st.one_of(
        minutes(utc(2026, 10, 24), days=9),
        minutes(utc(2027, 3, 13), days=23),
    ),
)
def test_quiet_hours_end_later_and_within_a_day(
    clock: tuple[int, int, int, int], zone: ZoneInfo, now: datetime
) -> None:
    """This holds also if the hour in which they end comes twice."""
    until = quiet_hours.quiet_until("{:02}:{:02}-{:02}:{:02}".format(*clock), now, zone)
    assert until is None or now < until <= now + timedelta(hours=25)


@pytest.mark.parametrize("value", ["", "21-8", "24:00-08:00", "21:00-21:00", "21:00-08:60", 21, None])
def test_what_are_no_quiet_hours_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest, match="21:00-08:00, or off"):
        quiet_hours.check_quiet_hours(value)
