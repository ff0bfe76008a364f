"""Requests to the app: where they may go, how long they wait, and when they are retried."""

import threading
from collections.abc import Iterator

import pytest
from twilio.rest import Client

from local.twilio import ACCOUNT_SID, AUTH_TOKEN, NUMBER, Emulator, Number, Options
from tests.listener import Answer, Listener

PERSON = "+12025550101"


def text(emulator: Emulator, url: str, **settings: str) -> list[dict[str, object]]:
    """Text our number, whose webhook is `url`. Returns the deliveries."""
    emulator.configure_number(sms_url=url, **settings)
    emulator.inbound_message(PERSON, NUMBER, "hello")
    return emulator.deliveries()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/sms",
        "http://127.0.0.1.example.com/sms",
        "http://127.0.0.1@example.com/sms",
        "http://10.0.0.1/sms",
        "http://[::2]/sms",
        "file:///etc/hostname",
        "http://[nonsense/sms",
    ],
)
def test_nothing_goes_beyond_this_machine(emulator: Emulator, url: str) -> None:
    (delivery,) = text(emulator, url)
    assert delivery["error"] == "refused: not a loopback URL"
    assert delivery["status"] is None


def test_a_host_can_be_allowed_by_name(listener: Listener) -> None:
    # The name is not resolved here; the test is that the host is no longer refused.
    url = "http://app.invalid/sms"
    options = Options(numbers=(Number(sms_url=url),), allowed_hosts=frozenset({"app.invalid"}))
    with Emulator(options) as emulator:
        emulator.inbound_message(PERSON, NUMBER, "hello")
        (first, _) = emulator.deliveries()
    assert first["error"] == "ct"
    assert first["error_code"] == 11205
    assert listener.requests == []


def test_the_whole_url_is_signed_except_its_fragment(emulator: Emulator, listener: Listener) -> None:
    url = f"{listener.url}/sms?name=It%27s+me&x=%41/../"
    (delivery,) = text(emulator, f"{url}#rc=2&rp=5xx")
    (request,) = listener.requests
    assert request.url == delivery["url"] == url
    assert request.is_signed(AUTH_TOKEN)
    assert not request.is_signed("another_token")
    assert delivery["signature"] == request.headers["X-Twilio-Signature"]


def test_get_carries_the_parameters_in_its_signed_query(emulator: Emulator, listener: Listener) -> None:
    text(emulator, f"{listener.url}/sms?a=1", sms_method="GET")
    (request,) = listener.requests
    assert request.method == "GET"
    assert request.form == {}
    assert "?a=1&MessageSid=" in request.url
    assert request.is_signed(AUTH_TOKEN)


@pytest.mark.parametrize(
    ("fragment", "status", "attempts"),
    [
        ("", 500, 1),
        ("#rc=2&rp=5xx", 500, 3),
        ("#rc=2&rp=4xx", 500, 1),
        ("#rc=3&rp=4xx,5xx", 404, 4),
        ("#rc=9&rp=all", 500, 6),
        ("#rc=2&rp=all", 200, 1),
    ],
)
def test_requests_are_made_again_as_the_url_asks(
    emulator: Emulator, listener: Listener, fragment: str, status: int, attempts: int
) -> None:
    listener.answers["/sms"] = Answer("", status=status)
    deliveries = text(emulator, f"{listener.url}/sms{fragment}")
    assert [each["attempt"] for each in deliveries] == list(range(1, attempts + 1))
    assert len(listener.requests) == attempts
    tokens = {each.headers["I-Twilio-Idempotency-Token"] for each in listener.requests}
    assert len(tokens) == 1


def test_a_refused_connection_is_tried_once_more(emulator: Emulator) -> None:
    with Listener() as gone:
        url = f"{gone.url}/sms"
    deliveries = text(emulator, url)
    assert [(each["attempt"], each["error_code"]) for each in deliveries] == [(1, 11205), (2, 11205)]


@pytest.fixture
def stuck() -> Iterator[Listener]:
    """The URL of an app that does not answer until the test is over."""
    over = threading.Event()
    with Listener(answers={"/sms": Answer(before=lambda: over.wait(30))}) as listener:
        yield listener
        over.set()


def test_an_app_that_does_not_answer_is_given_up(emulator: Emulator, stuck: Listener) -> None:
    (delivery,) = text(emulator, f"{stuck.url}/sms#rt=100")
    assert (delivery["status"], delivery["error"], delivery["error_code"]) == (None, "rt", 11200)


def test_the_option_bounds_every_wait(stuck: Listener) -> None:
    options = Options(numbers=(Number(sms_url=f"{stuck.url}/sms"),), webhook_timeout=0.1)
    with Emulator(options) as emulator:
        emulator.inbound_message(PERSON, NUMBER, "hello")
        assert [each["error"] for each in emulator.deliveries()] == ["rt"]


def test_redirects_by_http_are_not_followed(emulator: Emulator, listener: Listener) -> None:
    listener.answers["/sms"] = Answer("", status=302)
    (delivery,) = text(emulator, f"{listener.url}/sms")
    assert (delivery["status"], delivery["error_code"]) == (302, 11200)


def test_the_log_names_no_number_and_no_text(
    emulator: Emulator, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="local.twilio")
    listener.answers["/sms"] = Answer("<Response><Message>secret reply</Message></Response>")
    emulator.configure_number(sms_url=f"{listener.url}/sms?who=%2B12025550101")
    emulator.inbound_message(PERSON, NUMBER, "secret text")
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = emulator.url
    client.messages.create(to=PERSON, from_=NUMBER, body="secret order")
    client.calls.create(to=PERSON, from_=NUMBER, twiml="<Response><Say>secret</Say></Response>")
    emulator.settle()
    lines = [record.getMessage() for record in caplog.records if record.name == "local.twilio"]
    assert len(lines) > 8
    for line in lines:
        assert "secret" not in line
        assert "2025550" not in line
        assert AUTH_TOKEN not in line
