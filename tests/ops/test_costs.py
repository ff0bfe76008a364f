"""ops/costs.py: what it multiplies is what the real code asks of storage."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from local.twilio import Double
from ops import costs
from ops.__main__ import app
from shared import calls, drain, schedule
from shared.services import Services
from shared.twilio_request import TwilioRequest
from tests import clock, storage
from tests.settings import settings

NOW = clock.NOW.replace(hour=9)
LOGGER = logging.getLogger("azure.core.pipeline.policies.http_logging_policy")


class Counter(logging.Handler):
    """Counts the requests that the Azure SDK logs."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage().startswith("Request URL")


@contextmanager
def counting() -> Iterator[Counter]:
    counter, level = Counter(), LOGGER.level
    LOGGER.addHandler(counter)
    LOGGER.setLevel(logging.INFO)
    yield counter
    LOGGER.setLevel(level)
    LOGGER.removeHandler(counter)


@pytest_asyncio.fixture
async def services(azurite: storage.Azurite, double: Double) -> AsyncIterator[Services]:
    running = Services(settings(AzureWebJobsStorage=azurite.fresh_account(), TWILIO_BASE_URL=double.url))
    await drain.tick(running, now=NOW)  # makes the tables
    await calls.accept({"to": "+12025550101", "say": "x"}, running, now=NOW)
    yield running
    await running.close()


def report(query: dict[str, str], fields: dict[str, str]) -> TwilioRequest:
    return TwilioRequest(
        fields, tuple(query.items()), tuple(fields.items()), "POST", "http://localhost/", NOW
    )


def assert_fits(what: str, counted: float, documented: float) -> None:
    """Never more than is said; a good deal less would be worth saying."""
    assert documented * 0.6 <= counted <= documented, (
        f"{what} takes {counted:g} requests, and ops/costs.py says {documented:g}: change it there, and what "
        "docs/operations.md says of it (its table is that of ops.costs.markdown())"
    )


async def test_a_message_by_itself(services: Services) -> None:
    with counting() as create:
        message = await schedule.create(
            {"to": "+12025550161", "body": "hello"}, services.messages, services.settings, now=NOW
        )
    with counting() as idle:
        await drain.tick(services, now=NOW - timedelta(minutes=1))
    with counting() as tick:
        await drain.tick(services, now=NOW + timedelta(seconds=1))
    sent = await services.messages.get(message.id)
    query = {"id": sent.id, "attempt": sent.attempt}
    with counting() as status:
        fields = {"MessageSid": sent.sid, "MessageStatus": "sent", "To": sent.to}
        await schedule.reported(report(query, fields), services.messages)

    assert_fits("CREATE", create.count, costs.CREATE)
    assert_fits("IDLE_TICK", idle.count, costs.IDLE_TICK)
    assert_fits("SEND", tick.count - idle.count, costs.SEND)
    assert_fits("STATUS", status.count, costs.STATUS)


async def test_many_messages_share_their_requests(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "TICK_SECONDS", 100.0)  # a busy machine does not send 200 in a tick's time
    requests = [{"to": f"+1202555{1000 + number}", "body": "hello"} for number in range(200)]
    await asyncio.gather(
        *(schedule.create(each, services.messages, services.settings, now=NOW) for each in requests)
    )

    with counting() as tick:
        done = await drain.tick(services, now=NOW + timedelta(seconds=1))

    assert done.states["submitted"] == 200
    assert_fits("SEND_IN_BURST", (tick.count - costs.IDLE_TICK) / 200, costs.SEND_IN_BURST)


async def test_a_call(services: Services) -> None:
    with counting() as accept:
        asked = await calls.accept({"to": "+12025550161", "say": "hello"}, services, now=NOW)
    with counting() as place:
        await calls.place(asked.to_json().encode(), "m1", services, now=NOW)
    call = await services.calls.get(asked.id)
    query = {"id": call.id, "attempt": call.attempt}
    with counting() as status:
        fields = {"CallSid": call.sid, "CallStatus": "ringing", "To": call.to, "From": call.sender}
        await calls.reported(report(query, fields), services.calls)

    assert_fits("ACCEPT_CALL", accept.count, costs.ACCEPT_CALL)
    assert_fits("PLACE_CALL", place.count, costs.PLACE_CALL)
    assert_fits("CALL_STATUS", status.count, costs.CALL_STATUS)


def test_the_command_prints_the_table_and_the_date_of_its_prices() -> None:
    printed = CliRunner().invoke(app, ["costs"], env={"COLUMNS": "200"}).output

    assert costs.PRICES_OF in printed
    assert re.search(r"1,000 messages, each by itself +12,000 +3,000 +4,000", printed)


def test_json_has_the_same_rows() -> None:
    rows = json.loads(CliRunner().invoke(app, ["costs", "--json"]).stdout)["rows"]

    assert [row["what"] for row in rows] == [each.what for each in costs.estimate()]
