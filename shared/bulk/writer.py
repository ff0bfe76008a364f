"""Write the messages of a bulk load: many in a transaction, and suppressed where the person has opted out."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from time import monotonic

from shared.delivery.states import OPTED_OUT, State
from shared.delivery.store import Store, creation
from shared.errors import Contended
from shared.sms import opt_outs
from shared.sms.message import Message
from shared.storage.partitions import PARTITIONS
from shared.storage.rows import TRANSACTION_LIMIT, Write

READ_AGAIN = 240.0
"""Seconds after which the opt-outs are read again: less than a STOP's marker stands (timings.STOP_RACE)."""

type _Batch = tuple[str, list[list[Write]]]
"""A partition, and the writes of each message in one transaction."""


class OptOuts:
    """Who has opted out, by a range read of each partition. It is read again while a long load goes on."""

    def __init__(self, store: Store[Message]) -> None:
        self._store = store
        self._known: set[str] = set()
        self._read_at = -READ_AGAIN

    async def applied(self, messages: list[Message]) -> list[Message]:
        """The messages, suppressed where the recipient has opted out."""
        if monotonic() - self._read_at > READ_AGAIN:
            self._read_at = monotonic()
            partitions = [await opt_outs.opted_out_in(self._store, each) for each in PARTITIONS]
            self._known = set().union(*partitions)
        if not self._known:
            return messages
        return [
            each
            if self._known.isdisjoint(self._store.names(each.to))
            else replace(each, state=State.SUPPRESSED, reason=OPTED_OUT)
            for each in messages
        ]


async def write(messages: list[Message], store: Store[Message], *, at_once: int) -> None:
    """Write new messages, with up to `at_once` transactions under way. One that is there stays as it is."""
    waiting = iter(list(_batches(messages)))

    async def worker() -> None:
        for partition, batch in waiting:
            await _commit(store, partition, batch)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())


def _batches(messages: Iterable[Message]) -> Iterable[_Batch]:
    """Transactions for these messages, each as large as storage takes it."""
    filling: dict[str, list[list[Write]]] = {}
    for message in messages:
        writes = creation(message)
        batch = filling.setdefault(message.partition, [])
        if sum(map(len, batch)) + len(writes) > TRANSACTION_LIMIT:
            yield message.partition, batch
            batch = filling[message.partition] = []
        batch.append(writes)
    yield from filling.items()


async def _commit(store: Store[Message], partition: str, batch: list[list[Write]]) -> None:
    try:
        await store.table.commit(partition, [write for writes in batch for write in writes])
    except Contended:
        # A load that died has written some of them. Each message on its own is one transaction.
        for writes in batch:
            with suppress(Contended):
                await store.table.commit(partition, writes)
