"""The world that the fault tests break, one for all of them."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.azurite import Azurite
from tests.faults.world import World, running_world


@pytest_asyncio.fixture(scope="session")
async def running(azurite: Azurite) -> AsyncIterator[World]:
    async with running_world(azurite) as world:
        yield world


@pytest_asyncio.fixture
async def world(running: World) -> AsyncIterator[World]:
    """Empty storage and a Twilio that has seen nothing. The rows are played with texts."""
    running.rings = False
    await running.start()
    yield running
    await running.stop()
