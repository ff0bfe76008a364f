"""Fixtures that many tests share. Each is small; what it needs lives in a module of its own."""

from collections.abc import Iterator

import pytest

from local.twilio import Double, Options, Pace
from local.twilio.core import Exchange
from tests import openapi
from tests.listener import Listener


@pytest.fixture(scope="session")
def running_double() -> Iterator[Double]:
    """One Twilio double for the session, at a quick pace; tests take `double`."""
    with Double(Options(pace=Pace(step=0.01, talk=0.02))) as double:
        yield double


@pytest.fixture
def double(running_double: Double) -> Iterator[Double]:
    """The Twilio double, as new. Every exchange with it must fit Twilio's own OpenAPI description."""
    exchanges: list[Exchange] = []
    running_double.reset()
    running_double.on_exchange(exchanges.append)
    yield running_double
    running_double.on_exchange(None)
    running_double.reset()
    assert not openapi.problems(exchanges)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A web server where the app would be, which remembers what Twilio asked of it."""
    with Listener() as running:
        yield running
