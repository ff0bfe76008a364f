"""shared/diagnosis.py: what is well, and each thing that is not."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest_asyncio

from local.host.worker import Worker
from local.twilio import Double
from shared import diagnosis, drain
from shared.services import Services
from tests import storage
from tests.settings import settings

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest_asyncio.fixture
async def services(azurite: storage.Azurite, double: Double) -> AsyncIterator[Services]:
    running = Services(settings(AzureWebJobsStorage=azurite.fresh_account(), TWILIO_BASE_URL=double.url))
    yield running
    await running.close()


async def test_all_is_well_before_the_first_tick(services: Services) -> None:
    found = await diagnosis.diagnose(services, now=NOW)

    assert (found["storage"], found["files"], found["twilio"], found["heartbeat"]) == (None, None, None, None)
    assert found["at"] == "2026-11-23T09:00:00.000Z"
    assert found["from_number"] == "+12025550100"


async def test_a_tick_leaves_its_heartbeat(services: Services) -> None:
    await drain.tick(services, now=NOW)

    found = await diagnosis.diagnose(services, now=NOW)

    assert found["heartbeat"] == {"at": "2026-11-23T09:00:00.000Z", "report": "nothing due"}


async def test_refused_credentials_are_named(services: Services, double: Double) -> None:
    double.faults(credentials_refused=True)

    found = await diagnosis.diagnose(services, now=NOW)

    assert "20003" in found["twilio"]
    assert found["storage"] is None


async def test_storage_that_does_not_answer_is_named(double: Double) -> None:
    nowhere = (
        "DefaultEndpointsProtocol=http;AccountName=gone;AccountKey=AAAA;"
        "BlobEndpoint=http://127.0.0.1:9/gone;TableEndpoint=http://127.0.0.1:9/gone;"
        "QueueEndpoint=http://127.0.0.1:9/gone"
    )
    services = Services(settings(AzureWebJobsStorage=nowhere, TWILIO_BASE_URL=double.url))

    found = await diagnosis.diagnose(services, now=NOW)

    assert found["storage"]
    assert found["files"]
    assert found["twilio"] is None
    await services.close()


async def test_nothing_secret_is_in_the_answer(services: Services) -> None:
    found = str(await diagnosis.diagnose(services, now=NOW))

    assert services.settings.auth_token not in found
    assert "AccountKey" not in found


async def test_it_is_a_route_with_a_key(worker: Worker) -> None:
    (function,) = (each for each in worker.functions if each.name == "diagnosis_get")

    assert function.trigger.properties["route"] == "diagnosis"
    assert function.trigger.properties["authLevel"].lower() == "function"
