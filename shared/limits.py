"""DAILY_LIMIT: how many messages one recipient gets in a day (UTC); the others are held, never dropped."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from shared import errors
from shared.config import Settings
from shared.message import Message
from shared.message_store import MessageStore
from shared.rows import Insert, Put, Row, Write
from shared.states import State


async def admit(
    store: MessageStore, partition: str, rows: Sequence[Row], settings: Settings, *, now: datetime
) -> tuple[list[Row], list[Write]]:
    """Those of the due rows that may be sent today, and the writes that count them, for the claim.

    The count is guarded by its ETag, so that drains that run at once cannot exceed the limit together.
    """
    if not settings.daily_limit:
        return list(rows), []
    keys = {row.text("to"): f"n|{row.text('to')}|{now:%Y-%m-%d}" for row in rows}
    found = await asyncio.gather(*(store.table.get(partition, key) for key in keys.values()))
    before = dict(zip(keys, found, strict=True))
    sent = Counter({to: int(row.values["count"]) for to, row in before.items() if row})
    admitted: list[Row] = []
    for row in rows:
        to = row.text("to")
        if row.text("posted")[:10] == f"{now:%Y-%m-%d}":
            admitted.append(row)  # it was counted when it was claimed before, and came back unsent
        elif sent[to] < settings.daily_limit:
            sent[to] += 1
            admitted.append(row)
        else:
            await _hold(store, partition, row, settings.daily_limit, now)
    writes: list[Write] = []
    for to in {row.text("to") for row in admitted}:
        known = before[to]
        count = {"count": sent[to]}
        writes.append(Put(known.key, count, known.etag) if known else Insert(keys[to], count))
    return admitted, writes


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
