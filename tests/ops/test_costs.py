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

from local.twilio import Emulator
from ops import costs
from ops.commands import app
from shared import timer
from shared.calls import placing
from shared.calls import status as call_status
from shared.delivery import drain_requests
from shared.services import Services
from shared.sms import schedule
from shared.sms import status as sms_status
from shared.storage.queues import EVERY
from shared.twiml.request import TwilioRequest
from tests import clock
from tests.azurite import Azurite
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
async def services(azurite: Azurite, emulator: Emulator) -> AsyncIterator[Services]:
    running = Services(settings(AzureWebJobsStorage=azurite.fresh_account(), TWILIO_BASE_URL=emulator.url))
    await timer.tick(running.text_outbox, running.call_outbox, now=NOW)  # makes the tables
    request = {"to": "+12025550101", "say": "x"}
    await placing.accept(request, running.calls, running.settings, now=NOW + timedelta(days=1))
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
    with counting() as ask:
        assert await schedule.wants_drain(message, services.messages, services.settings, now=NOW)
        await drain_requests.started(services.messages, message.partition)
    with counting() as idle:
        await timer.tick(services.text_outbox, services.call_outbox, now=NOW - timedelta(minutes=1))
    with counting() as tick:
        await timer.tick(services.text_outbox, services.call_outbox, now=NOW + timedelta(seconds=1))
    sent = await services.messages.get(message.id)
    query = {"id": sent.id, "attempt": sent.attempt}
    with counting() as status:
        fields = {"MessageSid": sent.sid, "MessageStatus": "sent", "To": sent.to}
        await sms_status.reported(report(query, fields), services.text_outbox)

    assert_fits("CREATE", create.count, costs.CREATE)
    assert_fits("ASK_DRAIN", ask.count, costs.ASK_DRAIN)
    assert_fits("IDLE_TICK", idle.count, costs.IDLE_TICK)
    assert_fits("SEND", tick.count - idle.count, costs.SEND)
    assert_fits("STATUS", status.count, costs.STATUS)


async def test_the_poison_queues_of_a_tick(services: Services) -> None:
    await services.given_up.keep(now=NOW)
    services.queues._looked = -EVERY
    with counting() as looks:
        await services.given_up.keep(now=NOW)

    assert_fits("POISON_QUEUES", looks.count, costs.POISON_QUEUES)


async def test_many_messages_share_their_requests(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timer, "TICK_SECONDS", 100.0)  # a busy machine does not send 200 in a tick's time
    requests = [{"to": f"+1202555{1000 + number}", "body": "hello"} for number in range(200)]
    await asyncio.gather(
        *(schedule.create(each, services.messages, services.settings, now=NOW) for each in requests)
    )

    with counting() as tick:
        done = await timer.tick(services.text_outbox, services.call_outbox, now=NOW + timedelta(seconds=1))

    assert done.states["submitted"] == 200
    assert_fits("SEND_IN_BURST", (tick.count - costs.IDLE_TICK) / 200, costs.SEND_IN_BURST)


async def test_a_call(services: Services) -> None:
    with counting() as accept:
        request = {"to": "+12025550161", "say": "hello"}
        asked = await placing.accept(request, services.calls, services.settings, now=NOW)
    with counting() as place:
        await placing.place(
            asked.to_json().encode(), "m1", services.call_outbox, services.dead_letters, now=NOW
        )
    call = await services.calls.get(asked.id)
    query = {"id": call.id, "attempt": call.attempt}
    with counting() as status:
        fields = {"CallSid": call.sid, "CallStatus": "ringing", "To": call.to, "From": call.sender}
        await call_status.reported(report(query, fields), services.call_outbox)

    assert_fits("ACCEPT_CALL", accept.count, costs.ACCEPT_CALL)
    assert_fits("PLACE_CALL", place.count, costs.PLACE_CALL)
    assert_fits("CALL_STATUS", status.count, costs.CALL_STATUS)


def test_the_command_prints_the_table_and_the_date_of_its_prices() -> None:
    printed = CliRunner().invoke(app, ["costs"], env={"COLUMNS": "200"}).output

    assert costs.PRICES_OF in printed
    assert re.search(r"1,000 messages, each by itself +15,000 +3,000 +4,000", printed)


def test_json_has_the_same_rows() -> None:
    rows = json.loads(CliRunner().invoke(app, ["costs", "--json"]).stdout)["rows"]

    assert [row["what"] for row in rows] == [each.what for each in costs.estimate()]
