"""`make test-any-day`: the whole suite again and again, each time with the clock at another moment.

    python -m tests.any_day [--at NAME]... [what pytest takes]

The time of day is moved by libfaketime (Debian's package `faketime`), for every process that a test starts,
Azurite included. What measures how long something takes (the monotonic clock) stays true. Set up first: with
a moved clock, TLS refuses every certificate.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from local.launcher.orphans import adopted

ROOT = Path(__file__).parent.parent
SHORTLY = timedelta(minutes=3)
"""A run that begins so long before a moment goes through it."""


def next_change(now: datetime, zone: str) -> datetime:
    """When the clocks of this zone change next."""
    there = ZoneInfo(zone)
    at = now.replace(minute=0, second=0, microsecond=0)
    while (at + timedelta(hours=1)).astimezone(there).utcoffset() == at.astimezone(there).utcoffset():
        at += timedelta(hours=1)
    return at + timedelta(hours=1)


def next_leap_day(now: datetime) -> datetime:
    """The last minute of the next 29 February."""
    day = now + timedelta(days=1)
    while (day.month, day.day) != (2, 29):
        day += timedelta(days=1)
    return day.replace(hour=23, minute=59)


MOMENTS: Mapping[str, Callable[[datetime], datetime]] = {
    "in-400-days": lambda now: (now + timedelta(days=400)).replace(hour=0, minute=30),
    "sunday": lambda now: (now + timedelta(days=6 - now.weekday() or 7)).replace(hour=9, minute=59),
    "leap-day": next_leap_day,
    "new-york": lambda now: next_change(now, "America/New_York"),
    "berlin": lambda now: next_change(now, "Europe/Berlin"),
    "in-ten-years": lambda now: now + timedelta(days=3653),
}


def library() -> Path:
    """Raises SystemExit where it is not installed."""
    places = [path for folder in ("/usr/lib", "/usr/local/lib") for path in Path(folder).glob("**/faketime")]
    for place in places:
        if (found := place / "libfaketimeMT.so.1").is_file():
            return found
    raise SystemExit("test-any-day needs libfaketime: on Debian, `apt-get install faketime`")


def environment(moved: timedelta, preload: Path) -> dict[str, str]:
    """For a process whose clock, and whose children's, is ahead by so much."""
    paths = [str(ROOT / "tests" / "moved_clock"), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "LD_PRELOAD": str(preload),
        "FAKETIME": f"{moved.total_seconds():+.0f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Seconds until it reads its environment again, ten unless told: a thread that then sets a variable
        # takes the process down with it, because glibc's getenv and setenv hold no lock in common.
        "FAKETIME_CACHE_DURATION": "1000000",
        "PYTHONPATH": os.pathsep.join(each for each in paths if each),
    }


def run(name: str, arguments: list[str], preload: Path) -> bool:
    """The suite, from shortly before this moment on; is it green?"""
    now = datetime.now(UTC)
    at = MOMENTS[name](now) - SHORTLY
    print(f"{name}: from {at:%A, %Y-%m-%d %H:%M} UTC on", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(at - now, preload))
    with adopted(process.pid):
        return process.wait() == 0


def main(arguments: list[str]) -> int:
    """0 where the suite is green at every moment, or at those that were named."""
    names = []
    while arguments[:1] == ["--at"]:
        names.append(arguments[1])
        arguments = arguments[2:]
    if unknown := [name for name in names if name not in MOMENTS]:
        raise SystemExit(f"{unknown[0]} is none of {', '.join(MOMENTS)}")
    preload = library()
    red = [name for name in names or MOMENTS if not run(name, arguments, preload)]
    print(f"red: {', '.join(red)}" if red else "green at every moment")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
