"""shared/storage/tables.py on Azurite: a transaction is all or nothing; no connection is StorageAway."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from local.launcher.azurite import StoragePorts
from local.launcher.ports import free_ports
from shared.errors import Contended, StorageAway
from shared.storage.rows import Delete, Insert, Merge, Put, Row, Write, moment, stamp
from shared.storage.tables import Table, Tables
from tests.azurite import Azurite
from tests.settings import settings


@pytest_asyncio.fixture
async def table(azurite: Azurite) -> AsyncIterator[Table]:
    """A table that does not exist yet."""
    tables = Tables.connect(settings(AzureWebJobsStorage=azurite.connection_string))
    yield tables.table(azurite.fresh_name())
    await tables.close()


async def everything(table: Table) -> dict[str, dict[str, object]]:
    return {row.key: dict(row.values) for row in await table.read("p", "", "~", limit=1000)}


async def test_a_table_is_made_on_first_use(table: Table) -> None:
    assert await table.get("p", "a") is None
    assert await table.read("p", "", "~", limit=10) == []
    await table.commit("p", [Insert("a", {"n": 1})])
    assert await everything(table) == {"a": {"n": 1}}


async def test_each_write_does_what_it_says(table: Table) -> None:
    await table.commit("p", [Insert("a", {"x": 1, "y": 1}), Insert("b", {"x": 1}), Insert("c", {"x": 1})])
    await table.commit("p", [Merge("a", {"x": 2}), Put("b", {"z": 3}), Delete("c"), Put("d", {"new": True})])
    assert await everything(table) == {"a": {"x": 2, "y": 1}, "b": {"z": 3}, "d": {"new": True}}


async def test_etags_come_back_in_order(table: Table) -> None:
    etags = await table.commit("p", [Insert(key, {}) for key in ("c", "a", "b")])
    for key, etag in zip(("c", "a", "b"), etags, strict=True):
        row = await table.get("p", key)
        assert row is not None
        assert row.etag == etag


@pytest.mark.parametrize(
    "stale",
    [
        lambda row: Put("a", {"state": "claimed"}, row.etag),
        lambda row: Merge("a", {"state": "claimed"}, row.etag),
        lambda row: Delete("a", row.etag),
        lambda _: Insert("a", {}),
        lambda _: Merge("missing", {}),
        lambda _: Delete("missing"),
        lambda row: Put("missing", {}, row.etag),
    ],
)
async def test_one_contended_write_fails_the_whole_transaction(table: Table, stale: object) -> None:
    await table.commit("p", [Insert("a", {"state": "pending"}), Insert("b", {"n": 1})])
    row = await table.get("p", "a")
    await table.commit("p", [Merge("a", {"state": "canceled"})])
    before = await everything(table)
    write: Write = stale(row)  # type: ignore[operator]
    with pytest.raises(Contended):
        await table.commit("p", [Merge("b", {"n": 2}), write, Insert("new", {})])
    assert await everything(table) == before


async def test_a_transaction_holds_a_hundred_writes(table: Table) -> None:
    await table.commit("p", [Insert(f"{n:03}", {}) for n in range(100)])
    assert len(await everything(table)) == 100
    with pytest.raises(ValueError, match="101 writes"):
        await table.commit("p", [Insert(f"x{n:03}", {}) for n in range(101)])


async def test_a_range_is_open_at_both_ends_in_order_and_limited(table: Table) -> None:
    await table.commit("p", [Insert(key, {"n": n}) for n, key in enumerate("edcba")])
    await table.commit("q", [Insert("c", {})])
    assert [row.key for row in await table.read("p", "a", "e", limit=10)] == ["b", "c", "d"]
    assert [row.key for row in await table.read("p", "", "~", limit=2)] == ["a", "b"]


@pytest.mark.parametrize("key", ["it's", 'say "x"', "+1 (202)", "ä|ö", "a%2Fb", "x'; drop", "&$filter=true"])
async def test_any_key_is_found_again(table: Table, key: str) -> None:
    await table.commit("p", [Insert(key, {"text": key})])
    row = await table.get("p", key)
    assert row is not None
    assert row.text("text") == key
    assert [each.key for each in await table.read("p", "", "~~", limit=9)] in ([key], [])


async def test_text_comes_back_as_it_was(table: Table) -> None:
    text = "a\u0000b\r\n\t\u2028 \U0001f600 ' \" \\ &lt; --batch"
    await table.commit("p", [Insert("a", {"text": text})])
    row = await table.get("p", "a")
    assert row is not None
    assert row.text("text") == text
    assert row.text("none") == ""


async def test_storage_that_cannot_be_reached_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.storage.tables.TIMEOUTS", {"retry_total": 1, "retry_backoff_factor": 0.01})
    away = StoragePorts(*free_ports(3)).connection_string()
    tables = Tables.connect(settings(AzureWebJobsStorage=away))
    table = tables.table("messages")
    with pytest.raises(StorageAway):
        await table.get("p", "a")
    with pytest.raises(StorageAway):
        await table.read("p", "", "~", limit=1)
    with pytest.raises(StorageAway):
        await table.commit("p", [Insert("a", {})])
    await tables.close()


def test_stamps_sort_as_their_times_do() -> None:
    times = [datetime(2026, 1, 1, 9, tzinfo=UTC), datetime(2026, 1, 1, 9, 0, 0, 5000, UTC)]
    assert stamp(times[0]) == "2026-01-01T09:00:00.000Z"
    assert stamp(times[0]) < stamp(times[1])
    assert moment(stamp(times[1])) == times[1]
    assert Row("k", {"n": 0}, "").text("n") == ""
