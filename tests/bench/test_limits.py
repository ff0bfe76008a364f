"""What ours is measured beside in storage: the limit writes as many rows as ours, and of the same kinds."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench import bulk_child, queue_child
from shared.bulk import intake
from shared.calls import placing
from shared.calls.call import Call
from shared.delivery import keys
from shared.delivery.store import Store
from shared.services import Services
from shared.sms.message import Message
from shared.storage.rows import Insert, Put, Row, Rows, Write

COUNT = 200


@dataclass
class Noted:
    """A table, and what is written to it."""

    table: Rows
    commits: list[Sequence[Write]] = field(default_factory=list)

    async def get(self, partition: str, key: str) -> Row | None:
        return await self.table.get(partition, key)

    async def read(
        self, partition: str, low: str, high: str, *, limit: int, select: Sequence[str] = ()
    ) -> list[Row]:
        return await self.table.read(partition, low, high, limit=limit, select=select)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        self.commits.append(writes)
        return await self.table.commit(partition, writes)


def kind(key: str) -> str:
    return keys.kind(key) if key.startswith(keys.HOUSEKEEPING) else key.partition("|")[0]


def shapes(rows: Iterable[tuple[str, Iterable[str]]]) -> Counter[tuple[str, frozenset[str]]]:
    """How many rows there are of each kind, by their columns."""
    return Counter((kind(key), frozenset(columns)) for key, columns in rows)


async def test_a_queued_call_takes_the_rows_that_its_limit_writes(services: Services) -> None:
    noted = Noted(services.calls.table)
    services.calls = Store(noted, Call)
    raw = json.dumps({"to": "+12025550101", "say": "Your table is ready."}).encode()

    await placing.place(raw, "one", services.call_outbox, services.dead_letters, now=datetime.now(UTC))

    found = [sorted(kind(write.key) for write in writes) for writes in noted.commits]
    assert found == [sorted(queue_child.ENTERED), sorted(queue_child.PLACED)]


async def test_a_file_takes_the_rows_that_its_limit_writes(services: Services) -> None:
    noted, now = Noted(services.messages.table), datetime.now(UTC)
    services.messages = Store(noted, Message)
    data = bulk_child.csv(COUNT, now)
    job = await intake.accept(data, "text/csv", {}, services.bulk_jobs, services.files, now=now)
    done = await services.bulk_loader.load(job)
    assert done is not None
    assert done.loaded == COUNT

    limit = bulk_child.transactions(COUNT)

    ours = [
        (each.key, each.values)
        for writes in noted.commits
        for each in writes
        if isinstance(each, Insert | Put)
    ]
    rows = [(row["RowKey"], row.keys() - {"PartitionKey", "RowKey"}) for each in limit for _, row in each]
    assert shapes(ours) == shapes(rows)
    assert Counter(map(len, noted.commits)) == Counter(map(len, limit))
