"""A page of a list out of every partition, in one order, however many are stored.

Each partition's range is read from its beginning, and merged up to where all of them were read. What a page
costs is bounded, whatever is stored: of a list by state only so many rows are looked at, so a page may be
short, or even empty, and still have a token that leads on from there.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from operator import itemgetter

from shared.delivery import keys
from shared.delivery.record import Delivery
from shared.delivery.states import RARE, WAITING, State
from shared.storage.partitions import shard_names
from shared.storage.rows import END, Row, Rows, stamp

MOST = 500
"""Rows of one partition that a page looks at: sixteen times as many take a second or less."""


async def page(
    table: Rows,
    record: type[Delivery],
    *,
    state: State | None,
    after: datetime | None,
    before: datetime | None,
    token: str,
    limit: int,
) -> tuple[list[Row], str]:
    """The rows of at most `limit` texts or calls, and the token of the next page, or "".

    What waits is listed by when it is due, soonest first. Texts are listed by when they were first due,
    oldest first; calls by when they were accepted, the last first, and `after` is when they were accepted.
    """
    is_indexed = record.by_person or state in WAITING | RARE
    return await _merged(
        table,
        {partition: _prefix(record, state, partition) for partition in shard_names(record.shards)},
        *_range(record, state, after, before, token),
        state=state if is_indexed else None,
        limit=limit,
    )


def _prefix(record: type[Delivery], state: State | None, partition: str) -> str:
    """What the keys of a list begin with, before what they are sorted by."""
    if state in WAITING:
        return keys.DUE
    own = partition if record.by_person else ""
    if state in RARE:
        return keys.ends(state) + own
    return keys.RECORDS + own if record.by_person else keys.ACCEPTED


def _range(
    record: type[Delivery], state: State | None, after: datetime | None, before: datetime | None, token: str
) -> tuple[str, str]:
    """What follows the prefix of a key lies between these two."""
    if not record.by_person and state not in WAITING:
        high = keys.accepted(after, "").removeprefix(keys.ACCEPTED) if after and state is None else END
        return token, high
    time = stamp if state in WAITING else keys.first_due
    return token or (time(after) if after else ""), time(before) if before else END


async def _merged(
    table: Rows, prefixes: Mapping[str, str], low: str, high: str, *, state: State | None, limit: int
) -> tuple[list[Row], str]:
    """At most `limit` rows, and the token that the next ones begin behind, or "" where there are no more.

    prefixes: by partition. state: only rows in this one, which are given with their state alone.
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
        self, table: Rows, partition: str, prefix: str, low: str, high: str, state: State | None
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

    Only texts and calls are listed, so none is passed over; but of a STOP an address would follow.
    """
    time, _, rest = order.partition("|")
    kind, _, _ = rest.partition("|")
    return order if kind != keys.STOP else f"{time}|{kind}||"
