"""shared/sms/replies.py and recipients.py: keywords, opting out and in, and what became of one's messages."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import azure.functions as func
import pytest

from local.twilio import Emulator
from shared.delivery.states import State
from shared.services import Services
from shared.sms import opt_outs as recipients
from shared.sms import replies
from shared.sms.replies import Keyword
from shared.storage.partitions import shard
from shared.storage.rows import Delete
from shared.twiml.request import TwilioRequest
from tests import webhooks
from tests.clock import NOW
from tests.front import Front
from tests.sending import drained, keep, person, states
from tests.settings import settings

US = "+12025550100"


def text(body: str, **form: str) -> TwilioRequest:
    return TwilioRequest({"From": person(1), "To": US, "Body": body, **form}, (), (), "POST", "", NOW)


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        *(
            (word, Keyword.STOP)
            for word in ("STOP", "stop", " Stop. ", "STOPALL", "Unsubscribe", "END", "QUIT")
        ),
        *((word, Keyword.STOP) for word in ("cancel", "REVOKE", "optout", "Stop!")),
        *((word, Keyword.START) for word in ("START", "yes", "Unstop")),
        *((word, Keyword.HELP) for word in ("HELP", "info")),
        ("status", Keyword.STATUS),
        *((word, Keyword.OTHER) for word in ("", "please stop", "STOP IT", "starting", "?", "nonstop")),
    ],
)
def test_a_keyword_is_the_whole_text(body: str, meant: Keyword) -> None:
    assert replies.keyword(text(body)) is meant


def test_twilios_own_reading_comes_first() -> None:
    assert replies.keyword(text("arrêt", OptOutType="STOP")) is Keyword.STOP
    assert replies.keyword(text("stop", OptOutType="HELP")) is Keyword.HELP


def words(twiml: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(twiml).iter("Message")]  # noqa: S314 - our own


def said(request: TwilioRequest, **changes: str) -> list[str]:
    reply = replies.inbound(request, settings(**changes))
    return words(str(reply.twiml))


def test_stop_and_start_are_left_to_twilio_unless_the_setting_says_otherwise() -> None:
    assert said(text("STOP")) == said(text("START")) == []
    (stopped,) = said(text("STOP"), REPLY_TO_STOP="true")
    assert "START" in stopped
    (helped,) = said(text("HELP"), COMPANY_NAME="Acme & Sons")
    assert helped.startswith("This is Acme & Sons.")
    assert said(text("hello"))[0].startswith("Thank you")


async def status(services: Services) -> str:
    asked = text("STATUS")
    messages = await replies.asked_about(asked, lambda: services.messages)
    reply = replies.inbound(asked, services.settings, messages)
    return words(str(reply.twiml))[0]


async def test_status_tells_ones_own_messages(services: Services) -> None:
    assert await status(services) == "Messages: none scheduled for you."
    await keep(services, 2, to=person(1), due=NOW + timedelta(days=1), time_zone="Asia/Tokyo")
    await keep(services, 5, to=person(2), due=NOW + timedelta(hours=1))
    await keep(services, to=person(1), due=NOW - timedelta(days=1), state=State.DELIVERED, sid="SM1")
    assert await status(services) == (
        "Messages: 2 scheduled for you, the next on 24 November at 21:00 JST."
        " The last one before was delivered."
    )


async def test_an_inbound_text_is_answered_over_twilio(
    services: Services, emulator: Emulator, front: Front
) -> None:
    async def handle(req: func.HttpRequest) -> func.HttpResponse:
        return await webhooks.text(req, services)

    front.handle = handle
    emulator.configure_number(sms_url=f"{front.url}/api/sms")
    # Due soon on the clock of the webhook, which is the real one.
    await keep(services, 3, to=person(1), due=datetime.now(UTC) + timedelta(days=1))
    answered = await emulator.inbound_message_async(person(1), US, "hi there")
    assert answered.status == 200
    assert len(answered.replies) == 1
    await emulator.inbound_message_async(person(1), US, "STOP")
    assert await services.messages.opted_out(person(1))
    assert await states(services) == {"suppressed": 3}
    await emulator.inbound_message_async(person(1), US, "START")
    assert not await services.messages.opted_out(person(1))
    assert await states(services) == {"suppressed": 3}


# Opting out and in


async def test_a_stop_reaches_every_waiting_message_and_no_other(services: Services) -> None:
    await keep(services, 3, to=person(1), due=NOW + timedelta(days=300))
    await keep(
        services, to=person(1), due=NOW - timedelta(days=1), state=State.HELD, retry=NOW + timedelta(hours=1)
    )
    await keep(services, to=person(1), state=State.DELIVERED)
    await keep(services, to=person(2), due=NOW + timedelta(days=1))
    await keep(services, to=f"whatsapp:{person(1)}", due=NOW + timedelta(days=1))
    await recipients.opt_out(services.messages, person(1), now=NOW, source="STOP")
    assert await states(services) == {"suppressed": 4, "delivered": 1, "pending": 2}


async def test_what_has_waited_for_long_is_suppressed_too(services: Services, emulator: Emulator) -> None:
    """A STOP looks two days back at first, and at all of it ten minutes later; meanwhile nothing is sent."""
    soon, old = NOW + timedelta(minutes=5), NOW - timedelta(days=30)
    await keep(services, to=person(1), due=old, state=State.HELD, retry=soon)
    await recipients.opt_out(services.messages, person(1), now=NOW, source="STOP")
    await drained(services, soon)
    assert await states(services) == {"suppressed": 1}
    await keep(services, to=person(1), due=old, state=State.HELD, retry=NOW + timedelta(days=1))
    await drained(services, NOW + timedelta(minutes=11))
    assert (await states(services))["suppressed"] == 2
    assert emulator.rest_requests() == []


@pytest.mark.parametrize("stops", [1, 2, 3])
async def test_after_a_start_messages_are_sent_again(
    services: Services, emulator: Emulator, stops: int
) -> None:
    """However often STOP was said before: none of them lingers."""
    for second in range(stops):
        await recipients.opt_out(
            services.messages, person(1), now=NOW + timedelta(seconds=second), source="STOP"
        )
    await recipients.opt_in(services.messages, person(1))
    await keep(services, 2, to=person(1), due=NOW + timedelta(seconds=30))
    later = await keep(services, to=person(1), due=NOW + timedelta(hours=1))
    await drained(services, NOW + timedelta(minutes=1))
    await drained(services, NOW + timedelta(minutes=11))
    assert (await services.messages.get(later[0].id)).state == "pending"
    assert len(emulator.ledger()["messages"]) == 2


async def test_an_opt_in_that_died_halfway_is_still_an_opt_in(services: Services) -> None:

    await recipients.opt_out(services.messages, person(1), now=NOW, source="STOP")
    await services.messages.table.commit(shard(person(1)), [Delete(f"o|{person(1)}")])
    await keep(services, to=person(1), due=NOW + timedelta(hours=1))
    await drained(services, NOW + timedelta(minutes=11))
    assert await states(services) == {"pending": 1}


async def test_a_stop_and_a_start_without_a_stop_are_safe_to_repeat(services: Services) -> None:
    await recipients.opt_in(services.messages, person(1))
    for _ in range(2):
        await recipients.opt_out(services.messages, person(1), now=NOW, source="STOP")
    for _ in range(2):
        await recipients.opt_in(services.messages, person(1))
    assert not await services.messages.opted_out(person(1))


async def test_a_series_ends_with_a_stop(services: Services, emulator: Emulator) -> None:
    await keep(services, to=person(1), repeat="FREQ=DAILY", first=NOW)
    await drained(services)
    await recipients.opt_out(services.messages, person(1), now=NOW + timedelta(hours=1), source="STOP")
    for day in range(1, 4):
        await drained(services, NOW + timedelta(days=day))
    assert await states(services) == {"delivered": 1, "suppressed": 1}
    assert len(emulator.ledger()["messages"]) == 1
