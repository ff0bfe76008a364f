"""Messages to send, for the tests of the drain: kept, drained, and compared with what Twilio accepted."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import azure.functions as func

from local.twilio import Emulator
from shared.delivery import drain
from shared.delivery.sender import Report
from shared.delivery.states import State
from shared.services import Services
from shared.sms import schedule
from shared.sms import status as sms_status
from shared.sms.message import Message, new_id
from tests import webhooks
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
        kept.append(await schedule.keep(replace(message, **changes), services.messages))
    return kept


async def drained(services: Services, now: datetime = NOW, seconds: float = 60) -> Report:
    return await drain.drain(services.text_outbox, now=now, seconds=seconds)


async def states(services: Services) -> Counter[str]:
    """How many messages are in which state."""
    found, token = Counter[str](), ""
    while True:
        page = await services.messages.page(token=token, limit=200)
        found.update(message.state.value for message in page.items)
        token = page.token
        if not token:
            return found


async def fates(services: Services) -> Counter[str]:
    """As `states`, but what has left is `left`: how far it is since depends on when Twilio was asked."""
    found = await states(services)
    left = sum(found.pop(state, 0) for state in ("submitted", "sent", "delivered"))
    return Counter({**found, "left": left})


def sent_twice(emulator: Emulator) -> list[str]:
    """The callbacks' ids, which are our messages' ids, of which Twilio accepted more than one message."""
    ids = Counter(each["sid"] for each in emulator.ledger()["messages"])
    bodies = Counter((each["to"], each["body"]) for each in emulator.ledger()["messages"])
    return [str(each) for each, number in [*ids.items(), *bodies.items()] if number > 1]


async def as_twilio_says(services: Services, emulator: Emulator) -> None:
    """Every message that Twilio accepted is one of ours, under its SID; and none was accepted twice."""
    assert sent_twice(emulator) == []
    page = await services.messages.page(limit=200)
    ours = {message.sid: (message.to, message.body) for message in page.items if message.sid}
    truth = {each["sid"]: (each["to"], each["body"]) for each in emulator.ledger()["messages"]}
    assert ours == truth


def listen(front: Front, services: Services) -> None:
    """Let Twilio's status callbacks reach these services."""

    async def handle(req: func.HttpRequest) -> func.HttpResponse:
        outbox = services.text_outbox
        return await webhooks.record(req, services, lambda got: sms_status.reported(got, outbox))

    front.handle = handle


async def waiting(services: Services, message: Message, now: datetime = NOW) -> bool:
    """Is it among what is due by then?"""
    rows = await services.messages.due(message.partition, now)
    return f"m|{message.id}" in {row.key.split("|", 2)[2] for row in rows}


LATER = NOW + timedelta(minutes=20)
OVER = {State.SENT, State.DELIVERED, State.UNDELIVERED, State.FAILED}
