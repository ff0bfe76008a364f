"""`python -m bench.memory_child`: a worker that does all of its work, in rounds, and weighs itself."""

import asyncio
import gc
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil

import bench.webhook_request as call
from bench import child, load
from bench.child import ROOT
from local.host.worker import Worker
from shared.config import Settings
from shared.services import Services


async def main() -> None:
    worker = await Worker.start(ROOT)
    services = Services(Settings.from_env())
    headers = call.headers()

    async def work(webhooks: int, messages: int, calls: int) -> dict[str, Any]:
        """Answer webhooks, send what falls due, place calls; the MB that the process then holds (RSS)."""
        for _ in range(webhooks):
            result = await worker.http("voice_incoming", "POST", call.URL, headers, call.BODY)
            assert result.answer is not None
            assert result.answer.status == 200
        now = datetime.now(UTC) - timedelta(minutes=1)
        await load.store(services.messages, load.messages(messages, now, created=now))
        await worker.timer("send_due_sms")

        async def place(number: int) -> None:
            queued = {"to": load.PEOPLE[number % len(load.PEOPLE)], "say": "Your table is ready."}
            await worker.queue("place_outbound_call", json.dumps(queued))

        await asyncio.gather(*(place(number) for number in range(calls)))
        gc.collect()
        return {"mb": psutil.Process(os.getpid()).memory_info().rss / 1e6}

    await child.serve({"work": work})
    await services.close()
    await sys.modules["function_app"].services.close()
    await worker.stop()


if __name__ == "__main__":
    asyncio.run(main())
