"""shared/storage/layout.py on Azurite: a store that other code laid out is refused, by every table."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from local.launcher.azurite import StoragePorts
from local.launcher.ports import free_ports
from shared.errors import OldStore, StorageAway
from shared.storage.layout import COLUMN, KEY, PARTITION, TABLES, VERSION, problem_of
from shared.storage.rows import Insert
from shared.storage.tables import Table, Tables
from tests.azurite import Azurite
from tests.hanging import hanging_storage
from tests.settings import settings
from tests.storage.raw_server import raw_server

CALLS: dict[str, Callable[[Table], Awaitable[object]]] = {
    "get": lambda table: table.get("p", "a"),
    "read": lambda table: table.read("p", "", "~", limit=1),
    "commit": lambda table: table.commit("p", [Insert("new", {})]),
}


@asynccontextmanager
async def a_process(connection: str) -> AsyncIterator[Tables]:
    """What one worker process has: nothing of the store is known to it yet."""
    tables = Tables.connect(settings(AzureWebJobsStorage=connection))
    yield tables
    await tables.close()


def unguarded(tables: Tables, name: str = "messages") -> Table:
    return Table(tables._service.get_table_client(name), None)


@pytest_asyncio.fixture
async def tables(azurite: Azurite) -> AsyncIterator[Tables]:
    """A process with a new storage account."""
    async with a_process(azurite.fresh_account()) as made:
        yield made


async def version_in(tables: Tables) -> object:
    row = await unguarded(tables).get(PARTITION, KEY)
    return row and row.values[COLUMN]


async def check_refused(tables: Tables, name: str = "messages") -> str:
    """Every read and write of a table is refused, and nothing is written; the error's text."""
    before = await unguarded(tables, name).read("p", "", "~", limit=100)
    text = ""
    for call in CALLS.values():
        with pytest.raises(OldStore) as caught:
            await call(tables.table(name))
        text = str(caught.value)
    assert await unguarded(tables, name).read("p", "", "~", limit=100) == before
    return text


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_a_new_store_gets_our_version_on_its_first_use(
    tables: Tables, call: Callable[[Table], Awaitable[object]]
) -> None:
    await call(tables.table("calls"))
    assert await version_in(tables) == VERSION


async def test_a_store_of_ours_is_used(azurite: Azurite) -> None:
    connection = azurite.fresh_account()
    async with a_process(connection) as first:
        await first.table("calls").commit("p", [Insert("a", {})])
    async with a_process(connection) as second:
        assert await second.table("calls").get("p", "a") is not None


async def test_the_version_is_read_once(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = Table.get

    async def counted(table: Table, partition: str, key: str) -> object:
        read.append(partition)
        return await real(table, partition, key)

    monkeypatch.setattr(Table, "get", counted)
    await asyncio.gather(*(tables.table(name).read("p", "", "~", limit=1) for name in TABLES * 4))
    assert read == [PARTITION, PARTITION]  # before the insert, and after it
    await tables.table("calls").get("p", "a")
    assert read == [PARTITION, PARTITION, "p"]


@pytest.mark.parametrize("name", TABLES)
async def test_an_older_store_is_refused_whichever_table_has_rows(tables: Tables, name: str) -> None:
    await unguarded(tables, name).commit("p", [Insert("m|1", {"state": "pending"})])
    for each in TABLES:
        text = await check_refused(tables, each)
    assert "AzureWebJobsStorage" in text
    assert "delete the tables messages, calls, deadletters, bulk, limits" in text
    assert await version_in(tables) is None


@pytest.mark.parametrize("version", [1, VERSION + 1, str(VERSION), "", None])
async def test_any_other_version_is_refused(tables: Tables, version: object) -> None:
    await unguarded(tables).commit(PARTITION, [Insert(KEY, {} if version is None else {COLUMN: version})])
    assert f"this code has layout {VERSION}" in await check_refused(tables)


async def test_a_refused_store_is_logged_once(tables: Tables, caplog: pytest.LogCaptureFixture) -> None:
    await unguarded(tables).commit("p", [Insert("m|1", {})])
    await check_refused(tables)
    await check_refused(tables, "calls")
    (logged,) = [each for each in caplog.records if each.name == "shared.storage.layout"]
    assert logged.levelno == logging.ERROR
    assert "AzureWebJobsStorage" in logged.getMessage()


async def test_the_app_goes_on_by_itself_once_the_tables_are_deleted(tables: Tables) -> None:
    for name in ("messages", "calls"):
        await unguarded(tables, name).commit("p", [Insert("a", {})])
    await check_refused(tables)
    await tables._service.delete_table("messages")
    await check_refused(tables)
    await tables._service.delete_table("calls")
    await tables.table("calls").commit("p", [Insert("a", {})])
    assert await version_in(tables) == VERSION


async def test_tables_that_are_deleted_under_a_process_get_their_version_again(azurite: Azurite) -> None:
    """Or the next process would find rows without a version, and refuse its own store."""
    connection = azurite.fresh_account()
    async with a_process(connection) as tables:
        for name in ("messages", "calls"):
            await tables.table(name).commit("p", [Insert("a", {})])
            await tables._service.delete_table(name)
        await tables.table("calls").commit("p", [Insert("b", {})])
        assert await version_in(tables) == VERSION
    async with a_process(connection) as tables:
        assert await tables.table("calls").get("p", "b") is not None


async def test_processes_that_begin_at_once_all_use_the_store(azurite: Azurite) -> None:
    connection = azurite.fresh_account()

    async def begin(number: int) -> None:
        async with a_process(connection) as tables:
            table = tables.table(TABLES[number % len(TABLES)])
            await asyncio.gather(
                *(table.commit(f"p{number}", [Insert(str(each), {})]) for each in range(3)),
                table.get("p", "a"),
            )

    await asyncio.gather(*(begin(number) for number in range(12)))


async def test_a_process_that_looks_while_another_begins_is_not_misled(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads no version; the other inserts it and writes a row; then it finds the row."""
    connection = azurite.fresh_account()
    real = Table.is_empty
    async with a_process(connection) as first, a_process(connection) as second:

        async def overtaken(table: Table) -> bool:
            monkeypatch.setattr(Table, "is_empty", real)
            await second.table("calls").commit("p", [Insert("a", {})])
            return await table.is_empty()

        monkeypatch.setattr(Table, "is_empty", overtaken)
        assert await first.table("calls").get("p", "a") is not None


async def test_a_caller_that_is_canceled_leaves_the_others_alone(tables: Tables) -> None:
    calls = [asyncio.create_task(tables.table("calls").get("p", "a")) for _ in range(3)]
    await asyncio.sleep(0)
    calls[0].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [None, None]
    assert await version_in(tables) == VERSION


async def test_storage_that_is_away_is_no_old_store_and_is_asked_again(azurite: Azurite) -> None:
    away = StoragePorts(*free_ports(3)).connection_string()
    async with a_process(away) as tables:
        with pytest.raises(StorageAway) as caught:
            await tables.table("messages").get("p", "a")
        assert not isinstance(caught.value, OldStore)
        assert await problem_of(lambda: tables.layout) is None
    async with a_process(azurite.fresh_account()) as tables:
        held, there = tables.layout._table, False

        def table(name: str) -> Table:
            if not there:
                raise StorageAway("table storage does not answer")
            return held(name)  # type: ignore[return-value]

        tables.layout._table = table
        with pytest.raises(StorageAway):
            await tables.table("messages").get("p", "a")
        there = True
        assert await tables.table("messages").get("p", "a") is None


async def test_health_does_not_wait_for_storage_that_hangs() -> None:
    async with hanging_storage() as connection, a_process(connection) as tables:
        async with asyncio.timeout(5):
            assert await problem_of(lambda: tables.layout, seconds=0.2) is None


@pytest.mark.parametrize("connection", ["nonsense", "AccountName=a"])
async def test_health_leaves_a_malformed_connection_string_to_the_diagnosis(connection: str) -> None:
    known = settings(AzureWebJobsStorage=connection)
    assert await problem_of(lambda: Tables.connect(known).layout) is None


async def test_a_table_that_storage_still_deletes_is_away() -> None:
    """Azure takes 40 seconds and more to delete a table ("Delete Table"); meanwhile none can be made."""
    body = b'{"odata.error": {"code": "TableBeingDeleted", "message": {"value": "is being deleted"}}}'
    head = b"HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\nContent-Length: "
    async with (
        raw_server(head + str(len(body)).encode() + b"\r\n\r\n" + body) as port,
        a_process(StoragePorts(port, port, port).connection_string()) as tables,
    ):
        with pytest.raises(StorageAway, match="still deletes"):
            await unguarded(tables)._create()
