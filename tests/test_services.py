"""shared/services.py: what a flow wants done besides its TwiML is done, once, and breaks no answer."""

import json
import logging

import pytest

from shared.services import Services
from shared.twiml.effects import CallBack, OptIn, OptOut, Text, Warn

PERSON = "+12025550101"


async def test_a_text_is_scheduled_once_however_often_it_is_asked_for(services: Services) -> None:
    for _ in range(2):
        assert await services.carry_out([Text(PERSON, "You have a voicemail.", "voicemail-RE1")]) == []
    page = await services.messages.page()
    assert [(each.to, each.body) for each in page.messages] == [(PERSON, "You have a voicemail.")]


@pytest.mark.parametrize(
    "text", [Text("+442079460000", "hi", "1"), Text(PERSON, "x" * 1601, "1"), Text("", "hi", "1")]
)
async def test_a_text_that_cannot_be_sent_is_logged_and_the_rest_is_done(
    services: Services, text: Text, caplog: pytest.LogCaptureFixture
) -> None:
    await services.carry_out([text, OptOut(PERSON)])
    assert await services.messages.opted_out(PERSON)
    assert "cannot be" in caplog.text
    assert (await services.messages.page()).messages == ()


async def test_the_same_id_with_another_text_is_logged(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    await services.carry_out([Text(PERSON, "one", "1"), Text(PERSON, "two", "1")])
    assert [each.body for each in (await services.messages.page()).messages] == ["one"]
    assert "idempotency_key" in caplog.text


async def test_calls_to_place_come_back_as_queue_messages(services: Services) -> None:
    asked = await services.carry_out([CallBack(PERSON, "http://localhost:7071/api/voice", "cb-1")])
    assert [json.loads(each) for each in asked] == [
        {"to": PERSON, "url": "http://localhost:7071/api/voice", "id": "cb-1"}
    ]


async def test_an_opt_out_ends_with_an_opt_in(services: Services) -> None:
    await services.carry_out([OptOut(PERSON)])
    assert await services.messages.opted_out(PERSON)
    await services.carry_out([OptIn(PERSON)])
    assert not await services.messages.opted_out(PERSON)


async def test_a_warning_is_logged(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    await services.carry_out([Warn("a number in another country")])
    assert ("shared.services", logging.WARNING) in {(each.name, each.levelno) for each in caplog.records}
