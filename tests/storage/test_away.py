"""Every error of the storage SDKs that says nothing of the request is StorageAway, and comes soon."""

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from local.launcher.azurite import StoragePorts
from shared.config import Settings
from shared.errors import StorageAway
from shared.storage.blobs import Blobs
from shared.storage.rows import Insert
from shared.storage.tables import Table, Tables
from tests.hanging import hanging_storage
from tests.settings import settings
from tests.storage.raw_server import raw_server

BLOB_HEADERS = (
    b'ETag: "1"\r\nLast-Modified: Mon, 23 Nov 2026 09:00:00 GMT\r\nx-ms-blob-type: BlockBlob\r\n'
    b"Content-Range: bytes 0-999/1000\r\n"
)
ANSWERS = {
    "nothing": b"",
    "a head that breaks off": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "a body that breaks off": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
    + BLOB_HEADERS
    + b'\r\n{"value": [',
    "a chunk that breaks off": b"HTTP/1.1 206 OK\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n" + BLOB_HEADERS + b'\r\n100\r\n{"value": [',
    "an error that breaks off": b"HTTP/1.1 409 Conflict\r\nContent-Type: application/xml\r\n"
    b"Content-Length: 1000\r\n\r\n<?xml",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "500": b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
}
BY_IDENTITY = {"AzureWebJobsStorage": "", "AzureWebJobsStorage__accountName": "account"}
answers = pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())

TABLE_CALLS: dict[str, Callable[[Table], Awaitable[object]]] = {
    "get": lambda table: table.get("p", "a"),
    "read": lambda table: table.read("p", "", "~", limit=1),
    "commit": lambda table: table.commit("p", [Insert("a", {})]),
    "is_empty": lambda table: table.is_empty(),
    "create": lambda table: table._create(),
}
BLOB_CALLS: dict[str, Callable[[Blobs], Awaitable[object]]] = {
    "write": lambda blobs: blobs.write("a", b"data"),
    "replace": lambda blobs: blobs.replace("a", io.BytesIO(b"data"), '"1"'),
    "read": lambda blobs: blobs.read("a", io.BytesIO()),
    "remove": lambda blobs: blobs.remove("a"),
    "create": lambda blobs: blobs._create(),
}


@asynccontextmanager
async def connected(known: Settings) -> AsyncIterator[tuple[Table, Blobs]]:
    tables, blobs = Tables.connect(known), Blobs(known, "bulk")
    try:
        yield Table(tables._service.get_table_client("messages"), None), blobs
    finally:
        await tables.close()
        await blobs.close()


async def check_away(table: Table, blobs: Blobs, match: str = "") -> None:
    """Every call raises StorageAway, and soon."""
    calls = [call(table) for call in TABLE_CALLS.values()] + [call(blobs) for call in BLOB_CALLS.values()]
    began = monotonic()
    results = await asyncio.gather(*calls, return_exceptions=True)
    found = dict(zip([*TABLE_CALLS, *(f"blobs {name}" for name in BLOB_CALLS)], results, strict=True))
    assert {name: type(each) for name, each in found.items()} == dict.fromkeys(found, StorageAway)
    assert all(match in str(each) for each in results)
    assert monotonic() - began < 15


@answers
async def test_what_gets_no_whole_answer_is_away(answer: bytes) -> None:
    async with (
        raw_server(answer) as port,
        connected(settings(AzureWebJobsStorage=StoragePorts(port, port, port).connection_string())) as both,
    ):
        await check_away(*both)


def http(status: bytes, body: bytes, kind: bytes = b"application/json") -> bytes:
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: " + kind + b"\r\nContent-Length: "
    return head + str(len(body)).encode() + b"\r\nConnection: close\r\n\r\n" + body


@pytest.mark.parametrize("call", [TABLE_CALLS["get"], TABLE_CALLS["read"]], ids=["get", "read"])
async def test_a_whole_answer_that_is_no_json_is_away(call: Callable[[Table], Awaitable[object]]) -> None:
    async with (
        raw_server(http(b"200 OK", b"<html>")) as port,
        connected(settings(AzureWebJobsStorage=StoragePorts(port, port, port).connection_string())) as both,
    ):
        with pytest.raises(StorageAway):
            await call(both[0])


IDENTITY_ANSWERS = {
    "400": http(b"400 Bad Request", b'{"statusCode": 400, "message": "No managed identity was found"}'),
    "no JSON": http(b"200 OK", b"<html>"),
    "a page": http(b"200 OK", b"<html>", b"text/html"),
    "a number": http(b"200 OK", b"7"),
    "no token": http(b"200 OK", b"{}"),
    "a time that is no number": http(
        b"200 OK", json.dumps({"access_token": "x", "expires_on": "soon", "resource": "x"}).encode()
    ),
    "a body that breaks off": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b'Content-Length: 900\r\n\r\n{"access',
    "nothing": b"",
}


@pytest.mark.parametrize("answer", IDENTITY_ANSWERS.values(), ids=IDENTITY_ANSWERS.keys())
async def test_a_managed_identity_that_gives_no_token_is_storage_that_is_away(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As App Service and Functions offer it: IDENTITY_ENDPOINT and IDENTITY_HEADER."""
    async with raw_server(answer) as port:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{port}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        async with connected(settings(**BY_IDENTITY)) as both:
            await check_away(*both, match="managed identity gives no token")


async def test_a_managed_identity_that_never_answers_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "shared.storage.tables.TIMEOUTS", {"connection_timeout": 1, "read_timeout": 0.3, "retry_total": 0}
    )
    async with hanging_storage() as connection:
        port = re.search(r":(\d+)/", connection)
        assert port
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{port[1]}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        async with connected(settings(**BY_IDENTITY)) as (table, _):
            with pytest.raises(StorageAway, match="managed identity gives no token"):
                await asyncio.wait_for(table.get("p", "a"), 10)


@pytest.mark.parametrize("call", [BLOB_CALLS["write"], BLOB_CALLS["create"]], ids=["write", "create"])
async def test_a_container_that_storage_still_deletes_takes_no_file(
    call: Callable[[Blobs], Awaitable[object]],
) -> None:
    """The SDK gives the same error as for a file that is there already: the file would be lost silently."""
    answer = (
        b"HTTP/1.1 409 Conflict\r\nx-ms-error-code: ContainerBeingDeleted\r\n"
        b"Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
    async with (
        raw_server(answer) as port,
        connected(settings(AzureWebJobsStorage=StoragePorts(port, port, port).connection_string())) as both,
    ):
        with pytest.raises(StorageAway, match="still deletes"):
            await call(both[1])
