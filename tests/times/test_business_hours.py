"""shared/times/business_hours.py: when the company is open, on its own clocks."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.times import business_hours
from shared.times.business_hours import is_open, parse


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_open_during_hours_and_closed_outside() -> None:
    week = parse("Mon-Fri 09:00-17:00; Sat 10:00-14:00")
    assert is_open(week, "UTC", at("2030-01-31T09:00"))
    assert not is_open(week, "UTC", at("2030-01-31T17:00"))
    assert is_open(week, "UTC", at("2030-02-02T13:59"))
    assert not is_open(week, "UTC", at("2030-02-03T12:00"))


def test_hours_are_wall_clock_in_the_companys_zone() -> None:
    week = parse("Mon-Fri 9:00-17:00")
    assert is_open(week, "Asia/Seoul", at("2030-01-31T00:00"))
    assert not is_open(week, "America/New_York", at("2030-01-31T10:00"))
    # The same instant of the day, an hour apart in summer.
    assert not is_open(week, "America/New_York", at("2030-01-30T13:30"))
    assert is_open(week, "America/New_York", at("2030-07-30T13:30"))


def test_hours_may_run_past_midnight() -> None:
    night = parse("Fri 22:00-02:00")
    assert is_open(night, "UTC", at("2030-02-01T23:00"))
    assert is_open(night, "UTC", at("2030-02-02T01:59"))
    assert not is_open(night, "UTC", at("2030-02-01T01:00"))
    assert is_open(parse("Mon-Sun 00:00-24:00"), "UTC", at("2030-02-01T23:59"))


def test_days_wrap_and_lists_are_read() -> None:
    week = parse("sat-mon 10:00-11:00; Wed,Thu 12:00-13:00")
    assert [day for day in range(7) if any(day in opening.days for opening in week)] == [0, 2, 3, 5, 6]


def test_without_hours_it_is_always_open() -> None:
    assert is_open((), "UTC", at("2030-02-03T03:00"))


@pytest.mark.parametrize("text", ["9-5", "Mon 25:00-26:00", "Monday 09:00-17:00", "Mon-Fri", "Mon 9:00"])
def test_a_wrong_text_is_answered_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="Mon-Fri 09:00-17:00"):
        parse(text)


@given(st.text())
def test_any_text_is_openings_or_a_value_error(text: str) -> None:
    try:
        openings = business_hours.parse(text)
    except ValueError:
        return
    assert all(opening.days <= set(range(7)) for opening in openings)
