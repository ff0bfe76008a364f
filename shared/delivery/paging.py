"""A page of rows out of every partition, in one order, however few of those stored belong in it.

Each partition's range is read from its beginning, of a list by state only so far, and merged up to where all
of them were read: what a page costs is bounded, whatever is stored, and its token leads on from there.
"""

import asyncio
from collections.abc import Mapping
from operator import itemgetter
from typing import TYPE_CHECKING

from shared.delivery.states import State
from shared.storage.rows import Row

if TYPE_CHECKING:
    from shared.delivery.store import Rows

MOST = 500
"""Rows of one partition that a page looks at: sixteen times as many take a second or less."""


async def merged(
    table: "Rows",
    prefixes: Mapping[str, str],
    low: str,
    high: str,
    *,
    state: State | None,
    limit: int,
) -> tuple[list[Row], str]:
    """At most `limit` rows, and the token that the next ones begin behind, or "" where there are no more.

    prefixes: by partition, what a row's key begins with. What follows it is the order, and lies between `low`
    and `high`. state: only rows in this one, which are given with their state alone.
    """
    ranges = [_Range(table, partition, prefix, low, high, state) for partition, prefix in prefixes.items()]
    for most in (limit + 1, MOST - limit - 1):
        await asyncio.gather(*(each.read(most) for each in ranges if not each.ended))
        reached = min((each.reached for each in ranges if not each.ended), default="")
        rows = (found for each in ranges for found in each.found if not reached or found[0] <= reached)
        found = sorted(rows, key=itemgetter(0))
        if len(found) > limit or not reached:
            break
    shown = found[:limit]
    return [row for _, row in shown], shown[-1][0] if len(found) > limit else reached


class _Range:
    """What lies between two keys of one partition, read piece by piece. found: what belongs in the list."""

    def __init__(
        self, table: "Rows", partition: str, prefix: str, low: str, high: str, state: State | None
    ) -> None:
        self.found: list[tuple[str, Row]] = []
        self.reached, self.ended = low, False
        self._table, self._partition, self._prefix, self._state = table, partition, prefix, state
        self._high = prefix + high

    async def read(self, most: int) -> None:
        """Read on, so many rows at most."""
        rows = await self._table.read(
            self._partition,
            self._prefix + self.reached,
            self._high,
            limit=most,
            select=["state"] if self._state else (),
        )
        for row in rows:
            if self._state is None or row.text("state") == self._state:
                self.found.append((row.key.removeprefix(self._prefix), row))
        self.ended = len(rows) < most
        if rows:
            self.reached = _place(rows[-1].key.removeprefix(self._prefix))


def _place(order: str) -> str:
    """How far a range was read, to be in a token: TIME|KIND|... of what is due ends behind all of its kind.

    Only messages are listed, so none is passed over; but of a STOP a number would follow.
    """
    time, _, rest = order.partition("|")
    kind, _, _ = rest.partition("|")
    return order if kind in ("", "m") else f"{time}|{kind}||"
