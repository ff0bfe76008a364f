"""The waiting line, as the console is shown it: Twilio's queue, with who waits and for how long."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from local.phone.office import Office
from local.twilio import NUMBER, Double, Number, Options, Pace
from shared import calls
from shared.services import Services
from shared.voice_queue import QUEUE
from tests.listener import Answer, Listener
from tests.settings import settings


@pytest.fixture
def walking(listener: Listener) -> Iterator[Double]:
    """A Twilio in whose calls TwiML is walked; whoever calls is put into the line."""
    number = Number(voice_url=f"{listener.url}/voice")
    listener.answers["/voice"] = Answer(f"<Response><Enqueue waitUrl='/wait'>{QUEUE}</Enqueue></Response>")
    listener.answers["/wait"] = Answer("<Response><Pause length='60'/></Response>")
    # A robot hangs up after `talk`: nobody in the line does before the test has ended.
    with Double(Options(numbers=(number,), pace=Pace(step=0.01, talk=600)), carrier=Office) as double:
        yield double


@pytest_asyncio.fixture
async def services(walking: Double) -> AsyncIterator[Services]:
    made = Services(settings(TWILIO_BASE_URL=walking.url))
    yield made
    await made.close()


async def test_nobody_waits_where_there_is_no_queue_yet(services: Services) -> None:
    assert await calls.line(services) == {"queue": QUEUE, "size": 0, "average_wait": 0, "members": []}


async def test_whoever_waits_is_shown_by_number_and_in_order(services: Services, walking: Double) -> None:
    people = ["+12025550151", "+12025550152"]
    sids = [(await walking.inbound_call_async(person, NUMBER)).sid for person in people]
    line = await calls.line(services)
    assert (line["queue"], line["size"]) == (QUEUE, 2)
    assert [(each["call_sid"], each["from"]) for each in line["members"]] == list(
        zip(sids, people, strict=True)
    )
    assert all(isinstance(each["wait"], int) for each in line["members"])
