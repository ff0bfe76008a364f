"""The phone as a test's tool: against a function, over HTTP, and through the worker library."""

from collections.abc import Callable

import pytest

from local.launcher.ports import free_ports
from local.phone.testing import Line, Phone, VoiceNumber
from local.phone.transports import over_http
from local.twilio.carrier.exchange.web_requests import Target
from tests.listener import Answer, Listener
from tests.phone.app import AGENT, CALLER, HOST, OURS, App

MENU = '<Response><Gather numDigits="1" action="/menu"><Say>Welcome</Say></Gather></Response>'


def test_a_call_over_http_is_signed_and_walked(listener: Listener) -> None:
    listener.answers["/voice"] = Answer(MENU)
    listener.answers["/menu"] = Answer("<Response><Say>You chose</Say></Response>")
    with over_http() as send:
        phone = Phone(send, {OURS: VoiceNumber(Target(f"{listener.url}/voice"))})
        phone.dial(OURS).hears("Welcome").press("1").hears("You chose").is_over()
    assert [each.path for each in listener.requests] == ["/voice", "/menu"]
    assert all(each.is_signed(phone.auth_token) for each in listener.requests)
    assert listener.requests[1].form["Digits"] == "1"


def test_nobody_at_home_is_a_connection_failure() -> None:
    (port,) = free_ports(1)
    with over_http() as send:
        phone = Phone(send, {OURS: VoiceNumber(Target(f"http://127.0.0.1:{port}/voice"))})
        phone.dial(OURS).hears("application error").is_over()
    assert [each.code for each in phone.notices] == [11205]


def test_the_real_app_greets_through_the_worker_library(phone: Phone) -> None:
    call = phone.dial(OURS)
    assert call.said
    assert call.status == "in-progress"
    call.hang_up().is_over()
    assert phone.notices == []


def test_a_caller_leaves_a_message(phone: Phone) -> None:
    """The test that the README shows."""
    call = phone.dial("+12025550100").hears("leave a message, press 3").press("3")
    call.hears("after the beep").says("Please call me back, it is about the invoice.").press("#")
    call.hears("Goodbye").is_over()


def test_a_call_to_a_number_that_is_not_ours_is_a_mistake() -> None:
    with pytest.raises(LookupError, match=r"\+12025550188 is not a number of this phone"):
        App().phone().dial("+12025550188")


def test_a_failed_expectation_shows_the_whole_transcript() -> None:
    app = App(voice='<Say>Hello</Say><Gather action="/menu"><Say>Press a key</Say></Gather>')
    call = app.phone().dial(OURS)
    with pytest.raises(AssertionError) as failure:
        call.hears("Good morning")
    text = str(failure.value)
    assert text.startswith(f"{CALLER} does not hear 'Good morning'")
    for line in (f"POST {HOST}/voice", 'says "Hello"', 'says "Press a key"', "waits for keys, 5 s"):
        assert line in text


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda call: call.hang_up().press("1"), "is over"),
        (lambda call: call.is_over(), "is in-progress, not completed"),
        (lambda call: call.does_not_hear("hello"), "hears 'hello'"),
        (lambda call: call.phone.rings(AGENT), "does not ring"),
        (lambda call: call.answer(), "does not ring"),
        (lambda call: call.is_connected_to(AGENT), "connected to nobody"),
    ],
)
def test_a_wrong_expectation_fails(act: Callable[[Line], object], message: str) -> None:
    call = App(voice="<Say>Hello</Say><Gather/>").phone().dial(OURS)
    with pytest.raises(AssertionError, match=message):
        act(call)


def test_what_was_heard_before_is_not_heard_again() -> None:
    call = App(voice="<Say>One</Say><Say>Two</Say>").phone().dial(OURS).hears("Two")
    with pytest.raises(AssertionError):
        call.hears("One")
