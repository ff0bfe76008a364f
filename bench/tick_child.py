"""`python -m bench.tick_child`: one tick, with what it asked of storage counted on the wire."""

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.data.tables.aio import TableServiceClient

from bench import child, load
from shared import timer
from shared.config import Settings
from shared.delivery.states import State
from shared.services import Services
from shared.storage.rows import Row
from shared.storage.tables import TIMEOUTS, Table, Tables

WAITS = timedelta(days=30)
SECONDS = 600.0
"""For one tick: Azurite takes seconds to look through a hundred thousand rows, and Azure does not."""


class Counter:
    """How many requests went to storage, how long they took together, and how many rows were read."""

    def __init__(self) -> None:
        self.requests = 0
        self.rows = 0
        self.seconds = 0.0

    def asked(self, request: PipelineRequest[Any]) -> None:
        request.context["began"] = time.perf_counter()

    def answered(self, response: PipelineResponse[Any, Any]) -> None:
        self.requests += 1
        self.seconds += time.perf_counter() - response.context.pop("began")


class CountedTable(Table):
    """A table that counts the rows it reads."""

    counter: Counter

    async def get(self, partition: str, key: str) -> Row | None:
        row = await super().get(partition, key)
        self.counter.rows += row is not None
        return row

    async def read(
        self,
        partition: str,
        low: str,
        high: str,
        *,
        limit: int,
        select: Sequence[str] = (),
    ) -> list[Row]:
        rows = await super().read(partition, low, high, limit=limit, select=select)
        self.counter.rows += len(rows)
        return rows


class CountedTables(Tables):
    def __init__(self, connection: str, counter: Counter) -> None:
        patient = {**TIMEOUTS, "read_timeout": 300}
        super().__init__(
            TableServiceClient.from_connection_string(
                connection, raw_request_hook=counter.asked, raw_response_hook=counter.answered, **patient
            )
        )
        self._counter = counter

    def table(self, name: str, *, batching: bool = False) -> Table:
        found = CountedTable(self._service.get_table_client(name), self.layout, batching=batching)
        found.counter = self._counter
        return found


async def main() -> None:
    timer.TICK_SECONDS = SECONDS
    counter = Counter()
    stores: dict[str, Services] = {}

    def services(storage: str) -> Services:
        if storage not in stores:
            made = Services(Settings.from_env({**os.environ, "AzureWebJobsStorage": storage}))
            made.tables = CountedTables(storage, counter)
            stores[storage] = made
        return stores[storage]

    async def fill(storage: str, waiting: int) -> dict[str, Any]:
        """Have so many messages wait for next month."""
        now = datetime.now(UTC)
        its = services(storage)
        if waiting:
            await load.store(its.messages, load.messages(waiting, now + WAITS, created=now), only_due=True)
        return {}

    async def tick(storage: str) -> dict[str, Any]:
        """One message falls due, and the timer ticks: all that it does to tables, with as long as it takes.

        Its other part, which empties the poison queues, is left out: no table is in it.
        """
        its = services(storage)
        now = datetime.now(UTC)
        (one,) = load.messages(1, now - timedelta(seconds=1), created=now)
        await load.store(its.messages, [one])
        counter.requests = counter.rows = 0
        counter.seconds = 0.0
        began, cpu = time.perf_counter(), time.process_time()
        report = await timer.tick(its.text_outbox, its.call_outbox, now=now)
        used = time.process_time() - cpu
        seconds = time.perf_counter() - began
        if report.states != {State.SUBMITTED.value: 1} or report.stopped or report.left:
            raise RuntimeError(f"the tick did not send what was due: {report}")
        return {
            "cpu": used,
            "seconds": seconds,
            "requests": counter.requests,
            "rows": counter.rows,
            "storage_seconds": counter.seconds,
        }

    await child.serve({"fill": fill, "tick": tick})
    for each in stores.values():
        await each.close()


if __name__ == "__main__":
    asyncio.run(main())
