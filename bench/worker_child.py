"""`python -m bench.worker_child APP FUNCTION`: one app in Microsoft's worker library, asked for webhooks."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from bench import child, webhook_request
from local.host import protocol
from local.host.worker import Worker


async def main(app: str, function: str) -> None:
    # All that the host itself needs is there before an app is loaded, as in Azure.
    protocol.load()
    headers = webhook_request.headers()
    began_cpu = time.process_time()
    worker = await Worker.start(Path(app))
    indexed = time.process_time()

    async def webhook() -> str:
        result = await worker.http(function, "POST", webhook_request.URL, headers, webhook_request.BODY)
        assert result.answer is not None
        if result.answer.status != 200:
            raise RuntimeError(f"{function} answered {result.answer.status}: {result.answer.text}")
        return result.answer.text

    text = await webhook()
    first = {
        "cpu": time.process_time() - began_cpu,
        "webhook_cpu": time.process_time() - indexed,
        "text": text,
    }

    async def opening() -> dict[str, Any]:
        return first

    async def webhooks(count: int) -> dict[str, Any]:
        """Seconds that each of `count` webhooks took, one after the other."""
        times = []
        for _ in range(count):
            start = time.perf_counter()
            await webhook()
            times.append(time.perf_counter() - start)
        return {"times": times}

    await child.serve({"first": opening, "webhooks": webhooks})
    await worker.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
