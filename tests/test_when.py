"""shared/when.py: instants, wall clocks, recurrence rules and quiet hours."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared import when
from shared.errors import InvalidRequest
from tests.clock import NOW

NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def minutes(start: datetime, days: int) -> st.SearchStrategy[datetime]:
    """Any minute of these days."""
    return st.integers(0, days * 1440).map(lambda minute: start + timedelta(minutes=minute))


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2030-01-31T09:00:00Z", None, utc(2030, 1, 31, 9)),
        ("2030-01-31T09:00:00+01:00", None, utc(2030, 1, 31, 8)),
        ("2030-01-31T09:00:00+01:00", NEW_YORK, utc(2030, 1, 31, 8)),
        ("2030-01-31T09:00", BERLIN, utc(2030, 1, 31, 8)),
        ("2030-07-31T09:00", BERLIN, utc(2030, 7, 31, 7)),
        # skipped by DST: on by the gap
        ("2027-03-14T02:30", NEW_YORK, utc(2027, 3, 14, 7, 30)),
        ("2027-03-28T02:30", BERLIN, utc(2027, 3, 28, 1, 30)),
        # twice that night: the first
        ("2026-11-01T01:30", NEW_YORK, utc(2026, 11, 1, 5, 30)),
        ("2026-10-25T02:30", BERLIN, utc(2026, 10, 25, 0, 30)),
    ],
)
def test_a_time_is_one_instant(text: str, zone: ZoneInfo | None, instant: datetime) -> None:
    assert when.parse(text, "send_at", zone) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2030-01-31",
        "2030-01-31T09:00",
        "2030-13-01T09:00Z",
        1896080400,
        None,
        True,
        ["x"],
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "2030-01-31T09:00:00+25:00",
    ],
)
def test_a_time_that_is_none_or_has_no_zone_is_refused(text: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        when.parse(text, "send_at", None)
    assert (caught.value.field, caught.value.status) == ("send_at", 422)
    assert "RFC 3339" in caught.value.message


def test_a_minute_of_the_past_is_let_pass_for_clocks_that_differ() -> None:
    assert when.send_time("2009-11-23T11:59:01Z", None, now=NOW) == NOW - timedelta(seconds=59)
    for text, right in (("2009-11-23T11:58:59Z", "past"), ("2037-01-01T00:00:00Z", "10 years")):
        with pytest.raises(InvalidRequest, match=right):
            when.send_time(text, None, now=NOW)


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "", "../../etc/passwd", "/etc/localtime", "America", "x" * 99]
)
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="IANA"):
        when.zone(name)


# Recurrence


def occurrences(rule: str, first: datetime, zone: ZoneInfo, count: int) -> list[datetime]:
    found: list[datetime] = []
    after: datetime | None = first
    while after and len(found) < count:
        after = when.following(rule, first, zone, after=after)
        found += [after] if after else []
    return found


def test_nine_o_clock_stays_nine_o_clock_when_clocks_change() -> None:
    first = when.parse("2026-10-30T09:00", "send_at", NEW_YORK)
    found = occurrences("FREQ=DAILY", first, NEW_YORK, 3)
    assert found == [utc(2026, 10, 31, 13), utc(2026, 11, 1, 14), utc(2026, 11, 2, 14)]


@pytest.mark.parametrize("zone", [NEW_YORK, BERLIN])
def test_an_occurrence_in_the_gap_moves_on_and_one_in_the_fold_happens_once(zone: ZoneInfo) -> None:
    spring = {NEW_YORK: "2027-03-13T02:30", BERLIN: "2027-03-27T02:30"}[zone]
    first = when.parse(spring, "send_at", zone)
    days = [each.astimezone(zone) for each in occurrences("FREQ=DAILY", first, zone, 2)]
    assert [(each.hour, each.minute) for each in days] == [(3, 30), (2, 30)]
    autumn = {NEW_YORK: "2026-10-31T01:30", BERLIN: "2026-10-24T02:30"}[zone]
    first = when.parse(autumn, "send_at", zone)
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
    first = when.parse("2026-11-23T20:00", "send_at", NEW_YORK)  # 01:00 UTC on the 24th
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
        when.check_rule(rule, NOW, ZoneInfo("UTC"))
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
        when.check_rule(rule, NOW, ZoneInfo("UTC"))


@pytest.mark.timeout(30)
def test_a_rule_that_never_comes_true_is_refused_at_once() -> None:
    """dateutil would look for 30 February until the year 9999, and nothing else could run meanwhile."""
    for rule in ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30"):
        with pytest.raises(InvalidRequest, match="never"):
            when.check_rule(rule, NOW, ZoneInfo("UTC"))


def test_a_rule_is_kept_in_one_form() -> None:
    assert when.check_rule("RRULE:freq=weekly;byday=mo,th", NOW, BERLIN) == "FREQ=WEEKLY;BYDAY=MO,TH"


# Quiet hours


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
    assert when.quiet_until(hours, now, ZoneInfo("UTC")) == until


@example((22, 0, 1, 30), NEW_YORK, utc(2026, 11, 1, 6, 10))
@given(
    st.tuples(st.integers(0, 23), st.integers(0, 59), st.integers(0, 23), st.integers(0, 59)),
    st.sampled_from([NEW_YORK, BERLIN, ZoneInfo("Australia/Lord_Howe")]),
    # over the nights in which the clocks of the three change
    st.one_of(
        minutes(utc(2026, 10, 24), days=9),
        minutes(utc(2027, 3, 13), days=23),
    ),
)
def test_quiet_hours_end_later_and_within_a_day(
    clock: tuple[int, int, int, int], zone: ZoneInfo, now: datetime
) -> None:
    """Also where the hour in which they end comes twice."""
    until = when.quiet_until("{:02}:{:02}-{:02}:{:02}".format(*clock), now, zone)
    assert until is None or now < until <= now + timedelta(hours=25)


@pytest.mark.parametrize("value", ["", "21-8", "24:00-08:00", "21:00-21:00", "21:00-08:60", 21, None])
def test_what_are_no_quiet_hours_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest, match="21:00-08:00, or off"):
        when.check_quiet_hours(value)
