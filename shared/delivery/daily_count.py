"""How much one person gets in a day (UTC): DAILY_LIMIT texts, DAILY_CALL_LIMIT calls.

A count is guarded by its ETag, so that drains that run at once cannot exceed a limit together.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from shared import errors
from shared.delivery import keys
from shared.delivery.outbox import Outbox
from shared.delivery.record import Delivery
from shared.delivery.states import State
from shared.storage.rows import Insert, Put, Row, Rows, Write

TRIES = 20
"""For a count that others change too: each time that one fails, another one has been counted."""


async def admit[T: Delivery](
    outbox: Outbox[T], partition: str, rows: Sequence[Row], *, now: datetime
) -> tuple[list[Row], list[Write]]:
    """Those of the due rows that may be sent today, and the writes that count them, for the claim.

    What is over the limit is held until tomorrow, never dropped.
    """
    limit = outbox.kind.daily_limit
    if not limit:
        return list(rows), []
    store, here = outbox.store, list[Row]()
    elsewhere: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        if store.record.from_row(row).is_at_home:
            here.append(row)
        else:  # the count lies out of the claim's reach
            elsewhere[row.text("to")][keys.last(row.key)] = row
    admitted, over, writes = await _count_here(store.table, partition, here, limit, now)
    for to, named in elsewhere.items():
        try:
            within = await count_once(outbox, to, [*named], limit, now=now)
        except errors.Contended:
            continue  # they stay due
        admitted += [row for item_id, row in named.items() if item_id in within]
        over += [row for item_id, row in named.items() if item_id not in within]
    for row in over:
        await _hold(outbox, partition, row, limit, now)
    return admitted, writes


async def count_once[T: Delivery](
    outbox: Outbox[T], person: str, ids: Sequence[str], limit: int, *, now: datetime
) -> set[str]:
    """Those of these ids that the limit allows. Each is marked as it is counted, so that it counts once.

    A count is written before what it counts is done: a crash in between counts too much, never too little.
    Raises Contended.
    """
    table, partition = outbox.store.table, outbox.store.record.home_of(person)
    key = keys.count(person, _day(now))
    for _ in range(TRIES):
        row = await table.get(partition, key)
        # Not before the count: where another one takes the last place for the same id, its mark is seen.
        marks = await asyncio.gather(*(table.get(partition, f"{key}|{each}") for each in ids))
        known = {each for each, mark in zip(ids, marks, strict=True) if mark}
        count = int(row.values["count"]) if row else 0
        new = [each for each in ids if each not in known][: max(0, limit - count)]
        if not new:
            return known
        counted = {"count": count + len(new)}
        writes: list[Write] = [Put(key, counted, row.etag) if row else Insert(key, counted)]
        with suppress(errors.Contended):
            await table.commit(partition, [*writes, *(Insert(f"{key}|{each}", {}) for each in new)])
            return known | set(new)
    raise errors.Contended("the count of a day keeps changing")


async def _count_here(
    table: Rows, partition: str, rows: Sequence[Row], limit: int, now: datetime
) -> tuple[list[Row], list[Row], list[Write]]:
    """Those within the limit, those over it, and the writes that count the former: all of this partition."""
    names = {row.text("to"): keys.count(row.text("to"), _day(now)) for row in rows}
    found = await asyncio.gather(*(table.get(partition, key) for key in names.values()))
    before = dict(zip(names, found, strict=True))
    sent = Counter({to: int(row.values["count"]) for to, row in before.items() if row})
    admitted: list[Row] = []
    over: list[Row] = []
    for row in rows:
        to = row.text("to")
        if row.text("posted")[:10] == _day(now):
            admitted.append(row)  # it was counted when it was claimed before, and came back unsent
        elif sent[to] < limit:
            sent[to] += 1
            admitted.append(row)
        else:
            over.append(row)
    writes: list[Write] = []
    for to in {row.text("to") for row in admitted}:
        known = before[to]
        count = {"count": sent[to]}
        writes.append(Put(known.key, count, known.etag) if known else Insert(names[to], count))
    return admitted, over, writes


def _day(now: datetime) -> str:
    return f"{now.astimezone(UTC):%Y-%m-%d}"


async def _hold[T: Delivery](outbox: Outbox[T], partition: str, row: Row, limit: int, now: datetime) -> None:
    """Hold one until the next day at its own hour: what is for noon is not for midnight."""
    tomorrow = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    item = outbox.store.record.from_row(row)
    retry = max(datetime.combine(tomorrow.date(), item.due.time(), UTC), tomorrow)
    reason = f"the recipient has had {limit} {item.what}s today ({outbox.kind.limit_name})"
    if item.expires:
        retry = min(retry, item.expires)  # so that its end comes in time
    held = replace(
        outbox.kind.put_off(item, retry), state=State.HELD, retry=retry, reason=reason, updated=now
    )
    with suppress(errors.Contended):  # edited, canceled or claimed meanwhile
        await outbox.store.move_on(partition, row, held)
