"""The call queue as the console shows it: who waits at Twilio, and for how long."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from local.phone.walker import walk_twiml
from local.twilio import NUMBER, Emulator, Number, Options, Pace
from shared.config import CALL_QUEUE
from shared.services import Services
from tests.listener import Answer, Listener
from tests.settings import settings


@pytest.fixture
def walking(listener: Listener) -> Iterator[Emulator]:
    """A Twilio that executes TwiML; every caller is put into the queue."""
    number = Number(voice_url=f"{listener.url}/voice")
    listener.answers["/voice"] = Answer(
        f"<Response><Enqueue waitUrl='/wait'>{CALL_QUEUE}</Enqueue></Response>"
    )
    listener.answers["/wait"] = Answer("<Response><Pause length='60'/></Response>")
    # A robot hangs up after `talk`: nobody in the line does before the test has ended.
    with Emulator(Options(numbers=(number,), pace=Pace(step=0.01, talk=600)), twiml=walk_twiml) as emulator:
        yield emulator


@pytest_asyncio.fixture
async def services(walking: Emulator) -> AsyncIterator[Services]:
    made = Services(settings(TWILIO_BASE_URL=walking.url))
    yield made
    await made.close()


async def test_nobody_waits_where_there_is_no_queue_yet(services: Services) -> None:
    assert await services.twilio.waiting(CALL_QUEUE) == {
        "queue": CALL_QUEUE,
        "size": 0,
        "average_wait": 0,
        "members": [],
    }


async def line_of(services: Services, size: int) -> dict[str, Any]:
    """The queue, once so many callers are in it: their TwiML is executed after its webhook was answered."""
    async with asyncio.timeout(30):
        while True:
            line = await services.twilio.waiting(CALL_QUEUE)
            if line["size"] >= size:
                return line
            await asyncio.sleep(0.02)


async def test_callers_who_wait_are_shown_by_number_and_in_order(
    services: Services, walking: Emulator
) -> None:
    people, sids = ["+12025550151", "+12025550152"], []
    for person in people:
        sids.append((await walking.inbound_call_async(person, NUMBER)).sid)
        line = await line_of(services, len(sids))
    assert (line["queue"], line["size"]) == (CALL_QUEUE, 2)
    assert [(each["call_sid"], each["from"]) for each in line["members"]] == list(
        zip(sids, people, strict=True)
    )
    assert all(isinstance(each["wait"], int) for each in line["members"])
