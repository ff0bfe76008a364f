"""local/host/queues.py against the real Azurite: retrying, giving up, encodings, batches, outages."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from local.host.errors import InvocationFailed
from local.host.queues import LEASE, QueueListener, poison_queue
from local.host.settings import QueueSettings
from local.host.storage import QueueStorage
from local.host.triggers import QueueTrigger
from local.host.worker import Function, QueuedMessage, Result
from tests.azurite import Azurite
from tests.waiting import until

SETTINGS = QueueSettings(
    batch_size=4,
    new_batch_threshold=2,
    max_dequeue_count=3,
    visibility_timeout=timedelta(0),
    max_polling_interval=timedelta(seconds=0.2),
    message_encoding="none",
)
type Handler = Callable[[QueuedMessage], Awaitable[None]]


class Listening:
    """A listener on `calls`, and what its function was given."""

    def __init__(
        self,
        connection: str,
        handler: Handler,
        settings: QueueSettings = SETTINGS,
        queue: str = "calls",
        lease: timedelta = LEASE,
    ) -> None:
        self.taken: list[QueuedMessage] = []
        self.connection = connection
        self.queue = QueueClient.from_connection_string(connection, queue)
        self.storage = QueueStorage({"Storage": connection}, settings.message_encoding)
        self._handler = handler
        trigger = QueueTrigger(Function("take", "1", ()), queue, "Storage")
        self.listener = QueueListener(trigger, self.storage, settings, self._invoke, lease=lease)

    async def _invoke(self, _: QueueTrigger, message: QueuedMessage, __: str) -> Result:
        self.taken.append(message)
        await self._handler(message)
        return Result()

    def poison(self) -> list[str]:
        """The texts in the poison queue."""
        with QueueClient.from_connection_string(self.connection, "calls-poison") as queue:
            return [message.content for message in queue.receive_messages()]

    async def emptied(self) -> None:
        """Wait until nothing is left in the queue, visible or not."""
        await until(lambda: not self.queue.get_queue_properties().approximate_message_count)


@asynccontextmanager
async def listening(listening: Listening) -> AsyncIterator[Listening]:
    await listening.storage.create("Storage", listening.queue.queue_name)
    task = asyncio.create_task(listening.listener.listen())
    try:
        async with asyncio.timeout(60):
            yield listening
    finally:
        listening.listener.stop()
        await task
        await listening.listener.finish()
        await listening.storage.close()
        listening.queue.close()


def left(connection: str, queue: str) -> int | None:
    """How many messages are in the queue, visible or not."""
    with QueueClient.from_connection_string(connection, queue) as client:
        return client.get_queue_properties().approximate_message_count


async def succeed(_: QueuedMessage) -> None:
    return


async def fail(_: QueuedMessage) -> None:
    raise InvocationFailed("take", "it broke", "")


async def test_a_message_is_handed_over_with_its_metadata_and_deleted(azurite: Azurite) -> None:
    async with listening(Listening(azurite.fresh_account(), succeed)) as calls:
        sent = calls.queue.send_message('{"to": "+12025550101"} & <é>')
        await calls.emptied()
    (message,) = calls.taken
    assert message.body == '{"to": "+12025550101"} & <é>'
    assert (message.id, message.dequeue_count) == (sent.id, 1)
    assert message.inserted_at == sent.inserted_on
    assert message.expires_at == sent.expires_on
    assert message.pop_receipt
    assert message.next_visible_at
    assert message.next_visible_at - message.inserted_at >= LEASE - timedelta(seconds=2)


async def test_a_failed_message_is_tried_again_until_it_succeeds(azurite: Azurite) -> None:
    async def fail_twice(message: QueuedMessage) -> None:
        if message.dequeue_count < 3:
            await fail(message)

    async with listening(Listening(azurite.fresh_account(), fail_twice)) as calls:
        calls.queue.send_message("one")
        await calls.emptied()
    assert [message.dequeue_count for message in calls.taken] == [1, 2, 3]


async def test_a_message_that_keeps_failing_goes_to_the_poison_queue(azurite: Azurite) -> None:
    async with listening(Listening(azurite.fresh_account(), fail)) as calls:
        calls.queue.send_message("bad")
        await calls.emptied()
        assert calls.poison() == ["bad"]
    assert [message.dequeue_count for message in calls.taken] == [1, 2, 3]


async def test_a_failing_message_does_not_hold_up_the_next(azurite: Azurite) -> None:
    async def fail_the_bad(message: QueuedMessage) -> None:
        if message.body == "bad":
            await fail(message)

    async with listening(Listening(azurite.fresh_account(), fail_the_bad)) as calls:
        for text in ("bad", "good"):
            calls.queue.send_message(text)
        await calls.emptied()
        assert calls.poison() == ["bad"]
    assert [message.body for message in calls.taken].count("good") == 1


async def test_a_failed_message_stays_away_for_the_visibility_timeout(azurite: Azurite) -> None:
    settings = replace(SETTINGS, visibility_timeout=timedelta(hours=1))
    account = azurite.fresh_account()
    async with listening(Listening(account, fail, settings)) as calls:
        first = calls.queue.send_message("one")
        await until(lambda: calls.taken)
        calls.queue.send_message("two")
        await until(lambda: len(calls.taken) == 2)
    assert [message.body for message in calls.taken] == ["one", "two"]
    assert first.id == calls.taken[0].id
    assert left(account, "calls") == 2


async def test_a_message_taken_too_often_is_given_up_without_a_further_run(azurite: Azurite) -> None:
    calls = Listening(azurite.fresh_account(), succeed)
    await calls.storage.create("Storage", "calls")
    calls.queue.send_message("killed its worker")
    for _ in range(SETTINGS.max_dequeue_count):
        assert calls.queue.receive_message(visibility_timeout=1)
        await until(lambda: list(calls.queue.peek_messages()))
    async with listening(calls):
        await calls.emptied()
        assert calls.poison() == ["killed its worker"]
    assert calls.taken == []


async def test_with_base64_plain_text_is_poisoned_unseen(azurite: Azurite) -> None:
    settings = replace(SETTINGS, message_encoding="base64")
    async with listening(Listening(azurite.fresh_account(), succeed, settings)) as calls:
        calls.queue.send_message('{"plain": "text"}')
        calls.queue.send_message(base64.b64encode("encodé".encode()).decode())
        await calls.emptied()
        assert calls.poison() == ['{"plain": "text"}']
    assert [message.body for message in calls.taken] == ["encodé"]


async def test_with_none_base64_arrives_as_it_was_sent(azurite: Azurite) -> None:
    async with listening(Listening(azurite.fresh_account(), succeed)) as calls:
        calls.queue.send_message("eyJ0byI6ICIifQ==")
        await calls.emptied()
    assert [message.body for message in calls.taken] == ["eyJ0byI6ICIifQ=="]


async def test_an_output_is_encoded_as_host_json_says(azurite: Azurite) -> None:
    account = azurite.fresh_account()
    storage = QueueStorage({"Storage": account}, "base64")
    await storage.send("Storage", "made-by-the-output", "hi")
    await storage.close()
    with QueueClient.from_connection_string(account, "made-by-the-output") as queue:
        assert [message.content for message in queue.receive_messages()] == ["aGk="]


async def test_no_more_run_at_once_than_batch_and_threshold_allow(azurite: Azurite) -> None:
    running, most = 0, 0
    release = asyncio.Event()

    async def hold(_: QueuedMessage) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if most == SETTINGS.batch_size:
            # A full batch is running. If a further one were taken, it would run before these end.
            asyncio.get_running_loop().call_later(0.5, release.set)
        await release.wait()
        running -= 1

    account = azurite.fresh_account()
    calls = Listening(account, hold)
    await calls.storage.create("Storage", "calls")
    for number in range(12):
        calls.queue.send_message(str(number))
    async with listening(calls):
        await calls.emptied()
    assert SETTINGS.batch_size <= most <= SETTINGS.batch_size + SETTINGS.new_batch_threshold
    assert sorted(int(message.body) for message in calls.taken) == list(range(12))


async def test_a_message_stays_invisible_while_its_function_runs(azurite: Azurite) -> None:
    lease = timedelta(seconds=3)

    async def outlast(_: QueuedMessage) -> None:
        await asyncio.sleep(lease.total_seconds() * 1.5)

    async with listening(Listening(azurite.fresh_account(), outlast, lease=lease)) as calls:
        calls.queue.send_message("slow")
        await calls.emptied()
    assert len(calls.taken) == 1


async def test_a_poison_queue_has_no_poison_queue_of_its_own(azurite: Azurite) -> None:
    assert poison_queue("calls") == "calls-poison"
    assert poison_queue("calls-poison") is None
    account = azurite.fresh_account()
    async with listening(Listening(account, fail, queue="calls-poison")) as poison:
        poison.queue.send_message("stays")
        await until(lambda: poison.taken)
        # Its lease has to run out first, so that it does not fail in a tight loop.
        assert list(poison.queue.peek_messages()) == []
    assert left(account, "calls-poison") == 1


async def test_a_poison_queue_s_message_is_skipped_after_its_last_try(azurite: Azurite) -> None:
    account = azurite.fresh_account()
    poison = Listening(account, fail, queue="calls-poison", lease=timedelta(seconds=1))
    async with listening(poison):
        poison.queue.send_message("nobody wants it")
        # Each try takes a lease; then it is taken, and no longer handed over.
        await until(lambda: len(poison.taken) == SETTINGS.max_dequeue_count)
        for _ in range(2):
            await until(lambda: list(poison.queue.peek_messages()))
            await until(lambda: not list(poison.queue.peek_messages()))
    assert len(poison.taken) == SETTINGS.max_dequeue_count
    assert left(account, "calls-poison") == 1


async def test_what_is_running_is_settled_when_the_listener_stops(azurite: Azurite) -> None:
    begun = asyncio.Event()

    async def take_a_moment(_: QueuedMessage) -> None:
        begun.set()
        await asyncio.sleep(0.3)

    account = azurite.fresh_account()
    async with listening(Listening(account, take_a_moment)) as calls:
        calls.queue.send_message("one")
        await begun.wait()
    assert left(account, "calls") == 0


async def test_a_queue_that_is_not_there_is_not_made(
    azurite: Azurite, caplog: pytest.LogCaptureFixture
) -> None:
    account = azurite.fresh_account()
    async with listening(Listening(account, succeed)) as calls:
        calls.queue.delete_queue()
        await until(lambda: "404: the queue calls is not there" in caplog.text)
        with pytest.raises(ResourceNotFoundError):
            await asyncio.to_thread(calls.queue.send_message, "lost")
        # An output makes its queue, and the listener finds it.
        await calls.storage.send("Storage", "calls", "after")
        await until(lambda: calls.taken)
        await calls.emptied()
    assert [message.body for message in calls.taken] == ["after"]
    assert caplog.text.count("404") == 1


async def test_it_goes_on_when_storage_is_back(azurite: Azurite, caplog: pytest.LogCaptureFixture) -> None:
    """A relay stands between the listener and Azurite, and goes away for a while."""
    relay = Relay(azurite.ports.queue)
    await relay.open()
    through = azurite.fresh_account().replace(f":{azurite.ports.queue}/", f":{relay.port}/")
    caplog.set_level(logging.INFO, "host")
    async with listening(Listening(through, succeed)) as calls:
        await asyncio.to_thread(calls.queue.send_message, "before")
        await asyncio.to_thread(_drained, calls.queue)
        await relay.close()
        await until(lambda: "storage is away, trying again in 2 s" in caplog.text)
        await relay.open()
        await asyncio.to_thread(calls.queue.send_message, "after")
        await asyncio.to_thread(_drained, calls.queue)
    await relay.close()
    assert [message.body for message in calls.taken] == ["before", "after"]
    assert "storage is back" in caplog.text


def _drained(queue: QueueClient) -> None:
    while queue.get_queue_properties().approximate_message_count:
        pass


class Relay:
    """Passes TCP through to another port of this machine, as long as it is open."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        if self._server:
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, beyond = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, beyond}
        try:
            await asyncio.gather(_copy(reader, beyond), _copy(there, writer))
        except ConnectionError:
            pass
        finally:
            self._writers -= {writer, beyond}
            for each in (writer, beyond):
                each.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
