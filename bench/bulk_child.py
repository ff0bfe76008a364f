"""`python -m bench.bulk_child`: a file loaded by our code; and the same rows written by the SDK alone."""

import asyncio
import os
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
from azure.data.tables.aio import TableServiceClient

from bench import child, load
from shared.bulk import intake, loader
from shared.config import Settings
from shared.delivery.store import creation
from shared.services import Services
from shared.sms.message import Message, new_id
from shared.storage.rows import TRANSACTION_LIMIT, Insert, Put, stamp

SENT_AT = timedelta(days=1)
TEXT = "Dear {name}, your appointment is tomorrow at nine. Bring what we sent you. Reply STOP to opt out."


def guests(count: int, now: datetime) -> Iterator[tuple[str, Message]]:
    """The name and the message of each row: names differ, as the numbers cannot."""
    for number, each in enumerate(load.messages(count, now + SENT_AT, created=now)):
        name = f"Ann {number}"
        yield name, replace(each, body=TEXT.replace("{name}", name))


def csv(count: int, now: datetime, length: int = 1) -> bytes:
    """The file. length: how many times the text stands in each body."""
    body = " ".join([TEXT] * length)
    lines = (f'{each.to},{name},"{body}",{stamp(each.due)}\n' for name, each in guests(count, now))
    return ("to,name,body,send_at\n" + "".join(lines)).encode()


@contextmanager
def highest() -> Iterator[Callable[[], float]]:
    """The most MB that this process held (RSS) while the block ran, looked at every 5 ms."""
    process, most, done = psutil.Process(os.getpid()), 0, threading.Event()

    def look() -> None:
        nonlocal most
        while not done.wait(0.005):
            most = max(most, process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: most / 1e6
    finally:
        done.set()
        thread.join()


async def timed(work: Callable[[], Awaitable[int]]) -> dict[str, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    count = await work()
    return {"count": count, "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}


async def main() -> None:
    async def accept(storage: str, count: int, length: int = 1) -> dict[str, Any]:
        """Take the file as the route does; the job's id."""
        services, now = _services(storage), datetime.now(UTC)
        try:
            data = csv(count, now, length)
            return {
                "id": await intake.accept(data, "text/csv", {}, services.bulk_jobs, services.files, now=now),
                "bytes": len(data),
            }
        finally:
            await services.close()

    async def ours(storage: str, job: str) -> dict[str, Any]:
        """Check it and load it, as the queue trigger does."""
        services = _services(storage)

        async def work() -> int:
            done = await services.bulk_loader.load(job)
            assert done is not None
            assert (done.state, done.error_count) == ("done", 0)
            return done.loaded

        try:
            with highest() as mb:
                return {**await timed(work), "mb": mb()}
        finally:
            await services.close()

    async def alone(storage: str, count: int) -> dict[str, Any]:
        """The same rows in transactions of the same shape, as many at once, made before the clock runs."""
        batches = transactions(count)
        async with TableServiceClient.from_connection_string(storage, use_env_settings=False) as service:
            table = await service.create_table_if_not_exists("messages")
            waiting = iter(batches)

            async def worker() -> None:
                for batch in waiting:
                    await table.submit_transaction(batch)

            async def work() -> int:
                async with asyncio.TaskGroup() as group:
                    for _ in range(loader.AT_ONCE):
                        group.create_task(worker())
                return count

            return await timed(work)

    await child.serve({"accept": accept, "ours": ours, "alone": alone})


def _services(storage: str) -> Services:
    return Services(Settings.from_env({**os.environ, "AzureWebJobsStorage": storage}))


def transactions(count: int) -> list[list[tuple[str, dict[str, Any]]]]:
    """What ours writes for so many rows, as the SDK takes it, each transaction as large as may be."""
    partitions: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    now, size = datetime.now(UTC), TRANSACTION_LIMIT
    for number, (_, each) in enumerate(guests(count, now)):
        made = replace(each, id=new_id(each.to, each.due, f"alone|{number}"))
        writes = creation(made)
        size = TRANSACTION_LIMIT // len(writes) * len(writes)
        for write in writes:
            assert isinstance(write, Insert | Put)
            entity = {"PartitionKey": made.partition, "RowKey": write.key, **write.values}
            operation = "create" if isinstance(write, Insert) else "upsert"
            partitions[made.partition].append((operation, entity))
    return [rows[at : at + size] for rows in partitions.values() for at in range(0, len(rows), size)]


if __name__ == "__main__":
    asyncio.run(main())
