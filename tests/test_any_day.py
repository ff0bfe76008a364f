"""tests/any_day.py: the moments at which the suite is run, and the moved clock itself."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests import any_day, clock


def test_the_moments_lie_ahead_and_are_what_they_are_called() -> None:
    found = {name: at(clock.NOW) for name, at in any_day.MOMENTS.items()}
    assert {name: f"{at:%Y-%m-%d %H:%M}" for name, at in found.items()} == {
        "in-400-days": "2010-12-28 00:30",
        "sunday": "2009-11-29 09:59",
        "leap-day": "2012-02-29 23:59",
        "new-york": "2010-03-14 07:00",
        "berlin": "2010-03-28 01:00",
        "in-ten-years": "2019-11-24 12:00",
    }


@pytest.mark.parametrize("day", range(7))
def test_sunday_is_the_next_one_whatever_day_it_is(day: int) -> None:
    now = clock.NOW + timedelta(days=day)
    at = any_day.MOMENTS["sunday"](now)
    assert at.weekday() == 6
    assert timedelta() < at - now <= timedelta(days=7)


def test_an_unknown_moment_is_refused_by_name() -> None:
    with pytest.raises(SystemExit, match="doomsday is none of in-400-days"):
        any_day.main(["--at", "doomsday"])


MOVED = """
import json, subprocess, sys, time
from datetime import datetime

began, wall = time.monotonic(), time.time()
time.sleep(0.2)
child = "import time; time.sleep(0.01); print(time.time())"
printed = subprocess.run([sys.executable, "-c", child], capture_output=True, check=True).stdout
print(json.dumps([wall, float(printed), time.monotonic() - began]))
"""


@pytest.mark.skipif("FAKETIME" in os.environ, reason="our own clock is moved already")
def test_a_moved_clock_is_that_of_every_child_and_sleeping_takes_as_long_as_it_says() -> None:
    try:
        preload = any_day.library()
    except SystemExit as exc:
        pytest.skip(str(exc))
    moved = timedelta(days=400)
    run = subprocess.run(
        [sys.executable, "-c", MOVED],
        env=any_day.environment(moved, preload),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    wall, of_the_child, took = json.loads(run.stdout)
    ahead = datetime.fromtimestamp(wall, UTC) - datetime.now(UTC)
    assert abs(ahead - moved) < timedelta(minutes=1)
    assert 0.2 < of_the_child - wall < 30
    assert 0.2 < took < 30
