"""The app with a store that other code laid out: calls are answered, nothing is sent, health says why."""

import dataclasses
import os
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from twilio.request_validator import RequestValidator

from local.host.errors import InvocationFailed
from local.host.worker import Worker
from local.twilio import Emulator
from shared.services import Services
from shared.storage.rows import Delete, Insert
from shared.storage.tables import Table
from tests.azurite import Azurite


@pytest_asyncio.fixture
async def old_rows(worker: Worker, azurite: Azurite) -> AsyncIterator[Table]:  # noqa: ARG001 - it loads the app
    """The table of messages of the app under the worker: one row, of a layout without a version."""
    app: Any = sys.modules["function_app"]
    before = app.services
    app.services = Services(dataclasses.replace(before.settings, storage=azurite.fresh_account()))
    table = Table(app.services.tables._service.get_table_client("messages"), None)
    await table.commit("00", [Insert("m|1", {"state": "pending"})])
    yield table
    await app.services.close()
    app.services = before


async def health(worker: Worker) -> tuple[int, Any]:
    answer = (await worker.http("health")).answer
    assert answer is not None
    return answer.status, answer.json()


async def test_health_says_that_the_store_is_refused_until_somebody_begins_anew(
    worker: Worker, old_rows: Table
) -> None:
    status, shown = await health(worker)
    (problem,) = shown["invalid"]
    assert (status, shown["status"], shown["missing"]) == (503, "unhealthy", [])
    assert problem.startswith("AzureWebJobsStorage names a storage account whose tables have ")
    await old_rows.commit("00", [Delete("m|1")])
    assert await health(worker) == (200, {"status": "healthy"})


@pytest.mark.usefixtures("old_rows")
async def test_a_call_is_answered_while_the_store_is_refused(worker: Worker) -> None:
    url = f"{os.environ['PUBLIC_BASE_URL']}/api/voice"
    fields = {
        "AccountSid": os.environ["TWILIO_ACCOUNT_SID"],
        "CallSid": "CA" + "1" * 32,
        "From": "+12025550101",
        "To": "+12025550100",
        "CallStatus": "ringing",
        "Direction": "inbound",
    }
    signature = RequestValidator(os.environ["TWILIO_AUTH_TOKEN"]).compute_signature(url, fields)
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    answer = (await worker.http("voice_incoming", "POST", url, headers, urlencode(fields).encode())).answer
    assert answer is not None
    assert (answer.status, b"<Say" in answer.body) == (200, True)


async def test_nothing_is_sent_or_written_while_the_store_is_refused(
    worker: Worker, old_rows: Table, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Content-Type": "application/json"}
    made = await worker.http(
        "message_create", "POST", headers=headers, body=b'{"to": "+12025550101", "body": "Hi"}'
    )
    assert made.answer is not None
    assert (made.answer.status, made.outputs.get("shards", ())) == (503, ())
    assert "AzureWebJobsStorage" in made.answer.json()["error"]["message"]
    with pytest.raises(InvocationFailed, match="AzureWebJobsStorage"):
        await worker.queue("place_outbound_call", '{"to": "+12025550101", "say": "Hi"}')
    caplog.clear()
    assert (await worker.timer("send_due_sms")).outputs.get("shards", ()) == ()
    assert "AzureWebJobsStorage" in caplog.text
    assert emulator.ledger() == {**emulator.ledger(), "messages": [], "calls": []}
    assert [row.key for row in await old_rows.read("00", "", "~", limit=9)] == ["m|1"]
