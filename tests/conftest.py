"""Fixtures that many tests share. Each is small; what it starts lives in tests/<subject>.py."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from local.host.worker import Worker
from local.phone.testing import Phone
from local.twilio import Emulator, Options, Pace
from local.twilio.carrier.backend import RestRequest
from shared.services import Services
from tests import calling, offline, openapi
from tests.app import App, connected
from tests.azurite import Azurite, running_azurite
from tests.front import Front
from tests.front import running_front as front_server
from tests.listener import Listener
from tests.settings import settings

ROOT = Path(__file__).parent.parent

# A developer's .env and environment may hold real credentials.
offline.stay()


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azurite on free ports, empty, in memory; `azurite.fresh_account()` isolates a test."""
    with running_azurite() as running:
        yield running


@pytest.fixture(scope="session")
def running_emulator() -> Iterator[Emulator]:
    """One Twilio emulator for the session, at a quick pace; tests take `emulator`."""
    with Emulator(Options(pace=Pace(step=0.01, talk=0.02))) as emulator:
        yield emulator


@pytest.fixture
def emulator(running_emulator: Emulator) -> Iterator[Emulator]:
    """The Twilio emulator, as new. Every exchange with it must fit Twilio's own OpenAPI description."""
    exchanges: list[RestRequest] = []
    running_emulator.reset()
    running_emulator.on_rest_request(exchanges.append)
    yield running_emulator
    running_emulator.on_rest_request(None)
    running_emulator.reset()
    assert not openapi.problems(exchanges)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A web server where the app would be, which remembers what Twilio asked of it."""
    with Listener() as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def running_front() -> AsyncIterator[Front]:
    """One PUBLIC_BASE_URL for the session; tests take `front`."""
    async with front_server() as front:
        yield front


@pytest.fixture
def front(running_front: Front) -> Iterator[Front]:
    """What is at PUBLIC_BASE_URL: it answers 204 until the test sets `front.handle`."""
    running_front.reset()
    yield running_front
    running_front.reset()


@pytest_asyncio.fixture
async def services(azurite: Azurite, emulator: Emulator, front: Front) -> AsyncIterator[Services]:
    """What the triggers work with: empty storage, the Twilio emulator, `front` at PUBLIC_BASE_URL."""
    storage_account = azurite.fresh_account()
    made = Services(
        settings(AzureWebJobsStorage=storage_account, TWILIO_BASE_URL=emulator.url, PUBLIC_BASE_URL=front.url)
    )
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="session")
async def worker(azurite: Azurite, running_emulator: Emulator, running_front: Front) -> AsyncIterator[Worker]:
    """The real function_app.py, indexed by Microsoft's worker library in this process.

    An app can be indexed once a process: nobody else may call its get_functions().
    """
    os.environ |= {
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "twilio_test_auth_token",
        "TWILIO_FROM_NUMBER": "+12025550100",
        "TWILIO_BASE_URL": running_emulator.url,
        "PUBLIC_BASE_URL": running_front.url,
        "SMS_SCHEDULE": "0 0 0 1 1 *",
        "AzureWebJobsStorage": azurite.fresh_account(),
    }
    started = await Worker.start(ROOT)
    yield started
    await started.stop()
    # Nobody tells an app in Azure that it ends; here its connections would be complained about.
    await sys.modules["function_app"].services.close()


@pytest_asyncio.fixture(scope="session")
async def loop() -> asyncio.AbstractEventLoop:
    """The one that async fixtures live on; a plain test may run it while it stands still."""
    return asyncio.get_running_loop()


@pytest.fixture
def phone(worker: Worker, loop: asyncio.AbstractEventLoop) -> Phone:
    """`phone.dial("+12025550100")` calls the app, in process. A test that takes it is not a coroutine."""
    return calling.app_phone(worker, loop)


@pytest_asyncio.fixture
async def app(worker: Worker, emulator: Emulator, front: Front) -> AsyncIterator[App]:  # noqa: ARG001 - it needs both
    """The whole app: its API and queues through the worker, Twilio's emulator behind it."""
    made = connected(worker)
    yield made
    await made.stored.close()
