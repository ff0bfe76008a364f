"""shared/recipients/erasure.py: what is left of an erased recipient is a hash, which still suppresses."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from shared.bulk import loader
from shared.calls import placing
from shared.delivery.states import State
from shared.errors import NotFound, SettingsError
from shared.recipients import erasure
from shared.services import Services
from shared.sms import opt_outs as recipients
from shared.sms import schedule
from shared.storage.rows import Write
from tests import loading
from tests.azurite import Azurite
from tests.clock import NOW
from tests.loading import csv, cut_off, text
from tests.settings import settings

WHO = "+12025550101"


@pytest_asyncio.fixture
async def services(azurite: Azurite) -> AsyncIterator[Services]:
    made = Services(settings(AzureWebJobsStorage=azurite.fresh_account(), ERASURE_KEY="a key of its own"))
    yield made
    await made.close()


async def scheduled(services: Services, to: str = WHO) -> str:
    request = {"to": to, "body": "your appointment", "send_at": "2009-12-01T09:00:00Z"}
    return (await schedule.create(request, services.messages, services.settings, now=NOW)).id


async def everything(services: Services) -> str:
    rows = [
        row
        for number in range(16)
        for row in await services.messages.table.read(f"{number:02x}", " ", "~", limit=1000)
    ]
    letters = await services.dead_letters.page()
    rung = await services.calls.page()
    return repr(rows) + repr(letters) + repr(rung)


async def test_no_row_holds_the_number_or_the_text_afterwards(services: Services) -> None:
    message_id = await scheduled(services)
    await scheduled(services, "+12025550102")
    await recipients.opt_out(services.messages, WHO, now=NOW, source="STOP")
    await services.dead_letters.add(
        b'{"to": "+12025550101"}', "malformed", call_id="x", queue="outbound-calls", now=NOW
    )
    await placing.accept(
        {"to": WHO, "say": "your appointment", "id": "call-1"}, services.calls, services.settings, now=NOW
    )
    done = await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW)
    assert done == {
        "messages": 1,
        "calls": 1,
        "in_doubt": 0,
        "dead_letters": 1,
        "opted_out": True,
        "bulk_loads": [],
    }
    assert (await services.calls.get("call-1")).state is State.CANCELED
    left = await everything(services)
    assert WHO not in left
    assert "+12025550102" in left
    assert (await services.messages.get(message_id)).body == ""


async def test_the_hash_still_suppresses(services: Services) -> None:
    await recipients.opt_out(services.messages, WHO, now=NOW, source="STOP")
    await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW)
    again = await services.messages.get(await scheduled(services))
    assert again.state is State.SUPPRESSED


async def test_the_hash_suppresses_the_rows_of_a_file_too(services: Services) -> None:
    await recipients.opt_out(services.messages, WHO, now=NOW, source="STOP")
    await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW)
    data = f"to,body\n{WHO},Hi\n+12025550102,Hi".encode()
    await loading.load(await loading.accept(data, services), services)
    states = {each.to: each.state for each in (await services.messages.page()).items}
    assert states == {WHO: State.SUPPRESSED, "+12025550102": State.PENDING}


async def messages_to(services: Services) -> dict[str, State]:
    return {each.to: each.state for each in (await services.messages.page(limit=200)).items}


async def nowhere_in_loads(services: Services, job_id: str) -> bool:
    """Neither the jobs' table nor the file, if it is there, holds the number."""
    table = services.tables.table("bulk")
    rows = await table.read(job_id, " ", "~", limit=1000) + await table.read("open", " ", "~", limit=1000)
    try:
        file = await text(services, job_id)
    except NotFound:
        file = b""
    return WHO not in repr(rows) and WHO[2:] not in re.sub(r"\D", "", file.decode())


CSV = csv(
    '+12025550102,Bob,"one,\ntwo"',
    "",
    "+1 (202) 555-0101,Ann,Hi",
    "+12025550103,Eve,three",
    "+12025550101,Ann,Hi again",
    "+12025550104,Joe,four",
)
NDJSON = b"".join(
    json.dumps({"to": to, "body": "Hi"}).encode() + b"\n"
    for to in ("+12025550102", "+12025550101", "+1 202-555-0101", "+12025550103", "+12025550104")
)
OTHERS = dict.fromkeys(("+12025550102", "+12025550103", "+12025550104"), State.PENDING)
files = pytest.mark.parametrize(
    ("data", "kind"), [(CSV, "text/csv"), (NDJSON, "application/x-ndjson")], ids=["csv", "ndjson"]
)


@files
@pytest.mark.parametrize("stored", [0, 1, 3])
async def test_a_file_whose_load_has_stopped_loses_the_persons_rows_and_no_others(
    services: Services, monkeypatch: pytest.MonkeyPatch, data: bytes, kind: str, stored: int
) -> None:
    monkeypatch.setattr(loader, "BATCH", 1)
    job_id = await loading.accept(data, services, kind)
    await cut_off(services, job_id, monkeypatch, after=stored)
    await loading.give_up(job_id, services)
    done = await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW)
    assert done["bulk_loads"] == []
    assert await nowhere_in_loads(services, job_id)
    assert b"+12025550104" in await text(services, job_id)
    await loading.resume(job_id, services)
    await loading.load(job_id, services)
    job = await loading.progress(job_id, services)
    assert (job["state"], job["rows"], job["loaded"] + job["error_count"]) == ("done", 5, 5)
    assert {each["message"] for each in job["errors"]} <= {"its recipient was erased"}
    assert job["error_count"] == 2 or stored > 1
    assert OTHERS.items() <= (await messages_to(services)).items()
    assert WHO not in await everything(services)
    assert await nowhere_in_loads(services, job_id)


@files
async def test_a_file_that_waits_loses_them_too_and_is_no_worse_for_it(
    services: Services, data: bytes, kind: str
) -> None:
    job_id = await loading.accept(data, services, kind)
    assert (await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW))[
        "bulk_loads"
    ] == []
    assert (await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW))[
        "bulk_loads"
    ] == []
    assert await nowhere_in_loads(services, job_id)
    await loading.load(job_id, services)
    job = await loading.progress(job_id, services)
    assert (job["state"], job["rows"], job["loaded"], job["error_count"]) == ("done", 5, 3, 2)
    assert [each["message"] for each in job["errors"]] == ["its recipient was erased"] * 2
    assert await messages_to(services) == OTHERS


async def test_two_who_are_erased_from_one_file_at_once_are_both_gone(services: Services) -> None:
    job_id = await loading.accept(CSV, services)
    who = (WHO, "+12025550102", "+12025550103")
    await asyncio.gather(
        *(erasure.erase(each, services.places, services.settings.erasure_key, now=NOW) for each in who)
    )
    left = (await text(services, job_id)).decode()
    assert not any(each in left for each in who)
    await loading.load(job_id, services)
    assert await messages_to(services) == {"+12025550104": State.PENDING}


@pytest.mark.parametrize("number", [WHO, f"whatsapp:{WHO}"])
async def test_who_is_erased_by_one_channel_keeps_the_rows_of_the_other(
    services: Services, number: str
) -> None:
    data = csv(f"{WHO},Ann,Hi", f"whatsapp:{WHO},Ann,Hi")
    job_id = await loading.accept(data, services)
    await erasure.erase(number, services.places, services.settings.erasure_key, now=NOW)
    await loading.load(job_id, services)
    assert (await messages_to(services)).keys() == {WHO, f"whatsapp:{WHO}"} - {number}


async def test_a_wrong_row_of_somebody_else_still_fails_the_file(services: Services) -> None:
    data = csv("+12025550101,Ann,Hi", "12,Bob,Hi")
    job_id = await loading.accept(data, services)
    await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW)
    await loading.load(job_id, services)
    job = await loading.progress(job_id, services)
    assert (job["state"], job["reason"]) == ("failed", "nothing was stored: rows are wrong")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (csv("+12025550101,Ann,Hi,too many", "+12025550102,Bob,Hi"), "text/csv"),
        (csv("+1 (202) 555-0101,Ann,Hi,too many", "+12025550102,Bob,Hi"), "text/csv"),
        (b"to,body\n(202) 555 0101,Gr\xfc\xdfe\n+12025550102,Hi", "text/csv"),
        (b'{"to": "+1 202-555-0101", \n{"to": "+12025550102", "body": "Hi"}', "application/x-ndjson"),
        (b'["+1.202.555.0101"]\n{"to": "+12025550102", "body": "Hi"}', "application/x-ndjson"),
    ],
)
async def test_a_row_that_cannot_be_read_goes_where_it_names_the_number_in_any_way(
    services: Services, data: bytes, kind: str
) -> None:
    job_id = await loading.accept(data, services, kind)
    await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW)
    assert await nowhere_in_loads(services, job_id)
    assert b"+12025550102" in await text(services, job_id)


async def test_another_row_that_cannot_be_read_is_not_sent_for_an_erasure(services: Services) -> None:
    """Taken out of a file, the row of one person leaves that of another as wrong as it was."""
    rows = b'{"to": "+12025550101", "body": "Hi"}\n{"to": "+12025550102", "body": "Gr\xfc\xdfe"}\n'
    job_id = await loading.accept(rows, services, "application/x-ndjson", params={"partial": "true"})
    await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW)
    await loading.load(job_id, services)
    assert await messages_to(services) == {}
    job = await loading.progress(job_id, services)
    assert (job["loaded"], job["error_count"]) == (0, 2)


@pytest.mark.parametrize("written", ["+49 (0)30 1234", "+49301234", "+49 30-1234", "whatsapp:+49 (0)30/1234"])
async def test_a_short_number_is_found_however_it_is_written(services: Services, written: str) -> None:
    job_id = await loading.accept(csv(f"{written},Ann,Hi"), services)
    channel = "whatsapp:" if ":" in written else ""
    await erasure.erase(f"{channel}+49301234", services.places, services.settings.erasure_key, now=NOW)
    assert written.encode() not in await text(services, job_id)


@pytest.mark.parametrize("at", range(7))
async def test_a_load_under_way_makes_no_message_that_outlives_the_erasure(
    services: Services, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The erasure comes in before each transaction in turn, and behind the last."""
    monkeypatch.setattr(loader, "BATCH", 2)
    monkeypatch.setattr(loader, "AT_ONCE", 1)
    await recipients.opt_out(services.messages, "+12025550199", now=NOW, source="STOP")  # makes the table
    job_id = await loading.accept(CSV, services)
    table = services.messages.table
    real, count, reports = table.commit, 0, []

    async def hooked(partition: str, writes: list[Write]) -> list[str]:
        nonlocal count
        count += 1
        if count == at + 1:
            monkeypatch.setattr(table, "commit", real)
            reports.append(await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW))
        return await real(partition, writes)

    monkeypatch.setattr(table, "commit", hooked)
    await loading.load(job_id, services)
    monkeypatch.setattr(table, "commit", real)
    job = await loading.progress(job_id, services)
    assert (job["state"], job["loaded"] + job["error_count"]) == ("done", 5)
    if reports:
        assert reports[0]["bulk_loads"] == [job_id]
        assert WHO not in await everything(services)
    # It was reported, so it is repeated; and then nothing more is.
    assert (await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW))[
        "bulk_loads"
    ] == []
    assert WHO not in await everything(services)
    assert await nowhere_in_loads(services, job_id)
    assert OTHERS.items() <= (await messages_to(services)).items()


async def test_what_a_dying_load_stored_behind_the_erasure_goes_when_it_goes_on(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst of both: erased in the middle of a piece, which is stored, and then the process dies."""
    await recipients.opt_out(services.messages, "+12025550199", now=NOW, source="STOP")  # makes the table
    job_id = await loading.accept(csv("+12025550101,Ann,Hi"), services)
    table = services.messages.table
    real = table.commit

    async def hooked(partition: str, writes: list[Write]) -> list[str]:
        monkeypatch.setattr(table, "commit", real)
        assert (await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW))[
            "bulk_loads"
        ] == [job_id]
        await real(partition, writes)
        raise RuntimeError("killed")

    monkeypatch.setattr(table, "commit", hooked)
    with pytest.raises(ExceptionGroup):
        await loading.load(job_id, services)
    assert WHO in await everything(services)
    await loading.load(job_id, services)
    job = await loading.progress(job_id, services)
    assert (job["state"], job["loaded"], job["error_count"]) == ("done", 0, 1)
    assert WHO not in await everything(services)


async def test_a_load_under_way_that_does_not_name_the_person_is_not_reported(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await loading.accept(csv("+12025550102,Bob,Hi"), services)
    await cut_off(services, job_id, monkeypatch, after=0)
    assert (await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW))[
        "bulk_loads"
    ] == []
    assert (await erasure.erase("+12025550102", services.places, services.settings.erasure_key, now=NOW))[
        "bulk_loads"
    ] == [job_id]


async def test_what_waits_is_canceled(services: Services) -> None:
    message_id = await scheduled(services)
    await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW)
    assert (await services.messages.get(message_id)).state is State.CANCELED
    due = NOW + timedelta(days=30)
    assert not [row for n in range(16) for row in await services.messages.due(f"{n:02x}", due)]


async def test_start_ends_an_opt_out_that_was_erased(services: Services) -> None:
    await recipients.opt_out(services.messages, WHO, now=NOW, source="STOP")
    await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW)
    await recipients.opt_in(services.messages, WHO)
    assert not await services.messages.opted_out(WHO)


async def test_it_is_safe_to_repeat(services: Services) -> None:
    await scheduled(services)
    await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW)
    assert (await erasure.erase(WHO, services.places, services.settings.erasure_key, now=NOW))[
        "messages"
    ] == 0


async def test_without_its_key_nothing_is_erased(azurite: Azurite) -> None:
    made = Services(settings(AzureWebJobsStorage=azurite.fresh_account()))
    with pytest.raises(SettingsError, match="ERASURE_KEY"):
        await erasure.erase(WHO, made.places, made.settings.erasure_key, now=NOW)
    await made.close()
