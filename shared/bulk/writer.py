"""How the messages of a bulk load come into storage: many in a transaction, and none to who has opted out."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from time import monotonic

from shared.delivery.states import State
from shared.delivery.store import OPTED_OUT, PARTITIONS, MessageStore, creation
from shared.errors import Contended
from shared.sms import opt_outs as recipients
from shared.sms.message import Message
from shared.storage.rows import TRANSACTION_LIMIT, Write

LOOK_AGAIN = 240.0
"""Seconds for which a reading of the opt-outs holds: less than a STOP's marker stands (recipients.RACE)."""


class OptOuts:
    """Who has opted out, by a range read of each partition, repeated while the load goes on."""

    def __init__(self, store: MessageStore) -> None:
        self._store = store
        self._known: set[str] = set()
        self._at = -LOOK_AGAIN

    async def applied(self, messages: list[Message]) -> list[Message]:
        """The messages, those to them suppressed."""
        if monotonic() - self._at > LOOK_AGAIN:
            self._at = monotonic()
            self._known = set()
            for partition in PARTITIONS:
                self._known |= await recipients.opted_out_in(self._store, partition)
        return [
            replace(each, state=State.SUPPRESSED, reason=OPTED_OUT) if self._has(each.to) else each
            for each in messages
        ]

    def _has(self, recipient: str) -> bool:
        return bool(self._known) and any(name in self._known for name in self._store.names(recipient))


async def keep(messages: list[Message], store: MessageStore, *, at_once: int) -> None:
    """Store new messages, so many transactions at once; what is there already stays as it is."""
    by_partition: dict[str, list[Message]] = defaultdict(list)
    for each in messages:
        by_partition[each.partition].append(each)
    size = TRANSACTION_LIMIT // 3
    batches = [
        (partition, group[start : start + size])
        for partition, group in by_partition.items()
        for start in range(0, len(group), size)
    ]
    waiting = iter(batches)

    async def worker() -> None:
        for partition, batch in waiting:
            await _create(store, partition, batch)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())


async def _create(store: MessageStore, partition: str, batch: list[Message]) -> None:
    writes: list[Write] = [write for each in batch for write in creation(each)]
    try:
        await store.table.commit(partition, writes)
    except Contended:  # some of it was stored before a crash: one at a time, as each is one transaction
        for each in batch:
            with suppress(Contended):
                await store.table.commit(partition, creation(each))
