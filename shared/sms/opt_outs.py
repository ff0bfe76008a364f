"""What concerns a recipient rather than a message: opt-outs, and the erasure of personal data.

A STOP is one transaction in the recipient's partition: the opt-out, and a marker among what is due. While the
marker stands, a drain suppresses what it finds for that recipient, so that a message created while the STOP
came in cannot slip through; at its end everything is suppressed once more, and the marker goes.
"""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta

from shared import errors
from shared.delivery.states import WAITING, State
from shared.delivery.store import END, OPTED_OUT, MessageStore
from shared.sms.message import Message, shard
from shared.storage.rows import Delete, Put, Write, stamp

log = logging.getLogger(__name__)

RACE = timedelta(minutes=10)
"""Longer than any creation can be under way."""
RECENT = timedelta(days=2)


async def opt_out(store: MessageStore, recipient: str, *, now: datetime, source: str) -> None:
    """Never send to this address again, and suppress what waits for it. Safe to repeat.

    source: STOP, 21610, a key press: what the console shows.
    """
    marker = f"q|{stamp(now - RACE)}|s|{recipient}"  # before whatever can be created meanwhile
    writes: list[Write] = [
        Put(f"o|{recipient}", {"since": stamp(now), "source": source, "marker": marker}),
        Put(marker, {"until": stamp(now + RACE)}),
    ]
    await store.table.commit(shard(recipient), writes)
    try:
        await suppress_all(store, recipient, now=now, since=now - RECENT)
    except errors.Malformed as exc:
        log.error("not suppressed yet: %s", exc)  # the marker stands until it is


async def opt_in(store: MessageStore, recipient: str) -> None:
    """The recipient may be sent to again. What was suppressed stays suppressed."""
    partition = shard(recipient)
    for name in store.names(recipient):
        row = await store.table.get(partition, f"o|{name}")
        for key in (row.key, row.text("marker")) if row else ():
            try:
                await store.table.commit(partition, [Delete(key)])
            except errors.Contended:
                continue  # gone already


async def opted_out_in(store: MessageStore, partition: str) -> set[str]:
    """Every recipient of one partition that has opted out."""
    known: set[str] = set()
    after = "o|"
    while rows := await store.table.read(partition, after, "o|" + END, limit=1000):
        after = rows[-1].key
        known.update(row.key[2:] for row in rows)
    return known


async def suppress_all(
    store: MessageStore, recipient: str, *, now: datetime, since: datetime | None = None
) -> int:
    """Suppress every message that waits for this recipient; how many there were.

    Raises Malformed, in the end, where one could not be read.
    """
    prefix = f"t|{recipient}|"
    after = prefix + (stamp(since) if since else "")
    count = 0
    wrong: errors.Malformed | None = None
    while rows := await store.table.read(shard(recipient), after, prefix + END, limit=100):
        after = rows[-1].key
        messages: list[Message] = []
        for row in await store.rows(row.key.rpartition("|")[2] for row in rows):
            try:
                messages.append(Message.from_row(row))
            except errors.Malformed as exc:
                wrong = exc
        waiting = [message for message in messages if message.state in WAITING and message.to == recipient]
        count += sum(await asyncio.gather(*(_suppress(store, message, now) for message in waiting)))
    if wrong:
        raise wrong
    return count


async def _suppress(store: MessageStore, message: Message, now: datetime) -> bool:
    for _ in range(5):
        try:
            await store.change(
                message, replace(message, state=State.SUPPRESSED, reason=OPTED_OUT, updated=now)
            )
        except errors.Contended:
            message = await store.get(message.id)
            if message.state not in WAITING:
                return False
        else:
            return True
    return False
