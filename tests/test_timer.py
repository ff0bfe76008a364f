"""What a tick does besides draining: it makes queues, and keeps what the host gave up; on Azurite."""

import json
from collections.abc import Iterator

import pytest
from azure.storage.queue import QueueServiceClient

from local.launcher.azurite import StoragePorts
from local.launcher.ports import free_ports
from local.twilio import Emulator
from shared.bulk import intake
from shared.services import Services
from shared.storage.queues import NAMES
from tests.clock import NOW
from tests.settings import settings

POISON = [
    b'{"to": "+12025550101", "say": "x", "insertionTime": "2026-11-28T10:00:00Z"}',
    b'{"id": "2026/11/28-17", "to": "+12025550101", "say": "x"}',
    b'{"id": ""}',
    b"ring my friend",
    b'{"say": "<&\'\\u0007"}',
]


@pytest.fixture
def queues(services: Services) -> Iterator[QueueServiceClient]:
    with QueueServiceClient.from_connection_string(services.settings.storage or "") as service:
        yield service


async def test_a_tick_makes_the_queues_that_nobody_else_makes(
    services: Services, queues: QueueServiceClient
) -> None:
    await services.given_up.keep(now=NOW)
    assert {queue.name for queue in queues.list_queues()} == set(NAMES)
    await services.given_up.keep(now=NOW)


async def test_what_the_host_gave_up_is_kept_and_only_then_deleted(
    services: Services, queues: QueueServiceClient
) -> None:
    poison = queues.create_queue("outbound-calls-poison")
    for raw in POISON:
        poison.send_message(raw.decode())
    await services.given_up.keep(now=NOW)
    page = await services.dead_letters.page(limit=100)
    assert sorted(each["body"] for each in page["dead_letters"]) == sorted(raw.decode() for raw in POISON)
    assert poison.get_queue_properties().approximate_message_count == 0


async def test_more_than_a_page_is_kept(services: Services, queues: QueueServiceClient) -> None:
    poison = queues.create_queue("outbound-calls-poison")
    for number in range(40):
        poison.send_message(json.dumps({"id": f"call-{number}"}))
    await services.given_up.keep(now=NOW)
    assert len((await services.dead_letters.page(limit=100))["dead_letters"]) == 40


async def test_what_cannot_be_kept_stays(
    services: Services, queues: QueueServiceClient, caplog: pytest.LogCaptureFixture
) -> None:
    poison = queues.create_queue("outbound-calls-poison")
    poison.send_message("ring my friend")
    away = StoragePorts(*free_ports(3)).connection_string()
    stuck = Services(settings(AzureWebJobsStorage=away))
    stuck.queues = services.queues
    await stuck.given_up.keep(now=NOW)
    await stuck.close()
    assert "not emptied yet" in caplog.text
    assert poison.get_queue_properties().approximate_message_count == 1


async def test_a_load_that_was_given_up_stops_and_a_shards_message_goes(
    services: Services, queues: QueueServiceClient, emulator: Emulator
) -> None:
    job_id = await intake.accept(
        b"to,body\n+12025550101,hi\n", "text/csv", {}, services.bulk_jobs, services.files, now=NOW
    )
    queues.create_queue("bulk-load-poison").send_message(intake.queue_message(job_id))
    drains = queues.create_queue("sms-drain-poison")
    drains.send_message("0a")
    await services.given_up.keep(now=NOW)
    assert (await intake.progress(job_id, services.bulk_jobs))["state"] == "stopped"
    assert drains.get_queue_properties().approximate_message_count == 0
    assert emulator.rest_requests() == []
