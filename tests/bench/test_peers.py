"""What we are measured beside does what it is said to do, and no less than ours."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from azure.data.tables.aio import TableServiceClient
from twilio.rest import Client

from bench import child, webhook_request
from bench.child import ROOT, ChildFailed
from bench.peers import send_loop
from bench.webhooks import APPS, PEERS
from local.twilio import Emulator
from shared.storage.partitions import PARTITIONS
from shared.storage.tables import Table
from tests.azurite import Azurite


def test_flask_and_ours_answer_with_the_same_twiml() -> None:
    with child.running("bench.flask_child", environ=webhook_request.ENVIRON) as each:
        answers = each.ask("answers")
        used = each.ask("both", count=10)
    ours, flask = (ET.canonicalize(answers[name]) for name in ("ours", "flask"))
    assert ours == flask
    assert ours.count("<Say") == 4
    assert all(seconds > 0 for seconds in used.values())


@pytest.mark.parametrize("app", [*APPS, "usual"])
def test_every_app_answers_a_signed_webhook_through_the_worker(app: str) -> None:
    path, function = {**APPS, "usual": (PEERS / "usual", "voice")}[app]
    environ = {**webhook_request.ENVIRON, "STORAGE_CONNECTION": "x"}
    with child.running("bench.worker_child", str(path), function, environ=environ) as each:
        first, later = each.ask("first"), each.ask("webhooks", count=3)
    assert ET.fromstring(first["text"]).tag == "Response"  # noqa: S314
    assert first["cpu"] > first["webhook_cpu"] > 0
    assert len(later["times"]) == 3


@pytest.mark.parametrize(("path", "function"), [(ROOT, "voice_incoming"), (PEERS / "usual", "voice")])
def test_who_is_given_the_wrong_token_refuses_what_is_measured(path: Path, function: str) -> None:
    environ = {**webhook_request.ENVIRON, "TWILIO_AUTH_TOKEN": "another"}
    with (
        child.running("bench.worker_child", str(path), function, environ=environ) as each,
        pytest.raises(ChildFailed),
    ):
        each.ask("first")


def test_flask_and_ours_refuse_who_signs_with_another_token() -> None:
    environ = {**webhook_request.ENVIRON, "TWILIO_AUTH_TOKEN": "another"}
    with (
        child.running("bench.flask_child", environ=environ) as each,
        pytest.raises(ChildFailed),
    ):
        each.ask("answers")


def test_the_plain_loop_sends_each_message_once(emulator: Emulator) -> None:
    client = Client(webhook_request.ACCOUNT_SID, webhook_request.AUTH_TOKEN)
    client.api.base_url = emulator.url
    texts = [("+12025550101", "one"), ("+12025550102", "two")]
    assert send_loop.send_all(client, texts, "+12025550100") == 2
    assert [(each["to"], each["body"]) for each in emulator.ledger()["messages"]] == texts


async def test_the_sdk_alone_writes_the_rows_that_our_load_writes(azurite: Azurite) -> None:
    """Of every kind as many, with the same columns and texts."""
    accounts = azurite.fresh_account(), azurite.fresh_account()
    with child.running("bench.bulk_child", environ=webhook_request.ENVIRON) as each:
        job = each.ask("accept", storage=accounts[0], count=150)["id"]
        ours = each.ask("ours", storage=accounts[0], job=job)
        alone = each.ask("alone", storage=accounts[1], count=150)
    assert (ours["count"], alone["count"]) == (150, 150)
    assert ours["mb"] > 10
    found = []
    for account in accounts:
        async with TableServiceClient.from_connection_string(account) as service:
            table = Table(service.get_table_client("messages"), None)  # the SDK alone writes no version
            rows = [row for each in PARTITIONS for row in await table.read(each, " ", "~", limit=1000)]
        kinds = [
            (row.key[:2], row.values.get("to"), row.values.get("body"), sorted(row.values)) for row in rows
        ]
        found.append(sorted(kinds, key=repr))
    assert len(found[0]) == 600
    assert found[0] == found[1]
