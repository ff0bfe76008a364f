"""`python -m bench.queue_child`: queued calls, by our function in the worker; and what storage alone takes.

Our host's queue listener feeds both, with host.json's numbers: so many at once, receive, handle, delete.
Each call has a text of its own. A queue promises to deliver at least once, so a measure ends when every text
has been handled, however often some of them came.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from azure.data.tables.aio import TableClient, TableServiceClient

from bench import child, load
from bench.child import ROOT
from local.host import settings as host_settings
from local.host import triggers
from local.host.queues import QueueListener
from local.host.storage import QueueStorage
from local.host.worker import QueuedMessage, Result, Worker
from shared.calls.call import Call
from shared.storage.tables import TIMEOUTS

type Handle = Callable[[QueuedMessage], Awaitable[Result]]

ENTERED = ("m", "a", "t", "l")
"""The rows of a call that is claimed: the call, its places in two lists, the lease of its claim."""
PLACED = ("m", "l", "f")
"""The rows when it is placed: the call, the end of its lease, when to ask Twilio for its end."""


class Tally:
    """Which messages are handled. One that comes twice counts once; one that fails ends the measure."""

    def __init__(self, bodies: Iterable[str]) -> None:
        self._left = set(bodies)
        self._done = asyncio.get_running_loop().create_future()

    def handled(self, body: str) -> None:
        self._left.discard(body)
        if not self._left and not self._done.done():
            self._done.set_result(None)

    def failed(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)

    async def complete(self) -> None:
        """Wait until each has been handled. Raises what one of them failed with."""
        await self._done


async def enter_and_mark(table: TableClient, message: QueuedMessage) -> Result:
    """Write what a ledger takes: as many rows as ours, of few columns, in two transactions for each call.

    Every row is an upsert, also where ours deletes one, so that a message that comes twice fails nothing.
    """
    partition = Call.partition_of(message.id)
    for state, kinds in (("posting", ENTERED), ("submitted", PLACED)):
        keys = [f"{kind}|{message.id}" for kind in kinds]
        rows = [{"PartitionKey": partition, "RowKey": key, "state": state} for key in keys]
        rows[0]["call"] = message.body
        await table.submit_transaction(("upsert", row) for row in rows)
    return Result()


async def main() -> None:
    known = host_settings.read(ROOT)
    storage = QueueStorage(os.environ, known.queues.message_encoding)
    worker = await Worker.start(ROOT)
    app = triggers.describe(worker.functions, "api", os.environ)
    trigger = next(each for each in app.queues if each.function.name == "place_outbound_call")
    account = os.environ[trigger.connection]
    serial = 0

    async def fill(count: int) -> list[str]:
        """Queue so many calls; their bodies."""
        nonlocal serial
        await storage.create(trigger.connection, trigger.queue)
        bodies = [
            json.dumps({"to": load.PEOPLE[number % len(load.PEOPLE)], "say": f"Table {number} is ready."})
            for number in range(serial, serial + count)
        ]
        serial += count
        waiting = iter(bodies)

        async def sender() -> None:
            for body in waiting:
                await storage.send(trigger.connection, trigger.queue, body)

        await asyncio.gather(*(sender() for _ in range(16)))
        return bodies

    async def drained(count: int, handle: Handle) -> dict[str, Any]:
        """Seconds from the first receive to the last delete."""
        tally = Tally(await fill(count))

        async def invoke(_trigger: object, message: QueuedMessage, _label: str) -> Result:
            try:
                result = await handle(message)
            except Exception as exc:
                tally.failed(exc)
                raise
            tally.handled(message.body)
            return result

        listener = QueueListener(trigger, storage, known.queues, invoke)
        began, cpu = time.perf_counter(), time.process_time()
        listening = asyncio.create_task(listener.listen())
        await tally.complete()
        listener.stop()
        await listening
        await listener.finish()
        return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}

    async def ours(count: int) -> dict[str, Any]:
        return await drained(count, lambda message: worker.queue("place_outbound_call", message))

    async def alone(count: int) -> dict[str, Any]:
        async with TableServiceClient.from_connection_string(account, **TIMEOUTS) as service:
            table = await service.create_table_if_not_exists("floor")
            return await drained(count, lambda message: enter_and_mark(table, message))

    await child.serve({"ours": ours, "alone": alone})
    await storage.close()
    await sys.modules["function_app"].services.close()
    await worker.stop()


if __name__ == "__main__":
    asyncio.run(main())
