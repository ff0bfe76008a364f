"""shared/twilio_helper.py: every request has a time limit, and every answer of Twilio's has a class."""

import asyncio
from collections.abc import AsyncIterator

import azure.functions as func
import pytest
import pytest_asyncio

from local.launcher.ports import free_ports
from local.twilio import Emulator
from shared import errors, twilio_client
from shared.twilio_errors import meaning
from shared.twilio_helper import Twilio
from tests.front import Front
from tests.listener import Answer, Listener
from tests.settings import settings

PERSON = "+12025550101"
CALLBACK = "http://127.0.0.1:9/api/sms/status"


@pytest_asyncio.fixture
async def twilio(emulator: Emulator) -> AsyncIterator[Twilio]:
    made = Twilio(settings(TWILIO_BASE_URL=emulator.url))
    yield made
    await made.close()


async def refusal(twilio: Twilio, **changes: str) -> errors.TwilioError:
    with pytest.raises(errors.TwilioError) as caught:
        await twilio.send_sms(**{"to": PERSON, "body": "hello", "status_callback": CALLBACK, **changes})
    return caught.value


async def test_a_message_is_accepted_under_a_sid(twilio: Twilio, emulator: Emulator) -> None:
    sent = await twilio.send_sms(to=PERSON, body="hello", status_callback=CALLBACK)
    assert sent.sid == emulator.ledger()["messages"][0]["sid"]
    assert (sent.status, sent.to, sent.body) == ("queued", PERSON, "hello")
    assert sent.created is not None
    assert sent.created.tzinfo is not None


async def test_a_message_may_go_through_a_messaging_service(twilio: Twilio, emulator: Emulator) -> None:
    error = await refusal(twilio, sender="MG" + "1" * 32)
    assert "MessagingServiceSid=MG1" in emulator.rest_requests()[-1].form
    assert error.code == 21701


async def test_whatsapp_is_sent_from_our_number_on_whatsapp(twilio: Twilio, emulator: Emulator) -> None:
    sent = await twilio.send_sms(to=f"whatsapp:{PERSON}", body="hello", status_callback=CALLBACK)
    assert sent.to == f"whatsapp:{PERSON}"
    assert emulator.messages()[0]["from"] == "whatsapp:+12025550100"


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (20429, 429, errors.Throttled),
        (20003, 401, errors.BadCredentials),
        (21211, 400, errors.Refused),
        (21612, 400, errors.Refused),
        (21614, 400, errors.Refused),
        (21608, 400, errors.Refused),
        (21617, 400, errors.Refused),
        (21610, 400, errors.OptedOut),
        *((code, 400, errors.Misconfigured) for code in (21212, 21606, 21609, 21659, 21660, 21661)),
        *((code, 400, errors.Misconfigured) for code in (21703, 21408)),
        (63038, 429, errors.Misconfigured),
        (20500, 500, errors.Uncertain),
        (20503, 503, errors.Uncertain),
    ],
)
async def test_an_error_code_means_its_class(
    twilio: Twilio, emulator: Emulator, code: int, status: int, kind: type[errors.TwilioError]
) -> None:
    emulator.plan(kind="error", code=code, status=status)
    error = await refusal(twilio)
    assert type(error) is kind
    assert (error.code, error.status) == (code, status)
    assert emulator.ledger()["messages"] == []


async def test_an_unreachable_twilio_was_sent_nothing() -> None:
    twilio = Twilio(settings(TWILIO_BASE_URL=f"http://127.0.0.1:{free_ports(1)[0]}"))
    assert type(await refusal(twilio)) is errors.NotSent
    await twilio.close()


@pytest.mark.parametrize("kind", ["lost", "reset", "server_error"])
async def test_a_broken_answer_leaves_it_uncertain(twilio: Twilio, emulator: Emulator, kind: str) -> None:
    emulator.plan(kind=kind)
    assert type(await refusal(twilio)) is errors.Uncertain
    assert len(emulator.ledger()["messages"]) == 1


async def test_a_silent_twilio_is_given_up_within_the_time_limit(
    twilio: Twilio, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_client, "TIMEOUT", 0.3)
    emulator.plan(kind="timeout")
    async with asyncio.timeout(10):
        assert type(await refusal(twilio)) is errors.Uncertain


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"null", b'{"sid": 7, "date_created": 8}', b"{}"])
async def test_an_answer_that_cannot_be_read_leaves_it_uncertain(front: Front, body: bytes) -> None:
    async def handle(_: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(body, status_code=201, mimetype="application/json")

    front.handle = handle
    twilio = Twilio(settings(TWILIO_BASE_URL=front.url))
    assert type(await refusal(twilio)) is errors.Uncertain
    await twilio.close()


async def test_a_refused_list_has_its_code_and_class(twilio: Twilio, emulator: Emulator) -> None:
    emulator.faults(credentials_refused=True)
    with pytest.raises(errors.BadCredentials) as caught:
        await twilio.messages_to(PERSON)
    assert (caught.value.code, caught.value.status) == (20003, 401)


async def test_the_list_finds_a_message_while_it_is_queued(twilio: Twilio, emulator: Emulator) -> None:
    emulator.pace(step=60)
    sent = await twilio.send_sms(to=PERSON, body="hello", status_callback=CALLBACK)
    assert [each.sid for each in await twilio.messages_to(PERSON)] == [sent.sid]
    assert await twilio.messages_to("+12025550102") == []


async def test_only_what_the_api_sent_is_listed(twilio: Twilio, emulator: Emulator, front: Front) -> None:
    async def twiml(_: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("<Response><Message>hello</Message></Response>", mimetype="text/xml")

    front.handle = twiml
    emulator.configure_number(sms_url=front.url)
    await emulator.inbound_message_async(PERSON, "+12025550100", "hi")
    assert len(emulator.messages(PERSON)) == 1
    assert await twilio.messages_to(PERSON) == []


async def test_a_call_is_placed(twilio: Twilio, emulator: Emulator) -> None:
    sent = await twilio.place_call(to=PERSON, status_callback=CALLBACK, twiml="<Response/>", time_limit=60)
    assert sent.sid == emulator.ledger()["calls"][0]["sid"]
    assert [each.sid for each in await twilio.calls_to(PERSON)] == [sent.sid]


async def test_the_api_key_is_used_where_there_is_one(emulator: Emulator) -> None:
    key = {"TWILIO_API_KEY": "SK" + "a" * 32, "TWILIO_API_SECRET": "not known to the emulator"}
    twilio = Twilio(settings(TWILIO_BASE_URL=emulator.url, **key))
    assert type(await refusal(twilio)) is errors.BadCredentials
    await twilio.close()


async def test_region_and_edge_do_not_change_where_the_double_is(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    twilio = Twilio(settings(TWILIO_BASE_URL=emulator.url))
    assert (await twilio.send_sms(to=PERSON, body="hello", status_callback=CALLBACK)).sid
    await twilio.close()


def test_twilios_own_words_lose_their_numbers() -> None:
    said = meaning(21216, "Account not allowed to call +12025550199")
    assert said == "Account not allowed to call +1202***0199"
    assert meaning(21610, "+12025550199 said STOP") == "the recipient has opted out with STOP"
    assert meaning(None) == "no reason given"


async def test_a_callback_that_we_could_not_take_comes_again(
    twilio: Twilio, emulator: Emulator, listener: Listener
) -> None:
    listener.answers["/status"] = Answer(status=503)
    sent = await twilio.send_sms(to="+12025550101", body="Hi", status_callback=f"{listener.url}/status")
    await emulator.settle_async()
    asked = [request for request in listener.requests if request.form["MessageSid"] == sent.sid]
    assert [request.form["MessageStatus"] for request in asked].count("delivered") == 4
    assert all(request.is_signed("twilio_test_auth_token") for request in asked)
