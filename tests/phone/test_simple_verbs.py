"""Say, Play, Pause, Redirect, Reject, Hangup, Sms and what is not walked, rule by rule."""

import pytest

from local.twilio.carrier.exchange.events import Said
from tests.phone.app import AGENT, CALLER, HOST, OTHER, OURS, App


def test_verbs_are_carried_out_in_order() -> None:
    app = App(voice="<Say>One</Say><Play>/two.mp3</Play><Say>Three</Say>")
    app.phone().dial(OURS).hears("One").hears(f"{HOST}/two.mp3").hears("Three").is_over()


def test_say_has_voice_language_and_loop() -> None:
    phone = App(voice='<Say voice="Polly.Seoyeon" language="ko-KR" loop="3">안녕하세요</Say>').phone()
    phone.dial(OURS)
    said = next(each for each in phone.events if isinstance(each, Said))
    assert (said.voice, said.language, said.times) == ("Polly.Seoyeon", "ko-KR", 3)


@pytest.mark.parametrize("verb", ["<Say loop='0'>Hold on</Say>", "<Play loop='0'>/hold.mp3</Play>"])
def test_loop_zero_is_a_thousand_times(verb: str) -> None:
    phone = App(voice=verb).phone()
    phone.dial(OURS)
    assert "(1000 times)" in phone.transcript()


def test_ssml_is_spoken_by_its_text() -> None:
    digits = '<say-as interpret-as="digits">12</say-as>'
    text = f'<p>Your code</p><break time="1s"/>{digits} <sub alias="doctor">Dr</sub>'
    phone = App(voice=f"<Say>{text}</Say>").phone()
    assert phone.dial(OURS).said == ["Your code 12 doctor"]
    assert phone.notices == []


def test_saying_nothing_is_warned_of() -> None:
    phone = App(voice="<Say/><Say>Hello</Say>").phone()
    assert phone.dial(OURS).said == ["Hello"]
    assert [each.code for each in phone.notices] == [13520]


def test_a_say_over_4096_characters_is_cut_and_warned_of() -> None:
    phone = App(voice=f"<Say>{'a' * 5000}</Say>").phone()
    assert [len(each) for each in phone.dial(OURS).said] == [4096]
    assert [each.code for each in phone.notices] == [13521]


def test_play_sends_tones() -> None:
    phone = App(voice='<Play digits="ww12#"/>').phone()
    phone.dial(OURS).hears("ww12#")
    assert phone.exchange.now == pytest.approx(1.6)


def test_pause_is_silence_of_that_length() -> None:
    phone = App(voice='<Say>a</Say><Pause length="8"/><Say>b</Say>').phone()
    phone.dial(OURS)
    assert phone.exchange.now == pytest.approx(10)


def test_pause_as_the_first_verb_delays_picking_up() -> None:
    app = App(voice='<Pause length="5"/><Say>Hello</Say>')
    phone = app.phone()
    call = phone.dial(OURS)
    assert call.call.answered_at == pytest.approx(5)


def test_redirect_goes_to_another_document_for_good() -> None:
    app = App(voice="<Redirect>/next</Redirect><Say>Unreachable</Say>", next="<Say>Here</Say>")
    app.phone().dial(OURS).hears("Here").does_not_hear("Unreachable")
    assert app.asked[1][0].method == "POST"


def test_redirect_by_get() -> None:
    app = App(voice='<Redirect method="GET">/next</Redirect>')
    app.phone().dial(OURS)
    assert app.asked[1][0].method == "GET"


@pytest.mark.parametrize(("attributes", "status"), [("", "no-answer"), ('reason="busy"', "busy")])
def test_reject_as_the_first_verb_never_answers(attributes: str, status: str) -> None:
    app = App(voice=f"<Reject {attributes}/><Say>Unreachable</Say>")
    call = app.phone(status="status").dial(OURS)
    call.is_over(status).does_not_hear("Unreachable")
    assert call.call.answered_at is None
    assert app.form("status")["CallStatus"] == status
    assert app.form("status")["CallDuration"] == "0"


def test_reject_after_another_verb_only_hangs_up() -> None:
    App(voice="<Say>Hello</Say><Reject/><Say>More</Say>").phone().dial(OURS).is_over().does_not_hear("More")


def test_hangup_ends_the_call() -> None:
    App(voice="<Say>Bye</Say><Hangup/><Say>More</Say>").phone().dial(OURS).is_over().does_not_hear("More")


def test_an_empty_response_answers_and_hangs_up() -> None:
    call = App(voice="").phone().dial(OURS).is_over()
    assert call.call.is_answered


def test_sms_texts_the_caller_from_the_called_number() -> None:
    phone = App(voice="<Sms>12 Main Street</Sms><Say>Sent</Say>").phone()
    phone.dial(OURS).hears("Sent")
    assert [(each.to, each.sender, each.body) for each in phone.texts] == [(CALLER, OURS, "12 Main Street")]


def test_sms_on_an_outbound_call_texts_the_called_party() -> None:
    phone = App(voice="<Sms>12 Main Street</Sms>").phone()
    phone.place(AGENT, url=f"{HOST}/voice").answer()
    assert [(each.to, each.sender) for each in phone.texts] == [(AGENT, OURS)]


def test_sms_goes_on_with_its_action() -> None:
    app = App(
        voice=f'<Sms to="{OTHER}" from="{OURS}" action="/sent" statusCallback="/cb">Hi</Sms><Say>No</Say>'
    )
    phone = app.phone()
    phone.dial(OURS).does_not_hear("No")
    assert app.form("sent")["SmsStatus"] == "sent"
    assert app.form("sent")["SmsSid"] == phone.texts[0].message_sid == app.form("cb")["SmsSid"]


@pytest.mark.parametrize(
    ("verb", "code"),
    [('<Sms to="me">Hi</Sms>', 14101), ('<Sms from="us">Hi</Sms>', 14102), ("<Sms/>", 14103)],
)
def test_a_wrong_sms_is_warned_of_and_not_sent(verb: str, code: int) -> None:
    phone = App(voice=f"{verb}<Say>Next</Say>").phone()
    phone.dial(OURS).hears("Next")
    assert [each.code for each in phone.notices] == [code]
    assert phone.texts == []


@pytest.mark.parametrize(
    "verb",
    [
        '<Connect><Stream url="wss://example.com/a"/></Connect>',
        '<Start><Stream url="wss://example.com/a"/></Start>',
        "<Stop><Siprec/></Stop>",
        '<Pay paymentConnector="a"/>',
        "<Refer><Sip>sip:a@example.com</Sip></Refer>",
        "<Echo/>",
    ],
)
def test_known_verbs_that_are_not_walked_say_so_and_the_call_goes_on(verb: str) -> None:
    phone = App(voice=f"{verb}<Say>Next</Say>").phone()
    phone.dial(OURS).hears("Next")
    assert "is TwiML, but this phone does not walk it" in phone.transcript()
    assert phone.notices == []


def test_leave_outside_a_queue_is_warned_of() -> None:
    phone = App(voice="<Leave/><Say>Next</Say>").phone()
    phone.dial(OURS).hears("Next")
    assert [each.code for each in phone.notices] == [12200]
