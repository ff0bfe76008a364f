"""Storage queue listeners, with the real host's rules for retrying and giving up.

Source: QueueListener, QueueProcessor and QueueListenerFactory in the queue extension (azure-sdk-for-net,
Microsoft.Azure.WebJobs.Extensions.Storage.Queues), in the version that extension bundle 4.38 has: 5.3.7.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueMessage

from local.host.console import log
from local.host.errors import InvocationFailed
from local.host.settings import QueueSettings
from local.host.storage import QueueStorage
from local.host.triggers import QUEUE_NAME, QueueTrigger
from local.host.worker import QueuedMessage, Result

LEASE = timedelta(minutes=10)
_SHORTEST_PAUSE = 0.1
_SHORTEST_OUTAGE_PAUSE, _LONGEST_OUTAGE_PAUSE = 0.1, 15.0

type Invoke = Callable[[QueueTrigger, QueuedMessage, str], Awaitable[Result]]


def poison_queue(queue: str) -> str | None:
    """The queue for messages that failed too often; None for a poison queue."""
    name = f"{queue}-poison"
    return None if queue.endswith("-poison") or not QUEUE_NAME.fullmatch(name) else name


class QueueListener:
    """Takes messages off one queue and invokes its function with them, many at once.

    A queue that is not there is not made: the listener looks again until somebody else has made it.
    lease: how long a message stays invisible while its function runs; renewed at half time. has_looked: set
    once storage has answered.
    """

    def __init__(
        self,
        trigger: QueueTrigger,
        storage: QueueStorage,
        settings: QueueSettings,
        invoke: Invoke,
        *,
        lease: timedelta = LEASE,
    ) -> None:
        self._trigger = trigger
        self._storage = storage
        self._settings = settings
        self._invoke = invoke
        self._lease = int(lease.total_seconds())
        self._client = storage.client(trigger.connection, trigger.queue)
        self._arrivals = storage.arrivals(trigger.connection, trigger.queue)
        self._handling: set[asyncio.Task[None]] = set()
        self.has_looked = asyncio.Event()
        self._is_missing = False
        self._outage = 0.0
        self._stopping = False

    async def listen(self) -> None:
        """Take messages until `stop`. Those that were taken by then are still handled; see `finish`."""
        pause = _SHORTEST_PAUSE
        longest = max(self._settings.max_polling_interval.total_seconds(), _SHORTEST_PAUSE)
        while not self._stopping:
            self._arrivals.clear()
            try:
                found = await self._look()
            except AzureError as exc:
                await self._rest(self._longer_outage(exc))
                continue
            busy = found or await self._rest(pause)
            pause = _SHORTEST_PAUSE if busy else min(pause * 2, longest)
            while len(self._handling) > self._settings.new_batch_threshold and not self._stopping:
                await asyncio.wait(self._handling, return_when=asyncio.FIRST_COMPLETED)

    async def _look(self) -> int:
        """Take a batch, and return its size. The real host logs a missing queue each time it looks."""
        try:
            found, is_missing = await self._take_batch(), False
        except ResourceNotFoundError:
            found, is_missing = 0, True
        if is_missing and not self._is_missing:
            text = "404: the queue %s is not there, and the host does not make it"
            self._log(text, self._trigger.queue, level=logging.WARNING)
        if self._outage >= 1:
            self._log("storage is back")
        self._is_missing, self._outage = is_missing, 0.0
        self.has_looked.set()
        return found

    def _longer_outage(self, exc: AzureError) -> float:
        """The seconds to wait before the next try."""
        self._outage = min(max(self._outage * 2, _SHORTEST_OUTAGE_PAUSE), _LONGEST_OUTAGE_PAUSE)
        # While the laptop edition is starting, storage may need a moment. Do not log that.
        if self._outage >= 1:
            text, reason = "storage is away, trying again in %.0f s: %s", str(exc).partition("\n")[0]
            self._log(text, self._outage, reason, level=logging.WARNING)
        return self._outage

    def stop(self) -> None:
        """Take no further batch. A batch that is being fetched is still handled."""
        self._stopping = True
        self._arrivals.set()

    async def finish(self) -> None:
        """Wait until every message that was taken is settled; call it once its functions have ended."""
        if self._handling:
            await asyncio.wait(self._handling)

    async def _take_batch(self) -> int:
        size = self._settings.batch_size
        pages = self._client.receive_messages(
            messages_per_page=size, max_messages=size, visibility_timeout=self._lease
        )
        found = 0
        async for message in pages:
            task = asyncio.create_task(self._handle(message))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)
            found += 1
        return found

    async def _rest(self, seconds: float) -> bool:
        """Wait for the next look. Returns True at once if this host puts a message on the queue."""
        try:
            await asyncio.wait_for(self._arrivals.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _handle(self, message: QueueMessage) -> None:
        """Run the function for one message, then delete, release or give up the message.

        A message of a poison queue is skipped without a word after its last try, and stays until it expires
        (BeginProcessingMessageAsync). From version 5.3.8 on it comes back every ten minutes instead.
        """
        tries = message.dequeue_count or 1
        most = self._settings.max_dequeue_count
        try:
            if tries > most:
                await self._give_up(message, f"it was taken {tries} times")
                return
            try:
                body = self._storage.decode(message.content)
            except ValueError:
                await self._give_up(message, "it is not base64, as messageEncoding in host.json asks")
                return
            renewing = asyncio.create_task(self._renew(message))
            try:
                await self._invoke(
                    self._trigger, _as_trigger(message, body), f"message {message.id}, try {tries}"
                )
                succeeded = True
            except InvocationFailed:
                succeeded = False
            finally:
                renewing.cancel()
            await self._settle(message, succeeded=succeeded, is_last=tries >= most)
        except AzureError as exc:
            reason = str(exc).partition("\n")[0]
            self._log(
                "message %s was not settled and will come again: %s",
                message.id,
                reason,
                level=logging.WARNING,
            )

    async def _settle(self, message: QueueMessage, *, succeeded: bool, is_last: bool) -> None:
        if succeeded:
            await self._client.delete_message(message)
        elif poison_queue(self._trigger.queue) is None:
            # Without a poison queue, the message stays invisible until its lease ends, so that it does not
            # fail in a tight loop.
            return
        elif is_last:
            await self._give_up(message, f"it failed {message.dequeue_count} times")
        else:
            wait = int(self._settings.visibility_timeout.total_seconds())
            await self._client.update_message(message, visibility_timeout=wait)
            if not wait:
                self._arrivals.set()

    async def _give_up(self, message: QueueMessage, reason: str) -> None:
        target = poison_queue(self._trigger.queue)
        if target is None:
            return
        await self._storage.send_encoded(self._trigger.connection, target, message.content)
        await self._client.delete_message(message)
        self._log("message %s moved to %s: %s", message.id, target, reason, level=logging.WARNING)

    async def _renew(self, message: QueueMessage) -> None:
        """Keep the message invisible while its function runs. Each renewal gives it a new receipt."""
        while True:
            await asyncio.sleep(self._lease / 2)
            try:
                renewed = await self._client.update_message(message, visibility_timeout=self._lease)
                message.pop_receipt = renewed.pop_receipt
            except AzureError as exc:
                reason = str(exc).partition("\n")[0]
                self._log("message %s was not renewed: %s", message.id, reason, level=logging.WARNING)

    def _log(self, text: str, *args: object, level: int = logging.INFO) -> None:
        extra = {"function": self._trigger.function.name}
        log.log(level, text, *args, extra=extra)


def _as_trigger(message: QueueMessage, body: str) -> QueuedMessage:
    fields = {
        "inserted_at": message.inserted_on,
        "expires_at": message.expires_on,
        "next_visible_at": message.next_visible_on,
    }
    return QueuedMessage(
        body,
        message.id,
        message.dequeue_count or 1,
        message.pop_receipt or "",
        **{name: value for name, value in fields.items() if value is not None},
    )
