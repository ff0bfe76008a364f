"""shared/times/instants.py: RFC 3339, wall clocks in a time zone, and how far away a time may be."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shared.errors import InvalidRequest
from shared.times import instants
from tests.clock import NOW
from tests.times.clocks import BERLIN, NEW_YORK, utc


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2030-01-31T09:00:00Z", None, utc(2030, 1, 31, 9)),
        ("2030-01-31T09:00:00+01:00", None, utc(2030, 1, 31, 8)),
        ("2030-01-31T09:00:00+01:00", NEW_YORK, utc(2030, 1, 31, 8)),
        ("2030-01-31T09:00", BERLIN, utc(2030, 1, 31, 8)),
        ("2030-07-31T09:00", BERLIN, utc(2030, 7, 31, 7)),
        # skipped by the change to summer time: forward by the gap
        ("2027-03-14T02:30", NEW_YORK, utc(2027, 3, 14, 7, 30)),
        ("2027-03-28T02:30", BERLIN, utc(2027, 3, 28, 1, 30)),
        # twice that night: the first
        ("2026-11-01T01:30", NEW_YORK, utc(2026, 11, 1, 5, 30)),
        ("2026-10-25T02:30", BERLIN, utc(2026, 10, 25, 0, 30)),
    ],
)
def test_a_time_is_one_instant(text: str, zone: ZoneInfo | None, instant: datetime) -> None:
    assert instants.parse(text, "send_at", zone) == instant


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
def test_what_is_no_time_or_has_no_zone_is_refused(text: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        instants.parse(text, "send_at", None)
    assert (caught.value.field, caught.value.status) == ("send_at", 422)
    assert "RFC 3339" in caught.value.message


def test_a_minute_in_the_past_is_accepted_since_clocks_differ() -> None:
    assert instants.send_time("2009-11-23T11:59:01Z", None, now=NOW) == NOW - timedelta(seconds=59)
    for text, right in (("2009-11-23T11:58:59Z", "past"), ("2037-01-01T00:00:00Z", "10 years")):
        with pytest.raises(InvalidRequest, match=right):
            instants.send_time(text, None, now=NOW)


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "", "../../etc/passwd", "/etc/localtime", "America", "x" * 99]
)
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="IANA"):
        instants.zone(name)
