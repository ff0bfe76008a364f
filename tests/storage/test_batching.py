"""shared/storage/batching.py on Azurite: commits share transactions, and each stays all or nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest_asyncio

from shared.errors import Contended, StorageAway
from shared.storage.batching import Batches
from shared.storage.rows import Insert, Merge, Put, Row, Write
from shared.storage.tables import Table, Tables
from tests.azurite import Azurite
from tests.settings import settings
from tests.waiting import until


class Watched:
    """A real table that remembers the size of each transaction. The next `away` of them fail unwritten."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.sizes: list[int] = []
        self.away = 0

    async def get(self, partition: str, key: str) -> Row | None:
        return await self.table.get(partition, key)

    async def read(self, partition: str, low: str, high: str, **options: Any) -> list[Row]:
        return await self.table.read(partition, low, high, **options)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        self.sizes.append(len(writes))
        if self.away:
            self.away -= 1
            raise StorageAway("table storage does not answer")
        return await self.table.commit(partition, writes)


@pytest_asyncio.fixture
async def watched(azurite: Azurite) -> AsyncIterator[Watched]:
    tables = Tables.connect(settings(AzureWebJobsStorage=azurite.connection_string))
    table = tables.table(azurite.fresh_name())
    await table.commit("p", [Insert("first", {})])
    yield Watched(table)
    await tables.close()


def rows_of(number: int, count: int = 3) -> list[Write]:
    return [Insert(f"{number:03}|{each}", {"number": number}) for each in range(count)]


async def stored(table: Watched) -> Mapping[str, Row]:
    return {row.key: row for row in await table.read("p", "", "~", limit=1000)}


async def test_commits_at_once_share_a_transaction_and_one_alone_has_its_own(watched: Watched) -> None:
    batches = Batches(watched.commit)
    etags = await asyncio.gather(*(batches.commit("p", rows_of(number)) for number in range(20)))
    assert watched.sizes == [60]
    found = await stored(watched)
    for number, mine in enumerate(etags):
        assert mine == [found[f"{number:03}|{each}"].etag for each in range(3)]
    await batches.commit("p", rows_of(20))
    assert watched.sizes == [60, 3]


async def test_no_transaction_is_larger_than_storage_takes(watched: Watched) -> None:
    batches = Batches(watched.commit)
    await asyncio.gather(*(batches.commit("p", rows_of(number, 7)) for number in range(40)))
    assert len(await stored(watched)) == 1 + 40 * 7
    assert watched.sizes == [98, 98, 84]


async def test_commits_that_come_while_one_is_under_way_share_the_next_transaction(watched: Watched) -> None:
    batches = Batches(watched.commit)
    commits = [asyncio.create_task(batches.commit("p", rows_of(0)))]
    await until(lambda: watched.sizes)
    commits += [asyncio.create_task(batches.commit("p", rows_of(number))) for number in range(1, 5)]
    await asyncio.gather(*commits)
    assert watched.sizes == [3, 12]


async def test_partitions_do_not_wait_for_each_other(watched: Watched) -> None:
    batches = Batches(watched.commit)
    await asyncio.gather(*(batches.commit(partition, rows_of(1)) for partition in "abc"))
    assert watched.sizes == [3, 3, 3]


async def test_a_contended_commit_fails_no_other(watched: Watched) -> None:
    batches = Batches(watched.commit)
    await batches.commit("p", rows_of(5))
    commits = (batches.commit("p", rows_of(number)) for number in range(10))
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert [isinstance(each, Contended) for each in results] == [number == 5 for number in range(10)]
    assert len(await stored(watched)) == 1 + 10 * 3


async def test_two_writes_of_one_row_are_made_one_after_the_other(watched: Watched) -> None:
    batches = Batches(watched.commit)
    before = (await stored(watched))["first"].etag
    results = await asyncio.gather(
        batches.commit("p", [Insert("other", {})]),
        batches.commit("p", [Put("first", {"by": "one"}, before)]),
        batches.commit("p", [Put("first", {"by": "two"}, before)]),
        return_exceptions=True,
    )
    assert [isinstance(each, Contended) for each in results] == [False, False, True]
    assert (await stored(watched))["first"].text("by") == "one"


async def test_storage_that_is_away_fails_each_waiting_commit_and_the_next_goes_on(watched: Watched) -> None:
    batches = Batches(watched.commit)
    watched.away = 1
    commits = (batches.commit("p", rows_of(number)) for number in range(4))
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert all(isinstance(each, StorageAway) for each in results)
    await batches.commit("p", rows_of(1))
    assert sorted(await stored(watched)) == ["001|0", "001|1", "001|2", "first"]


async def test_a_commit_that_is_canceled_leaves_the_others_alone(watched: Watched) -> None:
    batches = Batches(watched.commit)
    commits = [asyncio.create_task(batches.commit("p", rows_of(number))) for number in range(4)]
    await asyncio.sleep(0)
    commits[2].cancel()
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert isinstance(results[2], asyncio.CancelledError)
    assert [len(each) for each in results if isinstance(each, list)] == [3, 3, 3]
    await batches.commit("p", [Merge("first", {"still": "there"})])


async def test_a_commit_that_storage_refuses_fails_no_other(watched: Watched) -> None:
    batches = Batches(watched.commit)
    too_large = [Insert("large", {"text": "x" * 40_000})]  # a text column holds 32,768 characters
    results = await asyncio.gather(
        batches.commit("p", rows_of(1)),
        batches.commit("p", too_large),
        batches.commit("p", rows_of(2)),
        return_exceptions=True,
    )
    assert [isinstance(each, Exception) for each in results] == [False, True, False]
    assert len(await stored(watched)) == 1 + 6


class Held(Watched):
    """Its commits wait for the gate."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.gate = asyncio.Event()

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        self.sizes.append(len(writes))
        await self.gate.wait()
        return await self.table.commit(partition, writes)


async def test_a_commit_that_was_canceled_while_it_waited_is_not_made(watched: Watched) -> None:
    held = Held(watched.table)
    batches = Batches(held.commit)
    first = asyncio.create_task(batches.commit("p", rows_of(0)))
    await until(lambda: held.sizes)
    waiting = [asyncio.create_task(batches.commit("p", rows_of(number))) for number in (1, 2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    held.gate.set()
    await asyncio.gather(first, waiting[1])
    assert sorted(await stored(watched)) == ["000|0", "000|1", "000|2", "002|0", "002|1", "002|2", "first"]


async def test_a_transaction_that_is_canceled_leaves_no_commit_waiting(watched: Watched) -> None:
    held = Held(watched.table)
    batches = Batches(held.commit)
    commits = [asyncio.create_task(batches.commit("p", rows_of(0)))]
    await until(lambda: held.sizes)
    commits.append(asyncio.create_task(batches.commit("p", rows_of(1))))
    await asyncio.sleep(0)
    for running in batches._running:
        running.cancel()
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in results)
    held.gate.set()
    assert len(await batches.commit("p", rows_of(2))) == 3


async def test_racers_on_one_row_have_one_winner(watched: Watched) -> None:
    """As in eight worker processes, each with batches of its own."""
    etag = (await stored(watched))["first"].etag
    racers = [Batches(watched.commit) for _ in range(8)]
    race = (
        each.commit("p", [Put("first", {"by": n}, etag), Insert(f"by{n}", {})])
        for n, each in enumerate(racers)
    )
    results = await asyncio.gather(*race, return_exceptions=True)
    assert sum(isinstance(each, list) for each in results) == 1
    assert len(await stored(watched)) == 2
