"""For the doctor: dead letters, and messages and calls of the last week that failed or are unresolved."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from ops.client import Api
from ops.deadletters import PAGE, letters
from ops.probe import Finding
from shared.twilio_errors import meaning

SHOWN = 5
RECENT = timedelta(days=7)
MOST_PAGES = 50
"""The doctor reads at most so many pages of a list, so that it answers however long the list is."""
WENT_WRONG = ("failed", "unresolved")


def dead_letters(api: Api) -> Iterator[Finding]:
    """The dead letters that nobody has replayed."""
    open_ones = [each for each in islice(letters(api), 200) if not each["replayed_at"]]
    for each in open_ones[:SHOWN]:
        mend = f"python -m ops deadletters show {each['id']}"
        yield Finding("dead letters", "warn", f"{each['id']}: {each['reason']}", mend)
    if not open_ones:
        yield Finding("dead letters", "ok", "nothing was given up")
    elif len(open_ones) > SHOWN:
        yield Finding("dead letters", "warn", f"and {len(open_ones) - SHOWN} more")


def messages(api: Api, now: datetime) -> Iterator[Finding]:
    """The messages that failed, are held or are unresolved, with Twilio's code in words."""
    found = 0
    for state, status in (("unresolved", "warn"), ("held", "fail"), ("failed", "warn")):
        # Of those that failed, the newest; of those that wait for a person, the oldest.
        if state == "failed":
            since = {"due_after": (now - RECENT).isoformat()}
            rows = _newest(api, "messages", state=state, **since)
        else:
            rows = _oldest(api, "messages", state=state)
        for each in rows:
            found += 1
            yield Finding("messages", status, _told(each))
    if not found:
        yield Finding("messages", "ok", f"none is held or unresolved, and none of {RECENT.days} days failed")


def calls(api: Api, now: datetime) -> Iterator[Finding]:
    """The newest calls of the week that failed or are unresolved, with Twilio's code in words."""
    wrong: list[dict[str, Any]] = []
    reached, token = now, ""
    for _ in range(MOST_PAGES):  # the list is newest first, and holds calls of every state
        page = api.get("calls", limit=PAGE, token=token, after=(now - RECENT).isoformat())
        wrong += [each for each in page["calls"] if each["state"] in WENT_WRONG]
        token = page["token"] or ""
        if not token or len(wrong) >= SHOWN:
            break
        reached = datetime.fromisoformat(page["calls"][-1]["created_at"])
    for each in wrong[:SHOWN]:
        yield Finding("calls", "warn", _told(each))
    if token and len(wrong) < SHOWN:
        hours = int((now - reached).total_seconds() // 3600)
        yield Finding("calls", "unknown", f"too many to look through those of more than {hours} h ago")
    elif not wrong:
        yield Finding("calls", "ok", f"none of {RECENT.days} days failed or is unresolved")


def _newest(api: Api, path: str, **params: str) -> list[dict[str, Any]]:
    """The last rows of a list that is oldest first, the newest first."""
    newest: deque[dict[str, Any]] = deque(maxlen=SHOWN)
    token = ""
    for _ in range(MOST_PAGES):
        page = api.get(path, limit=PAGE, token=token, **params)
        newest.extend(page[path])
        token = page["token"] or ""
        if not token:
            break
    return list(newest)[::-1]


def _oldest(api: Api, path: str, **params: str) -> list[dict[str, Any]]:
    """The first rows of a list, whose pages may be short."""
    oldest: list[dict[str, Any]] = []
    token = ""
    for _ in range(MOST_PAGES):
        page = api.get(path, limit=SHOWN, token=token, **params)
        oldest += page[path]
        token = page["token"] or ""
        if not token or len(oldest) >= SHOWN:
            break
    return oldest[:SHOWN]


def _told(row: dict[str, Any]) -> str:
    code = row["error_code"]
    why = f"{meaning(code)} (Twilio error {code})" if code else row["reason"] or "no reason noted"
    return f"{row['id']} is {row['state']}: {why}"
