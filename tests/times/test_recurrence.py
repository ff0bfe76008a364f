"""shared/times/recurrence.py: which rules are valid, and when the next occurrence is."""

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidRequest
from shared.times import instants, recurrence
from tests.clock import NOW
from tests.times.clocks import BERLIN, NEW_YORK, minutes, utc


def occurrences(rule: str, first: datetime, zone: ZoneInfo, count: int) -> list[datetime]:
    found: list[datetime] = []
    after: datetime | None = first
    while after and len(found) < count:
        after = recurrence.following(rule, first, zone, after=after)
        found += [after] if after else []
    return found


def test_nine_o_clock_stays_nine_o_clock_when_clocks_change() -> None:
    first = instants.parse("2026-10-30T09:00", "send_at", NEW_YORK)
    found = occurrences("FREQ=DAILY", first, NEW_YORK, 3)
    assert found == [utc(2026, 10, 31, 13), utc(2026, 11, 1, 14), utc(2026, 11, 2, 14)]


@pytest.mark.parametrize("zone", [NEW_YORK, BERLIN])
def test_an_occurrence_in_the_gap_moves_forward_and_one_in_the_fold_happens_once(zone: ZoneInfo) -> None:
    spring = {NEW_YORK: "2027-03-13T02:30", BERLIN: "2027-03-27T02:30"}[zone]
    first = instants.parse(spring, "send_at", zone)
    days = [each.astimezone(zone) for each in occurrences("FREQ=DAILY", first, zone, 2)]
    assert [(each.hour, each.minute) for each in days] == [(3, 30), (2, 30)]
    autumn = {NEW_YORK: "2026-10-31T01:30", BERLIN: "2026-10-24T02:30"}[zone]
    first = instants.parse(autumn, "send_at", zone)
    nights = [each.astimezone(zone) for each in occurrences("FREQ=DAILY", first, zone, 2)]
    assert nights[0].date() + timedelta(days=1) == nights[1].date()
    assert nights[0].fold == 0


def test_a_series_ends() -> None:
    first = utc(2026, 11, 23, 9)
    assert len(occurrences("FREQ=DAILY;COUNT=3", first, ZoneInfo("UTC"), 9)) == 2
    assert occurrences("FREQ=DAILY;UNTIL=20261125T090000Z", first, ZoneInfo("UTC"), 9) == [
        utc(2026, 11, 24, 9),
        utc(2026, 11, 25, 9),
    ]


def test_until_is_an_instant_whatever_the_zone() -> None:
    first = instants.parse("2026-11-23T20:00", "send_at", NEW_YORK)  # 01:00 UTC on the 24th
    found = occurrences("FREQ=DAILY;UNTIL=20261125T010000Z", first, NEW_YORK, 9)
    assert found == [utc(2026, 11, 25, 1)]


@given(
    st.sampled_from(["FREQ=DAILY", "FREQ=HOURLY", "FREQ=WEEKLY;BYDAY=SU", "FREQ=MONTHLY;BYMONTHDAY=31"]),
    st.sampled_from([NEW_YORK, BERLIN, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu")]),
    minutes(utc(2026, 1, 1), days=730),
)
def test_each_occurrence_lies_after_the_one_before(rule: str, zone: ZoneInfo, first: datetime) -> None:
    found = [first, *occurrences(rule, first, zone, 5)]
    assert len(found) == 6
    assert all(one < other for one, other in pairwise(found))


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "daily",
        "FREQ=SOMETIMES",
        "FREQ=DAILY;BYDAY=XX",
        "FREQ=DAILY\nFREQ=DAILY",
        7,
        None,
        ["FREQ=DAILY"],
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;UNTIL=20301399T000000Z",
        "FREQ=DAILY;" * 99,
        "EXDATE:20300101T000000",
        "DTSTART:20300101T000000",
        "RRULE:EXRULE:FREQ=DAILY",
        "FREQ=HOURLY;BYHOUR=25",
    ],
)
def test_what_is_no_rule_is_refused(rule: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        recurrence.check_rule(rule, NOW, ZoneInfo("UTC"))
    assert caught.value.field == "repeat"


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY",
        "FREQ=MINUTELY;INTERVAL=30",
        "FREQ=HOURLY;BYMINUTE=0,1",
        "FREQ=DAILY;BYSECOND=0,30",
        "FREQ=DAILY;BYHOUR=9;BYMINUTE=0,15,30",
    ],
)
def test_nothing_repeats_within_an_hour(rule: str) -> None:
    with pytest.raises(InvalidRequest, match="more often than every hour"):
        recurrence.check_rule(rule, NOW, ZoneInfo("UTC"))


@pytest.mark.timeout(30)
def test_a_rule_without_an_occurrence_is_refused_at_once() -> None:
    """dateutil would search for 30 February until the year 9999, and block everything else meanwhile."""
    for rule in ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30"):
        with pytest.raises(InvalidRequest, match="never"):
            recurrence.check_rule(rule, NOW, ZoneInfo("UTC"))


def test_a_rule_is_kept_in_one_form() -> None:
    assert recurrence.check_rule("RRULE:freq=weekly;byday=mo,th", NOW, BERLIN) == "FREQ=WEEKLY;BYDAY=MO,TH"
