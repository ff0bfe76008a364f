"""shared/bulk.py: a file is checked whole, loaded once, and goes on where it was left off."""

import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from local.host.worker import Worker
from shared import bulk, recipients
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.rows import Write
from shared.services import Services
from shared.states import State
from tests.settings import settings
from tests.storage import Azurite

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
URL = "http://localhost:7071/api/bulk"


@pytest_asyncio.fixture
async def services(azurite: Azurite) -> AsyncIterator[Services]:
    made = Services(settings(AzureWebJobsStorage=azurite.fresh_account()))
    yield made
    await made.close()


def csv(*rows: str, header: str = "to,name,body") -> bytes:
    return "\n".join([header, *rows]).encode()


async def loaded(services: Services, data: bytes, kind: str = "text/csv", **params: str) -> dict[str, Any]:
    job_id = await bulk.accept(data, kind, params, services, now=NOW)
    await bulk.load(job_id, services)
    return await bulk.progress(job_id, services)


async def bodies(services: Services) -> list[str]:
    return sorted(each.body for each in (await services.messages.page(limit=200)).messages)


async def test_every_row_becomes_a_message_with_its_fields_filled_in(services: Services) -> None:
    data = csv('+12025550101,Ann,"Hello {name}, {{not a field}}"', "+12025550102,Bob,Hello {name}")
    job = await loaded(services, data)
    assert (job["state"], job["rows"], job["loaded"], job["errors"]) == ("done", 2, 2, [])
    assert await bodies(services) == ["Hello Ann, {not a field}", "Hello Bob"]


async def test_nothing_is_stored_when_a_row_is_wrong(services: Services) -> None:
    job = await loaded(services, csv("+12025550101,Ann,Hi", "12,Bob,Hi", "+12025550103,Eve,{nick}"))
    assert (job["state"], job["loaded"]) == ("failed", 0)
    assert [(each["row"], each["column"]) for each in job["errors"]] == [(3, "to"), (4, "body")]
    assert await bodies(services) == []


async def test_partial_loads_the_good_rows(services: Services) -> None:
    job = await loaded(services, csv("+12025550101,Ann,Hi", "12,Bob,Hi"), partial="true")
    assert (job["state"], job["loaded"], job["error_count"]) == ("done", 1, 1)


async def test_a_formula_is_plain_text(services: Services) -> None:
    await loaded(services, csv("+12025550101,Ann,=HYPERLINK(1)"))
    assert await bodies(services) == ["=HYPERLINK(1)"]


async def test_ndjson_rows_have_types(services: Services) -> None:
    row = {"to": "+12025550101", "body": "Hi {name}", "name": "Ann", "send_at": "2027-01-01T09:00:00Z"}
    job = await loaded(services, json.dumps(row).encode() + b"\nnonsense\n", "application/x-ndjson")
    assert job["errors"] == [{"row": 2, "column": None, "message": "is not a JSON object"}]


async def test_semicolons_a_byte_order_mark_and_a_quoted_line_break_are_read(services: Services) -> None:
    data = '\ufeffTo;Body\n+12025550101;"one\ntwo"\n'.encode()
    job = await loaded(services, data)
    assert job["state"] == "done"
    assert await bodies(services) == ["one\ntwo"]


async def test_a_load_that_was_cut_off_goes_on_and_makes_nothing_twice(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "PIECE", 40)
    rows = [f"+120255501{n:02},N{n},Hello {n}" for n in range(100)]
    job_id = await bulk.accept(csv(*rows), "text/csv", {}, services, now=NOW)
    table = services.messages.table
    real, left = table.commit, 12

    async def failing(partition: str, writes: list[Write]) -> list[str]:
        nonlocal left
        left -= 1
        if left < 0:
            raise RuntimeError("killed")
        return await real(partition, writes)

    monkeypatch.setattr(table, "commit", failing)
    with pytest.raises(ExceptionGroup):
        await bulk.load(job_id, services)
    monkeypatch.setattr(table, "commit", real)
    await bulk.load(job_id, services)
    job = await bulk.progress(job_id, services)
    assert (job["state"], job["loaded"]) == ("done", 100)
    page = await services.messages.page(limit=200)
    assert sorted(each.body for each in page.messages) == sorted(f"Hello {n}" for n in range(100))
    due = [row for p in range(16) for row in await services.messages.agenda(f"{p:02x}", NOW)]
    assert len(due) == 100


async def test_who_has_opted_out_is_suppressed(services: Services) -> None:
    await recipients.opt_out(services.messages, "+12025550101", now=NOW, source="STOP")
    await loaded(services, csv("+12025550101,Ann,Hi", "+12025550102,Bob,Hi"))
    states = {each.to: each.state for each in (await services.messages.page()).messages}
    assert states == {"+12025550101": State.SUPPRESSED, "+12025550102": State.PENDING}


async def test_one_key_takes_one_file(services: Services) -> None:
    first = await bulk.accept(
        csv("+12025550101,Ann,Hi"), "text/csv", {"idempotency_key": "k"}, services, now=NOW
    )
    again = await bulk.accept(
        csv("+12025550101,Ann,Hi"), "text/csv", {"idempotency_key": "k"}, services, now=NOW
    )
    assert first == again
    with pytest.raises(Conflict):
        await bulk.accept(csv("+12025550102,Bob,Hi"), "text/csv", {"idempotency_key": "k"}, services, now=NOW)


async def test_a_file_that_comes_again_after_its_load_is_not_kept(services: Services) -> None:
    data, params = csv("+12025550101,Ann,Hi"), {"idempotency_key": "k"}
    job = await loaded(services, data, **params)
    assert job["state"] == "done"
    assert await bulk.accept(data, "text/csv", params, services, now=NOW) == job["id"]
    with pytest.raises(NotFound):
        await services.files.read(job["id"], io.BytesIO())
    with pytest.raises(Conflict):
        await bulk.accept(csv("+12025550102,Bob,Hi"), "text/csv", params, services, now=NOW)
    with pytest.raises(NotFound):
        await services.files.read(job["id"], io.BytesIO())


@pytest.mark.parametrize(
    ("data", "kind", "field"),
    [
        (b"to,body\n+12025550101,Hi", "text/plain", "Content-Type"),
        (b" ", "text/csv", None),
    ],
)
async def test_what_is_no_file_of_rows_is_refused_at_once(
    services: Services, data: bytes, kind: str, field: str | None
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await bulk.accept(data, kind, {}, services, now=NOW)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"phone,body\n1,2", "the first row must name the columns"),
        (b"to,to\n1,2", "name of two"),
        (b"to,body\n", "no rows"),
    ],
)
async def test_a_header_that_is_wrong_fails_the_file(services: Services, data: bytes, reason: str) -> None:
    job = await loaded(services, data)
    assert job["state"] == "failed"
    assert reason in job["reason"]


async def test_a_load_that_was_given_up_can_be_resumed(services: Services) -> None:
    job_id = await bulk.accept(csv("+12025550101,Ann,Hi"), "text/csv", {}, services, now=NOW)
    await bulk.give_up(job_id, services)
    assert (await bulk.progress(job_id, services))["state"] == "stopped"
    await bulk.resume(job_id, services)
    await bulk.load(job_id, services)
    assert await bodies(services) == ["Hi"]


async def test_the_route_takes_more_than_the_json_limit(worker: Worker) -> None:
    rows = [f"+120255501{n % 10 + 10},N,{'x' * 900}" for n in range(100)]
    headers = {"Content-Type": "text/csv"}
    made = await worker.http("bulk_create", "POST", URL, headers, csv(*rows))
    assert made.answer is not None
    assert made.answer.status == 202
    job_id = made.answer.json()["id"]
    assert json.loads(made.outputs["load"][0]) == {"id": job_id}
    await worker.queue("bulk_load", made.outputs["load"][0])
    shown = await worker.http("bulk_get", "GET", f"{URL}/{job_id}", route_params={"id": job_id})
    assert shown.answer is not None
    assert (shown.answer.json()["state"], shown.answer.json()["loaded"]) == ("done", 100)


async def test_half_a_surrogate_pair_is_an_error_of_its_row(services: Services) -> None:
    rows = b'{"to": "+12025550101", "body": "\\ud83d"}\n{"to": "+12025550102", "body": "\\ud83d\\ude00"}\n'
    job = await loaded(services, rows, "application/x-ndjson", partial="true")
    assert (job["state"], job["loaded"], [each["row"] for each in job["errors"]]) == ("done", 1, [1])
