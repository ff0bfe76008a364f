"""Messages to send, for the tests of the drain: kept, drained, and compared with what Twilio accepted."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import azure.functions as func

from local.twilio import Double
from shared import drain, schedule, webhook
from shared.message import Message, new_id
from shared.sending import Report
from shared.services import Services
from shared.states import State
from tests.clock import NOW
from tests.front import Front


def person(number: int) -> str:
    return f"+1202555{100 + number:04}"


async def keep(services: Services, count: int = 1, *, due: datetime = NOW, **changes: Any) -> list[Message]:
    """So many messages, each to a person of its own."""
    kept = []
    for number in range(1, count + 1):
        to = changes.get("to", person(number))
        message = Message(id=new_id(to, due), to=to, body=f"hello {number}", due=due, created=due)
        kept.append(await services.messages.create(replace(message, **changes)))
    return kept


async def drained(services: Services, now: datetime = NOW, seconds: float = 60) -> Report:
    return await drain.drain(services.messages, services.twilio, services.settings, now=now, seconds=seconds)


async def states(services: Services) -> Counter[str]:
    """How many messages are in which state."""
    found, token = Counter[str](), ""
    while True:
        page = await services.messages.page(token=token, limit=200)
        found.update(message.state.value for message in page.messages)
        token = page.token
        if not token:
            return found


async def fates(services: Services) -> Counter[str]:
    """As `states`, but what has left is `left`: how far it is since depends on when Twilio was asked."""
    found = await states(services)
    left = sum(found.pop(state, 0) for state in ("submitted", "sent", "delivered"))
    return Counter({**found, "left": left})


def sent_twice(double: Double) -> list[str]:
    """The callbacks' ids, which are our messages' ids, of which Twilio accepted more than one message."""
    ids = Counter(each["sid"] for each in double.ledger()["messages"])
    bodies = Counter((each["to"], each["body"]) for each in double.ledger()["messages"])
    return [str(each) for each, number in [*ids.items(), *bodies.items()] if number > 1]


async def as_twilio_says(services: Services, double: Double) -> None:
    """Every message that Twilio accepted is one of ours, under its SID; and none was accepted twice."""
    assert sent_twice(double) == []
    page = await services.messages.page(limit=200)
    ours = {message.sid: (message.to, message.body) for message in page.messages if message.sid}
    truth = {each["sid"]: (each["to"], each["body"]) for each in double.ledger()["messages"]}
    assert ours == truth


def listen(front: Front, services: Services) -> None:
    """Let Twilio's status callbacks reach these services."""

    async def handle(req: func.HttpRequest) -> func.HttpResponse:
        return await webhook.record(req, services, lambda got: schedule.reported(got, services.messages))

    front.handle = handle


async def waiting(services: Services, message: Message, now: datetime = NOW) -> bool:
    """Is it among what is due by then?"""
    rows = await services.messages.agenda(message.partition, now)
    return f"m|{message.id}" in {row.key.split("|", 2)[2] for row in rows}


LATER = NOW + timedelta(minutes=20)
OVER = {State.SENT, State.DELIVERED, State.UNDELIVERED, State.FAILED}
