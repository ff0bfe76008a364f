"""shared/web/diagnosis.py: it names each part that does not work."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import pytest
import pytest_asyncio
from azure.core.exceptions import AzureError
from azure.storage.queue import QueueServiceClient

from local.host.worker import Worker
from local.twilio import Emulator
from shared import timer
from shared.config import Settings
from shared.errors import StorageAway
from shared.services import Services
from shared.storage import queues as queue_access
from shared.storage.connection import Refused
from shared.web import diagnosis
from tests import clock
from tests.azurite import Azurite, signed
from tests.listener import Answer, Listener
from tests.settings import ENVIRON, settings

NOW = clock.NOW.replace(hour=9)


@pytest_asyncio.fixture
async def services(azurite: Azurite, emulator: Emulator) -> AsyncIterator[Services]:
    running = Services(settings(AzureWebJobsStorage=azurite.fresh_account(), TWILIO_BASE_URL=emulator.url))
    yield running
    await running.close()


async def diagnose(services: Services) -> dict[str, Any]:
    return await diagnosis.diagnose(
        services.settings,
        lambda: services.messages.table,
        lambda: services.files,
        services.twilio,
        now=NOW,
    )


async def try_queues(known: Settings) -> None:
    queues = queue_access.Queues(known)
    try:
        await queues.try_rights()
    finally:
        await queues.close()


async def test_all_is_well_before_the_first_tick(services: Services) -> None:
    found = await diagnose(services)

    assert [found[name] for name in ("storage", "files", "queues", "twilio", "heartbeat")] == [None] * 5
    assert found["at"] == "2009-11-23T09:00:00.000Z"
    assert found["from_number"] == "+12025550100"


async def test_a_tick_leaves_its_heartbeat(services: Services) -> None:
    await timer.tick(services.text_outbox, services.call_outbox, now=NOW)

    found = await diagnose(services)

    assert found["heartbeat"] == {"at": "2009-11-23T09:00:00.000Z", "report": "nothing due"}


async def test_refused_credentials_are_named(services: Services, emulator: Emulator) -> None:
    emulator.faults(credentials_refused=True)

    found = await diagnose(services)

    assert "20003" in found["twilio"]
    assert found["storage"] is None


async def test_storage_that_does_not_answer_is_named(emulator: Emulator) -> None:
    nowhere = (
        "DefaultEndpointsProtocol=http;AccountName=gone;AccountKey=AAAA;"
        "BlobEndpoint=http://127.0.0.1:9/gone;TableEndpoint=http://127.0.0.1:9/gone;"
        "QueueEndpoint=http://127.0.0.1:9/gone"
    )
    services = Services(settings(AzureWebJobsStorage=nowhere, TWILIO_BASE_URL=emulator.url))

    found = await diagnose(services)

    assert found["storage"]
    assert found["files"]
    assert found["queues"]
    assert found["twilio"] is None
    await services.close()


async def test_nothing_secret_is_in_the_answer(services: Services) -> None:
    found = str(await diagnose(services))

    assert services.settings.auth_token not in found
    assert "AccountKey" not in found


async def test_it_is_a_route_with_a_key(worker: Worker) -> None:
    (function,) = (each for each in worker.functions if each.name == "diagnosis_get")

    assert function.trigger.properties["route"] == "diagnosis"
    assert function.trigger.properties["authLevel"].lower() == "function"


# Queues: the right to each thing is really missing.


@pytest.mark.parametrize(
    ("permission", "queues", "says"),
    [
        ("rwdlacup", False, "look into outbound-calls"),
        ("wdlacup", True, "look into outbound-calls"),
        ("rdlap", True, "make the queue diagnosis"),
        ("rwdlcup", True, "send to a queue"),
        ("rwdlacu", True, "receive from a queue"),
    ],
)
async def test_what_the_app_may_not_do_with_its_queues_is_named(
    azurite: Azurite, permission: str, queues: bool, says: str
) -> None:
    connection = azurite.fresh_account()
    with QueueServiceClient.from_connection_string(connection) as service:
        for name in queue_access.NAMES:
            service.create_queue(name)

    with pytest.raises(Refused, match=f"the app cannot {says}: storage answers 403"):
        await try_queues(settings(AzureWebJobsStorage=signed(connection, permission, queues=queues)))


async def test_the_rights_it_needs_suffice(azurite: Azurite) -> None:
    await try_queues(settings(AzureWebJobsStorage=signed(azurite.fresh_account(), "rwdlacup")))


async def test_a_wrong_key_is_named_and_not_shown(azurite: Azurite) -> None:
    connection = azurite.fresh_account()
    key = dict(each.split("=", 1) for each in connection.split(";") if each)["AccountKey"]
    wrong = connection.replace(key, "d3Jvbmc=")

    with pytest.raises(Refused, match="403") as caught:
        await try_queues(settings(AzureWebJobsStorage=wrong))

    assert "d3Jvbmc" not in str(caught.value)


ENDPOINTS = (
    "BlobEndpoint=http://127.0.0.1:9/gone;TableEndpoint=http://127.0.0.1:9/gone;"
    "QueueEndpoint=http://127.0.0.1:9/gone"
)
WHOLE = f"AccountName=gone;AccountKey=c2VjcmV0;{ENDPOINTS}"
BY_NAME = "AccountName=gone;AccountKey=c2VjcmV0"


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        ("c2VjcmV0", "be NAME=VALUE with ; between, each name once"),
        (f"{WHOLE};AccountKey=c2VjcmV0", "be NAME=VALUE with ; between, each name once"),
        (f"AccountKey=c2VjcmV0;{ENDPOINTS}", "have an AccountName"),
        ("SharedAccessSignature=sig=c2VjcmV0", "have an AccountName"),
        (f"AccountName=g o;AccountKey=c2VjcmV0;{ENDPOINTS}", "have an AccountName of letters and digits"),
        (f"AccountName={'a' * 64};AccountKey=c2VjcmV0", "have an AccountName of letters and digits"),
        (f"AccountName=gone;{ENDPOINTS}", "have an AccountKey or a SharedAccessSignature"),
        (WHOLE.replace("c2VjcmV0", "c2VjcmV0="), "have an AccountKey in base64"),
        (WHOLE.replace("c2VjcmV0", "c2VjcmV0e"), "have an AccountKey in base64"),
        (WHOLE.replace("c2VjcmV0", "ä c2VjcmV0"), "have an AccountKey in base64"),
        (WHOLE.replace("QueueEndpoint=http://", "QueueEndpoint="), "have a URL as QueueEndpoint"),
        (WHOLE.replace("TableEndpoint=http://", "TableEndpoint=ftp://"), "have a URL as TableEndpoint"),
        (
            WHOLE.replace("BlobEndpoint=http://127.0.0.1", "BlobEndpoint=http://["),
            "have a URL as BlobEndpoint",
        ),
        (WHOLE.replace("127.0.0.1:9", "127.0.0.1:99999"), "have a URL as BlobEndpoint"),
        (WHOLE.replace("127.0.0.1:9/gone", "127.0.0.1:9/g one"), "have a URL as BlobEndpoint"),
        (f"{BY_NAME};DefaultEndpointsProtocol=ftp", "have http or https as DefaultEndpointsProtocol"),
        (f"{BY_NAME};EndpointSuffix={'a' * 64}.net", "have a host as EndpointSuffix"),
        (f"{BY_NAME};EndpointSuffix=.net", "have a host as EndpointSuffix, such as core.windows.net"),
    ],
)
async def test_a_malformed_connection_string_is_named_and_not_shown(
    emulator: Emulator, connection: str, says: str
) -> None:
    services = Services(settings(AzureWebJobsStorage=connection, TWILIO_BASE_URL=emulator.url))

    found = await diagnose(services)

    with pytest.raises(Refused, match=f"^AzureWebJobsStorage must {says}"):
        await try_queues(services.settings)
    assert found["queues"].startswith(f"AzureWebJobsStorage must {says}")
    assert found["storage"] == found["files"] == found["queues"]
    assert found["twilio"] is None
    assert "c2VjcmV0" not in str(found)
    await services.close()


@pytest.mark.parametrize("connection", [WHOLE, WHOLE.lower().replace("c2vjcmv0", "c2VjcmV0"), f"{WHOLE};"])
async def test_a_whole_connection_string_is_tried(connection: str) -> None:
    with pytest.raises(AzureError, match=r"Cannot connect to host 127\.0\.0\.1:9"):
        await try_queues(settings(AzureWebJobsStorage=connection))


async def test_the_apps_queues_are_left_as_they_were(azurite: Azurite) -> None:
    connection = azurite.fresh_account()
    with QueueServiceClient.from_connection_string(connection) as queues:
        calls = queues.get_queue_client("outbound-calls")
        calls.create_queue()
        calls.send_message("{}")

        for _ in range(2):
            await try_queues(settings(AzureWebJobsStorage=connection))

        assert {queue.name for queue in queues.list_queues()} == {"outbound-calls", queue_access.OWN}
        (message,) = calls.peek_messages(5)
        assert (message.content, message.dequeue_count) == ("{}", 0)
        own = queues.get_queue_client(queue_access.OWN)
        assert own.get_queue_properties().approximate_message_count == 0


async def test_two_diagnoses_at_once_report_no_fault_of_each_other(azurite: Azurite) -> None:
    connection = azurite.fresh_account()

    await asyncio.gather(*(try_queues(settings(AzureWebJobsStorage=connection)) for _ in range(5)))


async def test_without_a_connection_string_the_identity_is_asked(
    monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    # It is refused a token, so that no request leaves for Azure.
    listener.answers["/token"] = Answer('{"error": "no such identity"}', 400, "application/json")
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{listener.url}/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header")
    environ = {name: value for name, value in ENVIRON.items() if name != "AzureWebJobsStorage"}
    by_identity = Settings.from_env({**environ, "AzureWebJobsStorage__accountName": "nowhere"})

    with pytest.raises(StorageAway, match="no such identity"):
        await try_queues(by_identity)

    (asked,) = listener.to("/token")
    assert "resource=https://storage.azure.com" in unquote(asked.url)
