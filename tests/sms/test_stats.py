"""shared/sms/stats.py: counts by state and hour, by range reads alone."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from shared.delivery.states import State
from shared.delivery.store import Store, creation
from shared.services import Services
from shared.sms import message, stats
from shared.sms.message import Message
from shared.sms.stats import Stats
from shared.storage.rows import Row, Rows
from tests import clock
from tests.azurite import Azurite
from tests.settings import settings

NOW = clock.NOW.replace(minute=30)


@pytest_asyncio.fixture
async def store(azurite: Azurite) -> AsyncIterator[Store[Message]]:
    made = Services(settings(AzureWebJobsStorage=azurite.fresh_account()))
    yield made.messages
    await made.close()


async def keep(store: Store[Message], due: datetime, state: State, number: int = 101) -> Message:
    to = f"+12025550{number}"
    made = Message(id=message.new_id(to, due), to=to, body="Hi", due=due, created=due, state=state)
    await store.table.commit(made.partition, creation(made))
    return made


async def never(*_: Any) -> Any:
    raise AssertionError("neither a point read nor a write is needed")


class Watched:
    """A table of which ranges are read and nothing else; what is read is counted."""

    def __init__(self, table: Rows) -> None:
        self._table = table
        self.get = self.commit = never
        self.reads: list[tuple[str, str, str]] = []
        self.rows = 0

    async def read(self, partition: str, low: str, high: str, **options: Any) -> list[Row]:
        self.reads.append((partition, low, high))
        found = await self._table.read(partition, low, high, **options)
        self.rows += len(found)
        return found


async def test_messages_are_counted_by_state_and_hour(store: Store[Message]) -> None:
    await keep(store, NOW - timedelta(hours=3), State.DELIVERED)
    await keep(store, NOW - timedelta(hours=3), State.DELIVERED, 102)
    await keep(store, NOW - timedelta(minutes=5), State.FAILED, 103)
    await keep(store, NOW - timedelta(hours=30), State.DELIVERED, 104)
    await keep(store, NOW + timedelta(hours=2), State.PENDING, 105)
    await keep(store, NOW + timedelta(days=6), State.HELD, 106)
    await keep(store, NOW + timedelta(days=8), State.PENDING, 107)
    await keep(store, NOW - timedelta(minutes=1), State.PENDING, 108)
    found = await Stats(store.table).view(now=NOW)
    assert found == {
        "at": "2009-11-23T12:30:00.000Z",
        "past": {"2009-11-23T09:00Z": {"delivered": 2}, "2009-11-23T12:00Z": {"failed": 1}},
        "ahead": {"2009-11-23T14:00Z": {"pending": 1}, "2009-11-29T12:00Z": {"held": 1}},
        "due": 1,
        "unresolved": 0,
        "complete": True,
    }


async def test_what_is_unresolved_counts_however_old_it_is(store: Store[Message]) -> None:
    old = await keep(store, NOW - timedelta(days=90), State.UNRESOLVED)
    assert (await Stats(store.table).view(now=NOW))["unresolved"] == 1
    (found,) = (await store.page(state=State.UNRESOLVED)).items
    assert found.id == old.id
    await store.change(found, replace(found, state=State.DELIVERED))
    assert (await Stats(store.table).view(now=NOW))["unresolved"] == 0


async def test_only_ranges_of_what_is_asked_for_are_read(store: Store[Message]) -> None:
    for number in range(20):
        await keep(store, NOW - timedelta(days=40 + number), State.DELIVERED, 101 + number)
        await keep(store, NOW + timedelta(days=40 + number), State.PENDING, 101 + number)
    await keep(store, NOW - timedelta(hours=1), State.DELIVERED)
    watched = Watched(store.table)
    await Stats(watched).view(now=NOW)
    assert len(watched.reads) == 16 * 5
    assert watched.rows == 1
    assert all(low and high for _, low, high in watched.reads)


async def test_counts_of_many_rows_are_kept_for_a_while(
    store: Store[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "ROWS_A_SECOND", 0.001)
    await keep(store, NOW - timedelta(hours=5), State.DELIVERED)
    watched = Watched(store.table)
    counted = Stats(watched)
    await counted.view(now=NOW)
    before = len(watched.reads)
    await counted.view(now=NOW)
    # What was empty is read again; the span that had a row is not.
    assert len(watched.reads) - before == 16 * 4
    await counted.view(now=NOW + timedelta(hours=1))
    assert len(counted._kept) == 5


async def test_more_than_is_counted_is_told(store: Store[Message], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "CAP", 2)
    for minutes in range(3):
        await keep(store, NOW - timedelta(minutes=minutes + 1), State.DELIVERED)
    found: Mapping[str, Any] = await Stats(store.table).view(now=NOW)
    assert found["complete"] is False
    assert found["past"] == {"2009-11-23T12:00Z": {"delivered": 2}}
