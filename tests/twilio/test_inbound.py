"""Inbound texts: the signed webhook, the replies in its TwiML, and who has opted out."""

from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from local.twilio import AUTH_TOKEN, NUMBER, Emulator, MessagingService, Options
from tests.listener import Answer, Listener

PERSON = "+12025550101"
SERVICE = "MG" + "1" * 32
GIF = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


@pytest.fixture
def number(emulator: Emulator, listener: Listener) -> Emulator:
    """The emulator; texts to our number go to /sms of the listener."""
    emulator.configure_number(sms_url=f"{listener.url}/sms", sms_fallback_url="")
    return emulator


def said(text: str) -> Answer:
    return Answer(f"<Response>{text}</Response>")


def test_a_text_arrives_signed_with_what_twilio_documents(number: Emulator, listener: Listener) -> None:
    result = number.inbound_message(PERSON, NUMBER, "hello")
    assert (result.status, result.replies) == (204, [])
    (request,) = listener.to("/sms")
    assert request.is_signed(AUTH_TOKEN)
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded; charset=UTF-8"
    assert request.headers["I-Twilio-Idempotency-Token"]
    assert request.form == {
        "ToCountry": "US",
        "ToState": "DC",
        "ToCity": "WASHINGTON",
        "ToZip": "20001",
        "FromCountry": "US",
        "FromState": "DC",
        "FromCity": "WASHINGTON",
        "FromZip": "20001",
        "SmsMessageSid": result.sid,
        "SmsSid": result.sid,
        "MessageSid": result.sid,
        "AccountSid": number.options.account_sid,
        "SmsStatus": "received",
        "Body": "hello",
        "NumMedia": "0",
        "NumSegments": "1",
        "From": PERSON,
        "To": NUMBER,
        "ApiVersion": "2010-04-01",
    }


@pytest.mark.parametrize(
    ("answer", "texts"),
    [
        (said("<Message>Hi</Message>"), ["Hi"]),
        (said("<Message>One</Message><Message><Body>Two</Body></Message>"), ["One", "Two"]),
        (said("<Sms>Old</Sms>"), ["Old"]),
        (Answer("Plain words", content_type="text/plain"), ["Plain words"]),
        (Answer("<Response><Message>Hi</Message></Response>", content_type="application/xml"), ["Hi"]),
        (said(""), []),
        (Answer("", status=200), []),
    ],
)
def test_replies_become_messages(
    number: Emulator, listener: Listener, answer: Answer, texts: list[str]
) -> None:
    listener.answers["/sms"] = answer
    result = number.inbound_message(PERSON, NUMBER, "hello")
    assert len(result.replies) == len(texts)
    number.settle()
    replies = [each for each in number.messages() if each["direction"] == "outbound-reply"]
    assert [(each["body"], each["to"], each["from"], each["status"]) for each in reversed(replies)] == [
        (text, PERSON, NUMBER, "delivered") for text in texts
    ]
    assert [each["source"] for each in number.ledger()["messages"]] == ["reply"] * len(texts)


def test_a_reply_has_media_and_callbacks_of_its_own(number: Emulator, listener: Listener) -> None:
    listener.answers["/sms"] = said(
        '<Message statusCallback="/reply-status" to="+12025550102"><Body>Look</Body>'
        "<Media>https://example.com/a.png</Media></Message>"
    )
    (sid,) = number.inbound_message(PERSON, NUMBER, "hello").replies
    number.settle()
    assert sid.startswith("MM")
    assert number.messages("+12025550102")[0]["num_media"] == "1"
    status = listener.to("/reply-status")
    assert [each.form["MessageStatus"] for each in status] == ["sent", "delivered"]
    assert all(each.is_signed(AUTH_TOKEN) for each in status)


def test_a_redirect_is_followed(number: Emulator, listener: Listener) -> None:
    listener.answers["/sms"] = said("<Redirect method='GET'>next?step=2</Redirect><Message>no</Message>")
    listener.answers["/next"] = said("<Message>From the next one</Message>")
    result = number.inbound_message(PERSON, NUMBER, "hello")
    assert len(result.replies) == 1
    (request,) = listener.to("/next")
    query = parse_qs(urlsplit(request.url).query)
    assert (request.method, query["step"], query["Body"]) == ("GET", ["2"], ["hello"])
    assert request.is_signed(AUTH_TOKEN)


def test_redirects_in_a_circle_end(number: Emulator, listener: Listener) -> None:
    listener.answers["/sms"] = said("<Redirect>/sms</Redirect>")
    assert number.inbound_message(PERSON, NUMBER, "hello").error.startswith("11215")
    assert len(listener.to("/sms")) == 10


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer("<Response><Message>", content_type="text/xml"), 12100),
        (Answer("<Answer/>"), 12100),
        (Answer("{}", content_type="application/json"), 12300),
        (Answer("sorry", status=500), 11200),
        (said("<Message></Message>"), 21619),
        (said("<Say>Hello</Say>"), 12200),
    ],
)
def test_a_bad_answer_raises_twilios_alert(
    number: Emulator, listener: Listener, answer: Answer, code: int
) -> None:
    listener.answers["/sms"] = answer
    assert number.inbound_message(PERSON, NUMBER, "hello").replies == []
    assert [each["code"] for each in number.alerts()] == [code]


def test_the_fallback_answers_when_the_first_cannot(number: Emulator, listener: Listener) -> None:
    number.configure_number(sms_fallback_url=f"{listener.url}/fallback")
    listener.answers["/sms"] = Answer("", status=503)
    listener.answers["/fallback"] = said("<Message>Later</Message>")
    result = number.inbound_message(PERSON, NUMBER, "hello")
    assert (result.status, len(result.replies), result.error) == (200, 1, "")
    assert listener.to("/fallback")[0].form["ErrorCode"] == "11200"


async def test_media_come_with_urls_that_can_be_fetched(number: Emulator, listener: Listener) -> None:
    media = [GIF, "http://127.0.0.1:9/photo.jpeg"]
    result = await number.inbound_message_async(PERSON, NUMBER, "", media)
    (request,) = listener.to("/sms")
    assert result.sid.startswith("MM")
    assert request.form["NumMedia"] == "2"
    assert [request.form[f"MediaContentType{n}"] for n in range(2)] == ["image/gif", "image/jpeg"]
    async with aiohttp.ClientSession() as session:
        async with session.get(request.form["MediaUrl0"]) as answer:
            assert answer.content_type == "image/gif"
            assert (await answer.read()).startswith(b"GIF89a")
        async with session.get(request.form["MediaUrl1"], allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (307, media[1])
        async with session.get(request.form["MediaUrl1"] + "0") as answer:
            assert answer.status == 404


def test_whatsapp_texts_carry_their_own_fields(number: Emulator, listener: Listener) -> None:
    listener.answers["/sms"] = said("<Message>Hi</Message>")
    number.inbound_message(f"whatsapp:{PERSON}", f"whatsapp:{NUMBER}", "hello")
    (request,) = listener.to("/sms")
    assert (request.form["WaId"], request.form["From"]) == (PERSON[1:], f"whatsapp:{PERSON}")
    assert number.messages(f"whatsapp:{PERSON}")[0]["from"] == f"whatsapp:{NUMBER}"


@pytest.mark.parametrize(
    "word", ["STOP", "stopall", " Unsubscribe ", "cancel", "END", "quit", "REVOKE", "optout"]
)
def test_stop_blocks_until_start(number: Emulator, listener: Listener, client: Client, word: str) -> None:
    listener.answers["/sms"] = said("<Message>Noted</Message>")
    stopped = number.inbound_message(PERSON, NUMBER, word)
    assert (stopped.replies, stopped.error[:5]) == ([], "21610")
    assert listener.to("/sms")[0].form["Body"] == word
    assert "unsubscribed" in number.messages(PERSON)[0]["body"]
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=PERSON, from_=NUMBER, body="hello")
    assert (caught.value.code, caught.value.status) == (21610, 400)
    client.messages.create(to="+12025550102", from_=NUMBER, body="to somebody else")
    number.inbound_message(PERSON, NUMBER, "start")
    assert client.messages.create(to=PERSON, from_=NUMBER, body="hello again").status == "queued"


def test_automatic_replies_can_be_off(emulator: Emulator) -> None:
    emulator.reset(Options(automatic_replies=False))
    emulator.inbound_message(PERSON, NUMBER, "STOP")
    assert emulator.messages(PERSON) == []


def test_a_messaging_service_is_opted_out_of_as_well(
    emulator: Emulator, client: Client, listener: Listener
) -> None:
    emulator.reset(Options(messaging_services=(MessagingService(sid=SERVICE),), pace=emulator.options.pace))
    emulator.configure_number(sms_url=f"{listener.url}/sms")
    emulator.inbound_message(PERSON, NUMBER, "STOP")
    form = listener.to("/sms")[0].form
    assert (form["MessagingServiceSid"], form["OptOutType"]) == (SERVICE, "STOP")
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=PERSON, messaging_service_sid=SERVICE, body="hello")
    assert caught.value.code == 21610


def test_what_cannot_be_is_named(emulator: Emulator) -> None:
    for sender, to, body, problem in (
        ("nobody", NUMBER, "x", "from: must be a phone number"),
        (PERSON, "+12025550199", "x", "to: must be a number of the account"),
        (PERSON, NUMBER, "", "body: must not be empty"),
    ):
        with pytest.raises(ValueError, match=problem):
            emulator.inbound_message(sender, to, body)


def test_a_number_without_a_url_just_receives(emulator: Emulator) -> None:
    result = emulator.inbound_message(PERSON, NUMBER, "hello")
    assert (result.status, result.twiml) == (None, "")
    assert [each["status"] for each in emulator.messages()] == ["received"]
