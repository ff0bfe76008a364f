"""`python -m bench.drain_child`: the drain, the plain loop and the bare async client, in turns in a process.

TWILIO_BASE_URL says where Twilio is. Each answers how many it sent, the seconds, and its CPU seconds.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from bench import child, load
from bench.peers import send_loop
from shared.config import Settings
from shared.delivery.drain import drain
from shared.delivery.states import State
from shared.services import Services
from shared.storage.partitions import PARTITIONS
from shared.twilio_helper import RETRIED

DUE = timedelta(minutes=10)


async def timed(work: Callable[[], Awaitable[int]]) -> dict[str, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    count = await work()
    return {"count": count, "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}


class Drains:
    """The three, each on storage of its own where it has any."""

    def __init__(self) -> None:
        self._settings = Settings.from_env()
        self._stores: dict[str, Services] = {}

    def _services(self, storage: str) -> Services:
        if storage not in self._stores:
            settings = Settings.from_env({**os.environ, "AzureWebJobsStorage": storage})
            self._stores[storage] = Services(settings)
        return self._stores[storage]

    async def fill(self, storage: str, count: int) -> dict[str, Any]:
        now = datetime.now(UTC)
        found = load.messages(count, now - DUE, created=now - DUE)
        await load.store(self._services(storage).messages, found)
        return {}

    async def ours(self, storage: str, part: int = 0, parts: int = 1) -> dict[str, Any]:
        """Send all that is due, with every guarantee; of several processes each takes its part of the shards.

        As Azure would deal them out: a shard is one message on `sms-drain`.
        """
        outbox, partitions = self._services(storage).text_outbox, PARTITIONS[part::parts]

        async def work() -> int:
            report = await drain(outbox, now=datetime.now(UTC), seconds=600.0, partitions=partitions)
            return report.states[State.SUBMITTED.value]

        return await timed(work)

    async def loop(self, count: int) -> dict[str, Any]:
        """The plain loop of twilio-python's synchronous client."""
        client = Client(self._settings.account_sid, self._settings.auth_token)
        client.api.base_url = self._settings.twilio_base_url
        texts = [(each.to, each.body) for each in _messages(count)]

        async def work() -> int:
            return send_loop.send_all(client, texts, self._settings.from_number)

        return await timed(work)

    async def bare(self, count: int) -> dict[str, Any]:
        """The same requests by twilio-python's async client, at the drain's concurrency, and nothing else."""
        http, settings = AsyncTwilioHttpClient(), self._settings
        callback, attempt = f"{settings.public_base_url}/api/sms/status", secrets.token_hex(8)
        client = Client(settings.account_sid, settings.auth_token, http_client=http)
        client.api.base_url = settings.twilio_base_url
        waiting = iter(_messages(count))
        sent = 0

        async def sender() -> None:
            nonlocal sent
            for message in waiting:
                answer = await client.messages.create_async(
                    to=message.to,
                    from_=settings.from_number,
                    body=message.body,
                    status_callback=f"{callback}?id={message.id}&attempt={attempt}{RETRIED}",
                )
                sent += answer.sid is not None

        async def work() -> int:
            async with asyncio.TaskGroup() as group:
                for _ in range(settings.send_concurrency):
                    group.create_task(sender())
            return sent

        try:
            return await timed(work)
        finally:
            await http.close()

    async def close(self) -> None:
        for each in self._stores.values():
            await each.close()


async def main() -> None:
    drains = Drains()
    await child.serve({"fill": drains.fill, "ours": drains.ours, "loop": drains.loop, "bare": drains.bare})
    await drains.close()


def _messages(count: int) -> list[Any]:
    now = datetime.now(UTC)
    return list(load.messages(count, now, created=now))


if __name__ == "__main__":
    asyncio.run(main())
