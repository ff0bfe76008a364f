"""`python -m bench.queue_child`: queued calls, by our function in the worker; and what storage alone takes.

Both are fed by our host's queue listener, with host.json's numbers: so many at once, receive, handle, delete.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from azure.data.tables.aio import TableServiceClient

from bench import child, load
from bench.child import ROOT
from local.host import settings as host_settings
from local.host import triggers
from local.host.queues import QueueListener
from local.host.storage import QueueStorage
from local.host.worker import QueuedMessage, Result, Worker
from shared.storage.tables import TIMEOUTS

type Handle = Callable[[QueuedMessage], Awaitable[Result]]
TEXT = "Your table is ready."


async def main() -> None:
    known = host_settings.read(ROOT)
    storage = QueueStorage(os.environ, known.queues.message_encoding)
    worker = await Worker.start(ROOT)
    app = triggers.describe(worker.functions, "api", os.environ)
    trigger = next(each for each in app.queues if each.function.name == "place_outbound_call")
    account = os.environ[trigger.connection]
    serial = 0

    async def fill(count: int) -> None:
        nonlocal serial
        await storage.create(trigger.connection, trigger.queue)
        numbers = iter(range(serial, serial + count))
        serial += count

        async def sender() -> None:
            for number in numbers:
                call = {"to": load.PEOPLE[number % len(load.PEOPLE)], "say": TEXT}
                await storage.send(trigger.connection, trigger.queue, json.dumps(call))

        await asyncio.gather(*(sender() for _ in range(16)))

    async def drained(count: int, handle: Handle) -> dict[str, Any]:
        """Seconds from the first receive to the last delete."""
        await fill(count)
        left = count
        done = asyncio.Event()

        async def invoke(_trigger: object, message: QueuedMessage, _label: str) -> Result:
            nonlocal left
            try:
                return await handle(message)
            finally:
                left -= 1
                if not left:
                    done.set()

        listener = QueueListener(trigger, storage, known.queues, invoke)
        began, cpu = time.perf_counter(), time.process_time()
        listening = asyncio.create_task(listener.listen())
        await done.wait()
        listener.stop()
        await listening
        await listener.finish()
        return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}

    async def ours(count: int) -> dict[str, Any]:
        return await drained(count, lambda message: worker.queue("place_outbound_call", message))

    async def alone(count: int, rows: int) -> dict[str, Any]:
        """Two writes for each message, of so many rows each: a call is entered, and is marked as placed."""
        async with TableServiceClient.from_connection_string(account, **TIMEOUTS) as service:
            table = await service.create_table_if_not_exists("floor")

            async def two_writes(message: QueuedMessage) -> Result:
                for state in ("posting", "submitted"):
                    keys = [f"{kind}|{message.id}" for kind in "caq"[:rows]]
                    found = [{"PartitionKey": "calls", "RowKey": key, "state": state} for key in keys]
                    found[0]["call"] = message.body
                    if rows == 1:
                        await table.upsert_entity(found[0])
                    else:
                        await table.submit_transaction(("upsert", row) for row in found)
                return Result()

            return await drained(count, two_writes)

    await child.serve({"ours": ours, "alone": alone})
    await storage.close()
    await sys.modules["function_app"].services.close()
    await worker.stop()


if __name__ == "__main__":
    asyncio.run(main())
