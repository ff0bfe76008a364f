"""Fixtures that several test modules share; what they start lives in tests/<subject>.py."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from local.host.worker import Worker
from tests import storage

ROOT = Path(__file__).parent.parent

# A developer's .env may hold real credentials: no test, nor a process that it starts, reads it.
os.environ["PYTHON_DOTENV_DISABLED"] = "1"


@pytest.fixture(scope="session")
def azurite() -> Iterator[storage.Azurite]:
    """Azurite on free ports, empty, in memory; `azurite.fresh_account()` isolates a test."""
    with storage.running_azurite() as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def worker() -> AsyncIterator[Worker]:
    """The real function_app.py, indexed by Microsoft's worker library in this process.

    An app can be indexed once a process: nobody else may call its get_functions().
    """
    started = await Worker.start(ROOT)
    yield started
    await started.stop()
