"""How much one recipient gets in a day (UTC): DAILY_LIMIT messages, DAILY_CALL_LIMIT calls.

A count is guarded by its ETag, so that drains and placements that run at once cannot exceed a limit together.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from shared import errors
from shared.config import Settings
from shared.delivery.states import State
from shared.delivery.store import MessageStore, Rows
from shared.sms.message import Message, shard
from shared.storage.rows import Insert, Put, Row, Write

TRIES = 20
"""For a count that others change too: each time that one fails, another one has been counted."""


async def admit(
    store: MessageStore, partition: str, rows: Sequence[Row], settings: Settings, *, now: datetime
) -> tuple[list[Row], list[Write]]:
    """Those of the due rows that may be sent today, and the writes that count them, for the claim.

    What is over the limit is held until tomorrow, never dropped.
    """
    limit = settings.daily_limit
    if not limit:
        return list(rows), []
    here: list[Row] = []
    elsewhere: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        if shard(row.text("to")) == partition:
            here.append(row)
        else:  # an edit gave it this recipient, whose count is out of the claim's reach
            elsewhere[row.text("to")][row.key.rpartition("|")[2]] = row
    admitted, over, writes = await _count_here(store.table, partition, here, limit, now)
    for to, named in elsewhere.items():
        try:
            within = await _count_once(store.table, shard(to), f"n|{to}|{_day(now)}", [*named], limit)
        except errors.Contended:
            continue  # they stay due
        admitted += [row for message_id, row in named.items() if message_id in within]
        over += [row for message_id, row in named.items() if message_id not in within]
    for row in over:
        await _hold(store, partition, row, limit, now)
    return admitted, writes


async def may_ring(table: Rows, number: str, call_id: str, limit: int, *, now: datetime) -> bool:
    """Count a call; False where its number has had as many today. The same id counts once.

    Raises Contended where others count calls to this number all the while.
    """
    key = f"n|{number}|{_day(now)}|calls"
    return call_id in await _count_once(table, shard(number), key, [call_id], limit)


async def _count_here(
    table: Rows, partition: str, rows: Sequence[Row], limit: int, now: datetime
) -> tuple[list[Row], list[Row], list[Write]]:
    """Those within the limit, those over it, and the writes that count the former: all of this partition."""
    keys = {row.text("to"): f"n|{row.text('to')}|{_day(now)}" for row in rows}
    found = await asyncio.gather(*(table.get(partition, key) for key in keys.values()))
    before = dict(zip(keys, found, strict=True))
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
        writes.append(Put(known.key, count, known.etag) if known else Insert(keys[to], count))
    return admitted, over, writes


async def _count_once(table: Rows, partition: str, key: str, ids: Sequence[str], limit: int) -> set[str]:
    """Those of these ids that the limit allows. Each is marked as it is counted, so that it counts once.

    It is written before what it counts is done: whoever dies in between has counted too much, never too
    little. Raises Contended.
    """
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
        try:
            await table.commit(partition, [*writes, *(Insert(f"{key}|{each}", {}) for each in new)])
        except errors.Contended:
            continue
        return known | set(new)
    raise errors.Contended("the count of a day keeps changing")


def _day(now: datetime) -> str:
    return f"{now.astimezone(UTC):%Y-%m-%d}"


async def _hold(store: MessageStore, partition: str, row: Row, limit: int, now: datetime) -> None:
    tomorrow = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    message = Message.from_row(row)
    # On the next day at its own hour: a held message for noon is not for midnight.
    at = datetime.combine(tomorrow.date(), message.due.time(), UTC)
    reason = f"the recipient has had {limit} messages today (DAILY_LIMIT)"
    try:
        held = replace(message, state=State.HELD, retry=max(at, tomorrow), reason=reason, updated=now)
        await store.leave(partition, row, held)
    except errors.Contended:
        return  # edited, canceled or claimed meanwhile
