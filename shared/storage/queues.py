"""The queues through the storage SDK: made where missing, tried, and emptied of what the host gave up.

The host makes no queue: its listener finds 404 until somebody does (azure-webjobs-sdk, QueueListener). It
puts a message that failed maxDequeueCount times onto NAME-poison, which no trigger can be relied on to read:
a message whose metadata does not decode never reaches our code there either.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import uuid4

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from shared.config import Settings
from shared.errors import StorageAway
from shared.storage.connection import Refused, check_connection
from shared.storage.tables import TIMEOUTS, error_code, identity

NAMES = ("outbound-calls", "sms-drain", "bulk-load")
OWN = "diagnosis"
"""A queue that nobody listens to: what is put there is taken out again."""
EVERY = 60.0
"""Seconds between two looks into the poison queues."""
HIDDEN = 120
"""Seconds for which a message that is read is hidden from others that look."""


@dataclass(frozen=True, slots=True)
class PoisonMessage:
    """A message that the host gave up. queue: where it came from, without -poison."""

    queue: str
    id: str
    text: str
    delete: Callable[[], Awaitable[None]]


class Queues:
    """The storage account's queues, over one connection pool."""

    def __init__(self, settings: Settings) -> None:
        check_connection(settings.storage)
        self._credential = None if settings.storage else identity(settings)
        # The SDK's own retry policy would wait 15 seconds and more; the next tick tries again.
        options: dict[str, Any] = {**TIMEOUTS, "retry_total": 0}
        if settings.storage:
            self._service = QueueServiceClient.from_connection_string(settings.storage, **options)
        else:
            endpoint = f"https://{settings.storage_account}.queue.core.windows.net"
            self._service = QueueServiceClient(endpoint, credential=self._credential, **options)
        self._are_made = False
        self._looked = -EVERY

    async def make_missing(self) -> None:
        """Make the queues that are not there, once in the life of this process. Raises StorageAway."""
        if not self._are_made:
            for name in NAMES:
                await _made(self._service.get_queue_client(name))
            self._are_made = True

    async def given_up(self) -> AsyncIterator[PoisonMessage]:
        """What the host gave up, at most once a minute. Whoever keeps it deletes it. Raises StorageAway."""
        if monotonic() - self._looked < EVERY:
            return
        self._looked = monotonic()
        for name in NAMES:
            poison = self._service.get_queue_client(f"{name}-poison")
            try:
                async for found in poison.receive_messages(messages_per_page=32, visibility_timeout=HIDDEN):
                    yield PoisonMessage(name, found.id, found.content, _deletion(poison, found))
            except ResourceNotFoundError:
                continue  # nothing was ever given up
            except AzureError as exc:
                raise StorageAway("queue storage does not answer") from exc

    async def try_rights(self) -> None:
        """Look into each queue; send, receive and delete in one of our own. Raises Refused or AzureError.

        The host uses the same identity, so what is refused here is refused to the bindings.
        """
        for name in NAMES:
            queue = self._service.get_queue_client(name)
            with suppress(ResourceNotFoundError):  # the next tick makes it
                await _tried(f"look into {name}", queue.peek_messages())
        own = self._service.get_queue_client(OWN)
        with suppress(ResourceExistsError):
            await _tried(f"make the queue {OWN}", own.create_queue())
        sent = await _tried("send to a queue", own.send_message(uuid4().hex, time_to_live=60))
        received = await _tried("receive from a queue", own.receive_message(visibility_timeout=30)) or sent
        with suppress(ResourceNotFoundError):  # another doctor was quicker
            await _tried("delete from a queue", own.delete_message(received))

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()
        if self._credential:
            await self._credential.close()


async def _made(queue: QueueClient) -> None:
    try:
        await queue.create_queue()
    except ResourceExistsError:
        return
    except AzureError as exc:
        raise StorageAway("queue storage does not answer") from exc


def _deletion(queue: QueueClient, message: Any) -> Callable[[], Awaitable[None]]:
    async def delete() -> None:
        with suppress(ResourceNotFoundError):  # another tick was quicker
            await queue.delete_message(message)

    return delete


async def _tried(what: str, request: Awaitable[Any]) -> Any:
    """The answer. Raises Refused, which says what cannot be done and storage's code."""
    try:
        return await request
    except (ResourceNotFoundError, ResourceExistsError):
        raise
    except HttpResponseError as exc:
        code = error_code(exc)
        if not code:  # of the identity, not of storage
            raise
        raise Refused(f"the app cannot {what}: storage answers {exc.status_code} {code}") from exc
