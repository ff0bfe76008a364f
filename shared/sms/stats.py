"""How many messages there are, by state and hour: the last 24 hours, and the next 7 days.

Range reads alone, of two columns, with a cap; and the more rows a span has, the longer its counts are kept,
so that a console that is left open costs little whatever is stored.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from shared.delivery import keys
from shared.delivery.states import WAITING, State
from shared.sms.message import due_at
from shared.storage.partitions import PARTITIONS
from shared.storage.rows import END, Rows, stamp

PAST = timedelta(hours=24)
AHEAD = timedelta(days=7)
HOUR = timedelta(hours=1)
CAP = 4000
"""Rows of one partition in one span; where there are more, the answer says that it is not complete."""
ROWS_A_SECOND = 500
"""Counts are kept a second for so many rows: reading takes a few percent of the time at most."""

_UNRESOLVED = keys.ends(State.UNRESOLVED)

type Hours = Counter[tuple[str, str]]
"""How many, by hour (2026-11-23T01) and state."""


@dataclass(frozen=True, slots=True)
class _Span:
    counts: Hours
    complete: bool
    until: float


class Stats:
    """Counts, kept for a while in this instance."""

    def __init__(self, messages: Rows) -> None:
        self._table = messages
        self._kept: dict[str, _Span] = {}

    async def view(self, *, now: datetime) -> dict[str, Any]:
        """As the API shows it: `past` by the time messages were first due, `ahead` by when they are due next.

        due: what should have left by now. complete: false where a span had more rows than are counted.
        """
        hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        since, lately = keys.first_due(hour - PAST + HOUR), keys.first_due(hour - HOUR)
        present = keys.first_due(now)
        spans = await asyncio.gather(
            self._span(
                f"past {hour}", lambda part: (keys.record(part + since), keys.record(part + lately)), WAITING
            ),
            self._span(
                "lately", lambda part: (keys.record(part + lately), keys.record(part + present)), WAITING
            ),
            self._span("due", lambda _: (keys.DUE, keys.DUE + stamp(now))),
            self._span(f"ahead {hour}", lambda _: (keys.DUE + stamp(now), keys.DUE + stamp(hour + AHEAD))),
            self._span("unresolved", lambda _: (_UNRESOLVED, _UNRESOLVED + END)),
        )
        past, lately_past, due, ahead, unresolved = spans
        return {
            "at": stamp(now),
            "past": _by_hour(past.counts + lately_past.counts),
            "ahead": _by_hour(ahead.counts),
            "due": due.counts.total(),
            "unresolved": unresolved.counts.total(),
            "complete": all(span.complete for span in spans),
        }

    async def _span(
        self, name: str, bounds: Callable[[str], tuple[str, str]], but: frozenset[State] = frozenset()
    ) -> _Span:
        """Count what lies between these keys of each partition, but for these states; or what was counted."""
        kept = self._kept.get(name)
        if kept and monotonic() < kept.until:
            return kept
        reads = (self._table.read(each, *bounds(each), limit=CAP, select=["state"]) for each in PARTITIONS)
        parts = await asyncio.gather(*reads)
        states = ((row, row.text("state")) for part in parts for row in part)
        counts = Counter(
            (hour, state) for row, state in states if state and state not in but and (hour := _hour(row.key))
        )
        rows = sum(map(len, parts))
        span = _Span(counts, all(len(part) < CAP for part in parts), monotonic() + rows / ROWS_A_SECOND)
        kind = name.partition(" ")[0]
        others = {key: each for key, each in self._kept.items() if key.partition(" ")[0] != kind}
        self._kept = {**others, name: span}
        return span


def _hour(key: str) -> str:
    """The hour of q|TIME|m|ID, or of m|ID or x|STATE|ID by the time in the id; "" of a key that is wrong."""
    kind, _, rest = key.partition("|")
    if kind == "q":
        return rest[:13]
    message_id = rest.rpartition("|")[2]
    try:
        return stamp(due_at(message_id))[:13] if len(message_id) == 32 else ""
    except ValueError:
        return ""


def _by_hour(counts: Hours) -> dict[str, dict[str, int]]:
    """`{"2026-11-23T01:00Z": {"delivered": 3}}`; an hour without messages is left out."""
    shown: dict[str, dict[str, int]] = {}
    for (hour, state), count in sorted(counts.items()):
        shown.setdefault(f"{hour}:00Z", {})[state] = count
    return shown
