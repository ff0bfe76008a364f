"""The storage queues that the app's bindings use."""

import asyncio
import base64
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from local.host.errors import HostError
from shared.config import AZURITE


class QueueStorage:
    """Queue clients, with one HTTP session for each connection setting. Call `close` at the end."""

    def __init__(self, environ: Mapping[str, str], encoding: Literal["base64", "none"]) -> None:
        self._environ = environ
        self._encoding = encoding
        self._services: dict[str, QueueServiceClient] = {}
        self._arrivals: dict[tuple[str, str], asyncio.Event] = {}

    def client(self, connection: str, queue: str) -> QueueClient:
        """A client of a queue. Raises HostError if the setting is missing or no connection string."""
        if connection not in self._services:
            self._services[connection] = self._service(connection)
        return self._services[connection].get_queue_client(queue)

    def arrivals(self, connection: str, queue: str) -> asyncio.Event:
        """An event that is set when this host puts a message on that queue: its listener looks at once."""
        return self._arrivals.setdefault((connection, queue), asyncio.Event())

    async def create(self, connection: str, queue: str) -> None:
        """Create the queue unless it exists."""
        client = self.client(connection, queue)
        with suppress(ResourceExistsError):
            await client.create_queue()

    async def send(self, connection: str, queue: str, text: str) -> None:
        """Put one message on a queue. As in the real host, an output creates its queue."""
        await self.send_encoded(connection, queue, self.encode(text))

    async def send_encoded(self, connection: str, queue: str, content: str) -> None:
        """The same for a text that is already encoded as messageEncoding in host.json says."""
        client = self.client(connection, queue)
        try:
            await client.send_message(content)
        except ResourceNotFoundError:
            await self.create(connection, queue)
            await client.send_message(content)
        self.arrivals(connection, queue).set()

    def encode(self, text: str) -> str:
        return base64.b64encode(text.encode()).decode() if self._encoding == "base64" else text

    def decode(self, content: str) -> str:
        """The text of a message. Raises ValueError if host.json says base64 and the message is not that."""
        if self._encoding == "none":
            return content
        return base64.b64decode(content, validate=True).decode()

    async def close(self) -> None:
        for service in self._services.values():
            await service.close()

    def _service(self, connection: str) -> QueueServiceClient:
        text = self._environ.get(connection, "") or self._environ.get(f"AzureWebJobs{connection}", "")
        if not text:
            raise HostError(f"the setting {connection} is missing: it must be a storage connection string")
        if text.strip() == "UseDevelopmentStorage=true":
            text = AZURITE
        try:
            return QueueServiceClient.from_connection_string(
                text,
                connection_timeout=5,
                read_timeout=30,
                # Notice quickly that storage is away; the listener itself waits between its tries.
                initial_backoff=0,
                increment_base=1,
                retry_total=1,
                random_jitter_range=0,
                use_env_settings=False,
            )
        except ValueError as exc:
            raise HostError(f"the setting {connection} is not a storage connection string: {exc}") from exc
