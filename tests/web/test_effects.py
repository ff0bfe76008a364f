"""shared/web/effects.py: the effects of a flow are carried out once, and never fail the answer."""

import json
import logging
from datetime import UTC, datetime

import pytest

from shared.services import Services
from shared.twiml.reply import CallBack, Effect, OptOut, Text, Warn
from shared.web import effects

PERSON = "+12025550101"


async def carry_out(services: Services, wanted: list[Effect]) -> list[str]:
    return await effects.carry_out(wanted, services.messages, services.settings, now=datetime.now(UTC))


async def test_a_text_is_scheduled_once_however_often_it_is_asked_for(services: Services) -> None:
    for _ in range(2):
        assert await carry_out(services, [Text(PERSON, "You have a voicemail.", "voicemail-RE1")]) == []
    page = await services.messages.page()
    assert [(each.to, each.body) for each in page.items] == [(PERSON, "You have a voicemail.")]


@pytest.mark.parametrize(
    "text", [Text("+442079460000", "hi", "1"), Text(PERSON, "x" * 1601, "1"), Text("", "hi", "1")]
)
async def test_a_text_that_cannot_be_sent_is_logged_and_the_rest_is_done(
    services: Services, text: Text, caplog: pytest.LogCaptureFixture
) -> None:
    await carry_out(services, [text, OptOut(PERSON)])
    assert await services.messages.opted_out(PERSON)
    assert "cannot be" in caplog.text
    assert (await services.messages.page()).items == ()


async def test_the_same_id_with_another_text_is_logged(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    await carry_out(services, [Text(PERSON, "one", "1"), Text(PERSON, "two", "1")])
    assert [each.body for each in (await services.messages.page()).items] == ["one"]
    assert "idempotency_key" in caplog.text


async def test_calls_to_place_come_back_as_queue_messages(services: Services) -> None:
    asked = await carry_out(services, [CallBack(PERSON, "http://localhost:7071/api/voice", "cb-1")])
    assert [json.loads(each) for each in asked] == [
        {"to": PERSON, "url": "http://localhost:7071/api/voice", "id": "cb-1"}
    ]


async def test_an_opt_out_ends_with_an_opt_in(services: Services) -> None:
    await carry_out(services, [OptOut(PERSON)])
    assert await services.messages.opted_out(PERSON)
    await carry_out(services, [OptOut(PERSON, ends=True)])
    assert not await services.messages.opted_out(PERSON)


async def test_a_warning_is_logged(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    await carry_out(services, [Warn("a number in another country")])
    assert ("shared.web.effects", logging.WARNING) in {(each.name, each.levelno) for each in caplog.records}
