"""shared/bulk: a file is checked whole and loaded once; a load that was cut off goes on where it ended."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from local.host.worker import Result, Worker
from shared.bulk import loader
from shared.bulk.jobs import BulkJobs, Job, RowError
from shared.delivery.states import State
from shared.delivery.store import creation
from shared.errors import Conflict, Contended, InvalidRequest, NotFound
from shared.services import Services
from shared.sms import opt_outs
from shared.storage.rows import TRANSACTION_LIMIT, Delete, Write
from tests import loading
from tests.app import App
from tests.azurite import Azurite
from tests.clock import NOW
from tests.loading import csv, cut_off, text
from tests.settings import settings

URL = "http://localhost:7071/api/bulk"


@pytest_asyncio.fixture
async def services(azurite: Azurite) -> AsyncIterator[Services]:
    made = Services(settings(AzureWebJobsStorage=azurite.fresh_account()))
    yield made
    await made.close()


async def loaded(services: Services, data: bytes, kind: str = "text/csv", **params: str) -> dict[str, Any]:
    job_id = await loading.accept(data, services, kind, params=params)
    await loading.load(job_id, services)
    return await loading.progress(job_id, services)


async def bodies(services: Services) -> list[str]:
    return sorted(each.body for each in (await services.messages.page(limit=200)).items)


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
    row = {"to": "+12025550101", "body": "Hi {name}", "name": "Ann", "send_at": "2010-01-01T09:00:00Z"}
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
    monkeypatch.setattr(loader, "BATCH", 40)
    rows = [f"+120255501{n:02},N{n},Hello {n}" for n in range(100)]
    job_id = await loading.accept(csv(*rows), services)
    await cut_off(services, job_id, monkeypatch, after=12)
    await loading.load(job_id, services)
    job = await loading.progress(job_id, services)
    assert (job["state"], job["loaded"]) == ("done", 100)
    page = await services.messages.page(limit=200)
    assert sorted(each.body for each in page.items) == sorted(f"Hello {n}" for n in range(100))
    due = [row for p in range(16) for row in await services.messages.due(f"{p:02x}", NOW)]
    assert len(due) == 100


async def test_who_has_opted_out_is_suppressed(services: Services) -> None:
    await opt_outs.opt_out(services.messages, "+12025550101", now=NOW, source="STOP")
    await loaded(services, csv("+12025550101,Ann,Hi", "+12025550102,Bob,Hi"))
    states = {each.to: each.state for each in (await services.messages.page()).items}
    assert states == {"+12025550101": State.SUPPRESSED, "+12025550102": State.PENDING}


async def test_one_key_takes_one_file(services: Services) -> None:
    first = await loading.accept(csv("+12025550101,Ann,Hi"), services, params={"idempotency_key": "k"})
    again = await loading.accept(csv("+12025550101,Ann,Hi"), services, params={"idempotency_key": "k"})
    assert first == again
    with pytest.raises(Conflict):
        await loading.accept(csv("+12025550102,Bob,Hi"), services, params={"idempotency_key": "k"})


async def test_a_file_that_comes_again_after_its_load_is_not_kept(services: Services) -> None:
    data, params = csv("+12025550101,Ann,Hi"), {"idempotency_key": "k"}
    job = await loaded(services, data, **params)
    assert job["state"] == "done"
    assert await loading.accept(data, services, params=params) == job["id"]
    with pytest.raises(NotFound):
        await services.files.read(job["id"], io.BytesIO())
    with pytest.raises(Conflict):
        await loading.accept(csv("+12025550102,Bob,Hi"), services, params=params)
    with pytest.raises(NotFound):
        await services.files.read(job["id"], io.BytesIO())


@pytest.mark.parametrize(
    ("data", "kind", "field"),
    [
        (b"to,body\n+12025550101,Hi", "text/plain", "Content-Type"),
        (b" ", "text/csv", None),
    ],
)
async def test_a_file_of_another_type_and_an_empty_one_are_refused_at_once(
    services: Services, data: bytes, kind: str, field: str | None
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await loading.accept(data, services, kind)
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
    job_id = await loading.accept(csv("+12025550101,Ann,Hi"), services)
    await loading.give_up(job_id, services)
    assert (await loading.progress(job_id, services))["state"] == "stopped"
    await loading.resume(job_id, services)
    await loading.load(job_id, services)
    assert await bodies(services) == ["Hi"]


async def test_a_load_that_has_stopped_is_discarded_and_what_it_loaded_stays(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "BATCH", 1)
    data = csv("+12025550101,Ann,Hi", "+12025550102,Bob,Hi", "+12025550103,Eve,Hi")
    job_id = await loading.accept(data, services, params={"idempotency_key": "k"})
    await cut_off(services, job_id, monkeypatch, after=2)
    await loading.give_up(job_id, services)
    assert await text(services, job_id) == data
    done = (await loading.discard(job_id, services)).view()
    assert (done["state"], done["loaded"], done["rows"]) == ("discarded", 2, 3)
    assert done["reason"] == "discarded; 2 of its rows were loaded before, and stay"
    with pytest.raises(NotFound):
        await text(services, job_id)
    with pytest.raises(Conflict, match="it is discarded"):
        await loading.resume(job_id, services)
    assert await loading.accept(data, services, params={"idempotency_key": "k"}) == job_id
    await loading.load(job_id, services)
    await loading.give_up(job_id, services)
    assert (await loading.progress(job_id, services))["state"] == "discarded"
    assert await bodies(services) == ["Hi", "Hi"]
    assert await services.bulk_jobs.unfinished() == []
    with pytest.raises(NotFound):
        await text(services, job_id)


async def test_a_load_that_has_not_ended_is_discarded_once(worker: Worker) -> None:
    headers = {"Content-Type": "text/csv"}
    made = await worker.http("bulk_create", "POST", URL, headers, csv("+12025550101,Ann,{nick}"))
    assert made.answer is not None
    job_id = made.answer.json()["id"]

    async def discard(name: str = job_id) -> tuple[int, Any]:
        url = f"{URL}/{name}/discard"
        params = {"id": name, "action": "discard"}
        answer = (await worker.http("bulk_action", "POST", url, route_params=params)).answer
        assert answer is not None
        return answer.status, answer.json()

    status, answer = await discard()
    assert (status, answer["state"], answer["loaded"]) == (200, "discarded", 0)
    status, answer = await discard()
    assert (status, answer["error"]["state"]) == (409, "discarded")
    assert (await discard("0" * 32))[0] == 404


async def test_a_worker_that_lost_the_job_keeps_its_queue_message(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue message comes twice. The newer worker loses the job, then the older dies; it comes again."""
    monkeypatch.setattr(loader, "BATCH", 1)
    data = csv("+12025550101,Ann,Hi", "+12025550102,Bob,Hi", "+12025550103,Eve,Hi")
    job_id = await loading.accept(data, services)
    older = Services(services.settings)
    real = services.bulk_jobs.save

    async def overtaken(job: Job) -> Job:
        monkeypatch.setattr(services.bulk_jobs, "save", real)
        await cut_off(older, job_id, monkeypatch, after=2)
        return await real(job)

    monkeypatch.setattr(services.bulk_jobs, "save", overtaken)
    with pytest.raises(Contended):
        await loading.load(job_id, services)
    await older.close()
    assert (await loading.progress(job_id, services))["state"] == "loading"
    await loading.load(job_id, services)  # the queue message comes again
    job = await loading.progress(job_id, services)
    assert (job["state"], job["loaded"]) == ("done", 3)
    assert await bodies(services) == ["Hi"] * 3


@pytest.mark.parametrize("decided", ["stopped", "discarded", "done"])
async def test_a_worker_that_lost_the_job_for_good_lets_its_queue_message_go(
    services: Services, monkeypatch: pytest.MonkeyPatch, decided: str
) -> None:
    job_id = await loading.accept(csv("+12025550101,Ann,Hi"), services)
    real = services.bulk_jobs.save

    async def overtaken(job: Job) -> Job:
        monkeypatch.setattr(services.bulk_jobs, "save", real)
        decide = {"stopped": loading.give_up, "discarded": loading.discard, "done": loading.load}[decided]
        await decide(job_id, services)
        return await real(job)

    monkeypatch.setattr(services.bulk_jobs, "save", overtaken)
    left = await loading.load(job_id, services)
    assert left is not None
    assert left.state == decided


async def test_two_checks_of_one_file_do_not_stop_each_other(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both delete the errors of an earlier check: the later one finds some of them deleted already."""
    table = services.tables.table("bulk")
    job_id = await loading.accept(csv("+12025550101,Ann,Hi"), services)
    job = await services.bulk_jobs.get(job_id)
    await services.bulk_jobs.note(job, [RowError(row, "to", "wrong") for row in range(2, 250)])
    real = table.commit

    async def overtaken(partition: str, writes: list[Write]) -> list[str]:
        monkeypatch.setattr(table, "commit", real)
        await real(partition, [Delete("e|0000003"), Delete("e|0000005"), Delete("e|0000101")])
        return await real(partition, writes)

    monkeypatch.setattr(table, "commit", overtaken)
    await BulkJobs(table).forget_errors(job_id)
    assert await services.bulk_jobs.errors(job_id) == []


async def ask(worker: Worker, function: str, method: str = "POST", **route: str) -> Result:
    return await worker.http(function, method, URL, route_params=route)


async def seen(worker: Worker, job_id: str) -> list[str]:
    """The state of a load in the list of those that have not ended; nothing where it is not in the list."""
    answer = (await ask(worker, "bulk_list", "GET")).answer
    assert answer is not None
    assert answer.status == 200
    return [each["state"] for each in answer.json()["bulk_loads"] if each["id"] == job_id]


@pytest.mark.parametrize("state", ["queued", "checking", "loading", "stopped"])
@pytest.mark.parametrize("decision", ["resume", "discard"])
async def test_a_load_whose_message_is_lost_is_found_and_goes_on_or_goes(
    worker: Worker, app: App, monkeypatch: pytest.MonkeyPatch, state: str, decision: str
) -> None:
    monkeypatch.setattr(loader, "BATCH", 1)
    services = app.stored
    who = f"+120255501{['queued', 'checking', 'loading', 'stopped'].index(state) + 10}"
    job_id = await loading.accept(csv(f"{who},Ann,Hi", f"{who},Ann,Ho"), services)
    if state == "checking":
        with monkeypatch.context() as patch:
            patch.setattr(services.bulk_jobs, "forget_errors", killed)
            with pytest.raises(RuntimeError):
                await loading.load(job_id, services)
    elif state == "loading":
        await cut_off(services, job_id, monkeypatch, after=1)
    elif state == "stopped":
        await loading.give_up(job_id, services)
    assert await seen(worker, job_id) == [state]
    done = await ask(worker, "bulk_action", id=job_id, action=decision)
    assert done.answer is not None
    if decision == "resume":
        assert done.answer.status == 202
        again = await ask(
            worker, "bulk_action", id=job_id, action="resume"
        )  # the host may die before it puts the message
        assert again.answer is not None
        assert again.answer.status == 202
        await worker.queue("bulk_load", again.outputs["load"][0])
        job = await loading.progress(job_id, services)
        assert (job["state"], job["loaded"], job["rows"]) == ("done", 2, 2)
    else:
        assert (done.answer.status, done.answer.json()["state"]) == (200, "discarded")
        with pytest.raises(NotFound):
            await text(services, job_id)
    assert await seen(worker, job_id) == []


async def killed(*_: object) -> None:
    raise RuntimeError("killed")


async def test_a_load_is_discarded_in_the_middle_of_a_batch(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker ends at its next checkpoint. Until then an erasure finds the load."""
    monkeypatch.setattr(loader, "BATCH", 1)
    await opt_outs.opt_out(services.messages, "+12025550199", now=NOW, source="STOP")  # makes the table
    data = csv("+12025550101,Ann,Hi", "+12025550102,Bob,Hi", "+12025550103,Eve,Hi")
    job_id = await loading.accept(data, services)
    table, count, found = services.messages.table, 0, list[str]()
    real = table.commit

    async def hooked(partition: str, writes: list[Write]) -> list[str]:
        nonlocal count
        count += 1
        if count == 2:
            found.append((await loading.discard(job_id, services)).reason)
            found.extend(await services.bulk_jobs.unfinished())
        return await real(partition, writes)

    monkeypatch.setattr(table, "commit", hooked)
    left = await loading.load(job_id, services)
    assert left is not None
    assert left.state == "discarded"
    assert found == ["discarded; at least 1 of its rows were loaded before, and stay", job_id]
    assert await bodies(services) == ["Hi", "Hi"]
    assert await services.bulk_jobs.unfinished() == []


async def test_a_discard_and_a_resume_at_once_do_not_both_hold(services: Services) -> None:
    job_id = await loading.accept(csv("+12025550101,Ann,Hi"), services)
    await loading.give_up(job_id, services)
    both = await asyncio.gather(
        loading.discard(job_id, services), loading.resume(job_id, services), return_exceptions=True
    )
    lost = [each for each in both if isinstance(each, Conflict | Contended)]
    assert len(lost) <= 1  # a load that was resumed first may be discarded after that
    await loading.load(job_id, services)
    job = await loading.progress(job_id, services)
    assert (job["state"], job["loaded"]) == (("done", 1) if lost == [both[0]] else ("discarded", 0))


async def test_a_late_queue_message_does_not_resume_a_load_that_has_stopped(services: Services) -> None:
    job_id = await loading.accept(csv("+12025550101,Ann,Hi"), services)
    await loading.give_up(job_id, services)
    await loading.load(job_id, services)
    assert (await loading.progress(job_id, services))["state"] == "stopped"
    assert await bodies(services) == []


async def put_in_place(services: Services, job_id: str, data: bytes) -> None:
    version = await services.files.read(job_id, io.BytesIO())
    await services.files.replace(job_id, io.BytesIO(data), version.etag)


async def test_a_file_that_is_not_the_one_accepted_is_not_loaded(services: Services) -> None:
    job_id = await loading.accept(csv("+12025550101,Ann,Hi"), services)
    await put_in_place(services, job_id, csv("+12025550101,Ann,Ho"))
    await loading.load(job_id, services)
    job = await loading.progress(job_id, services)
    assert (job["state"], job["loaded"]) == ("failed", 0)
    assert "not the one that was accepted" in job["reason"]
    assert await bodies(services) == []
    with pytest.raises(NotFound):
        await text(services, job_id)


async def test_a_file_that_changes_half_way_is_not_loaded_any_further(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "BATCH", 1)
    rows = ["+12025550101,Ann,Hi", "+12025550102,Bob,Hi", "+12025550103,Eve,Hi"]
    job_id = await loading.accept(csv(*rows), services)
    await cut_off(services, job_id, monkeypatch, after=2)
    await put_in_place(services, job_id, csv(*rows[:2], "+12025550104,Eve,Hi"))
    await loading.load(job_id, services)
    job = await loading.progress(job_id, services)
    assert (job["state"], job["loaded"], job["rows"]) == ("failed", 2, 3)
    assert await bodies(services) == ["Hi", "Hi"]


async def test_a_file_that_is_gone_fails_its_load(services: Services) -> None:
    job_id = await loading.accept(csv("+12025550101,Ann,Hi"), services)
    await services.files.remove(job_id)
    await loading.load(job_id, services)
    job = await loading.progress(job_id, services)
    assert (job["state"], job["reason"]) == ("failed", "its file is not there any more")


async def test_rows_that_a_setting_forbids_since_the_check_are_counted_and_named(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """+1 500 555 0006 is a test number of Twilio: it is allowed, whatever ALLOWED_COUNTRIES says."""
    monkeypatch.setattr(loader, "BATCH", 3)
    rows = [
        "+15005550006,Ann,one",
        "12,Bob,wrong from the start",
        "+12025550101,Eve,two",
        "+12025550102,Bob,three",
        "+15005550006,Ann,{nick}",
        "+15005550006,Ann,four",
        "+12025550103,Ann,five",
    ]
    job_id = await loading.accept(csv(*rows), services, params={"partial": "true"})
    await cut_off(services, job_id, monkeypatch, after=2)  # after the first batch
    assert (await loading.progress(job_id, services))["error_count"] == 2
    storage = services.settings.storage or ""
    later = Services(settings(AzureWebJobsStorage=storage, ALLOWED_COUNTRIES="CA"))
    await cut_off(later, job_id, monkeypatch, after=0)
    await loading.load(job_id, later)
    await later.close()
    job = await loading.progress(job_id, services)
    assert (job["state"], job["rows"], job["loaded"], job["error_count"]) == ("done", 7, 3, 4)
    assert [(each["row"], each["column"]) for each in job["errors"]] == [
        (3, "to"),
        (5, "to"),
        (6, "body"),
        (8, "to"),
    ]
    assert "ALLOWED_COUNTRIES" in job["errors"][1]["message"]
    assert await bodies(services) == ["four", "one", "two"]


async def test_a_row_that_the_check_found_wrong_stays_wrong(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are more errors than are kept. Each is counted once, although the load would allow the rows."""
    storage = services.settings.storage or ""
    strict = Services(settings(AzureWebJobsStorage=storage, ALLOWED_COUNTRIES="CA"))
    rows = [f"+1202555{n % 100 + 100:04},Ann,Hi" for n in range(1100)] + ["+15005550006,Ann,good"]
    job_id = await loading.accept(csv(*rows), strict, params={"partial": "true"})
    await cut_off(strict, job_id, monkeypatch, after=0)
    await strict.close()
    await loading.load(job_id, services)
    job = await loading.progress(job_id, services)
    assert (job["state"], job["loaded"], job["error_count"], len(job["errors"])) == ("done", 1, 1100, 1000)
    assert await bodies(services) == ["good"]


async def test_a_check_that_was_cut_off_leaves_no_error_behind(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = services.settings.storage or ""
    strict = Services(settings(AzureWebJobsStorage=storage, ALLOWED_COUNTRIES="CA"))
    rows = ["+12025550101,Ann,Hi", "+15005550006,Ann,Hi"]
    job_id = await loading.accept(csv(*rows), strict, params={"partial": "true"})

    async def killed(*_: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(strict.bulk_jobs, "refuse", killed)
    with pytest.raises(RuntimeError):
        await loading.load(job_id, strict)
    await strict.close()
    await loading.load(job_id, services)
    job = await loading.progress(job_id, services)
    assert (job["state"], job["loaded"], job["error_count"], job["errors"]) == ("done", 2, 0, [])


async def test_a_file_that_comes_twice_onto_the_queue_is_loaded_once(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "BATCH", 10)
    rows = [f"+120255501{n:02},N{n},Hello {n}" for n in range(60)]
    job_id = await loading.accept(csv(*rows), services)
    thrice = await asyncio.gather(*(loading.load(job_id, services) for _ in range(3)), return_exceptions=True)
    assert not [
        each for each in thrice if isinstance(each, BaseException) and not isinstance(each, Contended)
    ]
    job = await loading.progress(job_id, services)
    assert (job["state"], job["loaded"], job["error_count"]) == ("done", 60, 0)
    assert await bodies(services) == sorted(f"Hello {n}" for n in range(60))
    assert await services.bulk_jobs.unfinished() == []


async def test_a_checkpoint_whose_answer_was_lost_is_not_taken_for_another_worker(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK repeats the write, and it fails: the first one has changed the row."""
    table = services.tables.table("bulk")
    monkeypatch.setattr(services, "bulk_jobs", BulkJobs(table))
    job_id = await loading.accept(csv("+12025550101,Ann,Hi"), services)
    real = table.commit

    async def twice(partition: str, writes: list[Write]) -> list[str]:
        await real(partition, writes)
        return await real(partition, writes)

    monkeypatch.setattr(table, "commit", twice)
    await loading.load(job_id, services)
    job = await loading.progress(job_id, services)
    assert (job["state"], job["loaded"]) == ("done", 1)


async def test_a_file_that_was_left_behind_goes_when_its_message_comes_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await loading.accept(csv("+12025550101,Ann,Hi"), services)

    async def killed(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(services.files, "remove", killed)
        with pytest.raises(RuntimeError):
            await loading.load(job_id, services)
    assert await text(services, job_id)
    await loading.load(job_id, services)
    with pytest.raises(NotFound):
        await text(services, job_id)


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


async def test_each_transaction_is_as_large_as_storage_takes_it(services: Services) -> None:
    """A suppressed message needs fewer writes than one that waits."""
    await opt_outs.opt_out(services.messages, "+12025550101", now=NOW, source="STOP")
    sizes: dict[str, list[int]] = {}
    table = services.messages.table
    real = table.commit

    async def counted(partition: str, writes: list[Write]) -> list[str]:
        sizes.setdefault(partition, []).append(len(writes))
        return await real(partition, writes)

    rows = [f"+1202555{101 + n % 2:04},Ann,Hello {n}" for n in range(240)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "commit", counted)
        await loaded(services, csv(*rows))
    written = len(creation((await services.messages.to("+12025550102")).items[0]))
    for each in sizes.values():
        assert TRANSACTION_LIMIT - written < each[0] <= TRANSACTION_LIMIT
        assert all(TRANSACTION_LIMIT - written < size <= TRANSACTION_LIMIT for size in each[:-1])
    assert len(await bodies(services)) == 200  # as many as a page has
