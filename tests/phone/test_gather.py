"""<Gather>, rule by rule, as "TwiML Voice: <Gather>" gives them."""

import pytest

from local.phone.testing import Phone
from local.twilio.carrier.exchange.exchange import IncomingCall
from local.twilio.carrier.exchange.leg import Leg
from tests.phone.app import CALLER, OURS, App


def called(phone: Phone) -> Leg:
    """A call at its first moment: nothing was requested yet."""
    return phone.exchange.call_in(IncomingCall(from_=CALLER, to=OURS, application=phone.numbers[OURS].voice))


def test_digits_are_sent_at_the_finishing_key_without_it() -> None:
    app = App(voice='<Gather action="/menu"/>', menu="<Say>You pressed</Say>")
    app.phone().dial(OURS).press("1234#").hears("You pressed")
    assert app.form("menu")["Digits"] == "1234"


def test_num_digits_sends_without_a_finishing_key() -> None:
    app = App(voice='<Gather numDigits="5" action="/zip"/>')
    call = app.phone().dial(OURS).press("9411")
    assert not app.forms("zip")
    call.press("7")
    assert app.form("zip")["Digits"] == "94117"


def test_digits_are_sent_when_no_further_key_comes_in_time() -> None:
    app = App(voice='<Gather timeout="10" action="/menu"/>')
    call = app.phone().dial(OURS).press("12").wait(9)
    assert not app.forms("menu")
    call.press("3").wait(9)
    assert not app.forms("menu")
    call.wait(2)
    assert app.form("menu")["Digits"] == "123"


def test_a_sixty_second_timeout_takes_no_time() -> None:
    app = App(voice='<Gather timeout="60" action="/menu"/><Say>Goodbye</Say>')
    phone = app.phone()
    phone.dial(OURS).silence().hears("Goodbye").is_over()
    assert phone.exchange.now >= 60


def test_without_input_the_next_verb_follows() -> None:
    app = App(voice='<Gather action="/menu"><Say>Press a key</Say></Gather><Say>We got nothing</Say>')
    call = app.phone().dial(OURS).hears("Press a key")
    call.silence().hears("We got nothing").is_over()
    assert app.paths() == ["voice"]


def test_timeout_begins_after_the_nested_verbs() -> None:
    app = App(voice='<Gather timeout="5"><Say>Press</Say><Pause length="30"/></Gather><Say>Too late</Say>')
    call = app.phone().dial(OURS).wait(4).does_not_hear("Too late")
    call.wait(2).hears("Too late")


def test_the_finishing_key_alone_is_no_input() -> None:
    app = App(voice='<Gather action="/menu"/><Say>We got nothing</Say>')
    app.phone().dial(OURS).press("#").hears("We got nothing")
    assert app.paths() == ["voice"]


def test_action_on_empty_result_asks_the_action_without_input() -> None:
    app = App(voice='<Gather actionOnEmptyResult="true" action="/menu"/>', menu="<Say>Still there?</Say>")
    app.phone().dial(OURS).silence().hears("Still there?")
    assert "Digits" not in app.form("menu")


def test_an_empty_finish_on_key_takes_every_key() -> None:
    app = App(voice='<Gather finishOnKey="" action="/menu"/>')
    app.phone().dial(OURS).press("12#*").silence()
    assert app.form("menu")["Digits"] == "12#*"


def test_the_default_action_is_the_current_document() -> None:
    def voice(form: dict[str, str]) -> str:
        return f"<Say>You pressed {form['Digits']}</Say>" if "Digits" in form else '<Gather numDigits="1"/>'

    app = App(voice=voice)
    app.phone().dial(OURS).press("7").hears("You pressed 7")


def test_verbs_after_a_gather_with_input_are_not_reached() -> None:
    app = App(voice='<Gather numDigits="1" action="/menu"/><Say>Unreachable</Say>', menu="<Say>Menu</Say>")
    app.phone().dial(OURS).press("1").hears("Menu").is_over().does_not_hear("Unreachable")


def test_method_get_carries_everything_in_the_query() -> None:
    app = App(voice='<Gather numDigits="1" method="GET" action="/menu?lang=en"/>')
    phone = app.phone()
    phone.dial(OURS).press("1")
    request = phone.requests[-1]
    assert request.method == "GET"
    assert request.form == ()
    assert request.url.startswith("http://127.0.0.1:8000/menu?lang=en&CallSid=CA")
    assert dict(request.params)["Digits"] == "1"


def test_the_first_key_stops_the_prompt() -> None:
    app = App(voice='<Gather numDigits="2" action="/menu"><Say>One</Say><Say>Two</Say></Gather>')
    phone = app.phone()
    call = called(phone)
    phone._make_requests()
    phone.exchange.press(call, "4")
    line = phone._line(call)
    assert line.said == ["One"]
    line.press("2")
    assert app.form("menu")["Digits"] == "42"


def test_barge_in_can_be_switched_off() -> None:
    app = App(voice='<Gather bargeIn="false" numDigits="1" action="/menu"><Say>A</Say><Say>B</Say></Gather>')
    phone = app.phone()
    call = called(phone)
    phone._make_requests()
    phone.exchange.press(call, "4")
    assert phone._line(call).said == ["A", "B"]
    assert not app.forms("menu")


def test_speech_is_sent_with_its_confidence() -> None:
    app = App(voice='<Gather input="speech" action="/said"/>')
    app.phone().dial(OURS).says("sales please")
    assert app.form("said")["SpeechResult"] == "sales please"
    assert 0 <= float(app.form("said")["Confidence"]) <= 1
    assert "Digits" not in app.form("said")


def test_keys_are_not_taken_where_only_speech_is_wanted() -> None:
    app = App(voice='<Gather input="speech" action="/said"/><Say>Nothing</Say>')
    app.phone().dial(OURS).press("1#").silence().hears("Nothing")
    assert app.paths() == ["voice"]


def test_speech_is_not_taken_where_only_keys_are_wanted() -> None:
    app = App(voice='<Gather action="/menu"/><Say>Nothing</Say>')
    app.phone().dial(OURS).says("sales").silence().hears("Nothing")


@pytest.mark.parametrize(("do", "field"), [("press", "Digits"), ("says", "SpeechResult")])
def test_with_both_the_first_input_counts(do: str, field: str) -> None:
    app = App(voice='<Gather input="dtmf speech" numDigits="1" action="/menu"/>')
    call = app.phone().dial(OURS)
    getattr(call, do)("1")
    assert app.form("menu")[field] == "1"


def test_speech_timeout_is_the_pause_that_ends_speech() -> None:
    app = App(voice='<Gather input="speech" speechTimeout="9" action="/said"/>')
    phone = app.phone()
    phone.dial(OURS).says("hello")
    assert phone.exchange.now >= 10


def test_partial_results_are_reported_and_change_nothing() -> None:
    app = App(voice='<Gather input="speech" partialResultCallback="/partial" action="/said"/>')
    app.phone().dial(OURS).says("hello")
    assert app.form("partial")["UnstableSpeechResult"] == "hello"
    assert app.form("said")["SpeechResult"] == "hello"


def test_keys_pressed_before_the_gather_are_lost() -> None:
    app = App(voice='<Say>Wait</Say><Gather numDigits="1" action="/menu"/><Say>Nothing</Say>')
    phone = app.phone()
    call = called(phone)
    phone._make_requests()
    phone.exchange.press(call, "1")
    phone._line(call).silence().hears("Nothing")
    assert app.paths() == ["voice"]


@pytest.mark.parametrize(
    ("attribute", "code"),
    [
        ('timeout="soon"', 13313),
        ('timeout="0"', 13313),
        ('numDigits="0"', 13314),
        ('finishOnKey="12"', 13310),
        ('input="voice"', 13326),
        ('speechTimeout="quick"', 13327),
        ('method="PUT"', 13312),
        ('bargeIn="maybe"', 13332),
    ],
)
def test_a_wrong_value_is_warned_of_and_the_default_is_used(attribute: str, code: int) -> None:
    app = App(voice=f'<Gather {attribute} action="/menu"/>')
    phone = app.phone()
    phone.dial(OURS).press("1#")
    assert [each.code for each in phone.notices] == [code]
    assert app.form("menu")["Digits"] == "1"


def test_a_verb_that_cannot_be_nested_is_warned_of_and_skipped() -> None:
    app = App(voice='<Gather action="/menu"><Dial>+12025550102</Dial><Say>Press</Say></Gather>')
    phone = app.phone()
    phone.dial(OURS).hears("Press")
    assert [each.code for each in phone.notices] == [13320]
