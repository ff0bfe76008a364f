"""The schema: it has the verbs, nouns and attributes that twilio-python's builders have."""

import pytest
from twilio.twiml.voice_response import Dial, Gather, VoiceResponse

from local.phone.twiml.document import read_twiml
from local.phone.twiml.schema import grammar


def codes(twiml: str) -> list[int]:
    return [each.code for each in read_twiml(f"<Response>{twiml}</Response>", None).notices]


def test_every_verb_of_the_builders_is_known() -> None:
    assert {
        "Say",
        "Play",
        "Gather",
        "Dial",
        "Record",
        "Enqueue",
        "Leave",
        "Pause",
        "Redirect",
        "Reject",
    } <= set(grammar().children)
    assert {"Number", "Client", "Sip", "Queue", "Conference"} <= set(grammar().children["Dial"].children)


def test_what_the_builders_write_has_no_notices() -> None:
    response = VoiceResponse()
    gather = Gather(input="dtmf speech", timeout=4, num_digits=1, action="/a", hints="sales, support")
    gather.say("Hello", voice="Polly.Joanna", language="en-US").emphasis("now", level="strong")
    response.append(gather)
    dial = Dial(timeout=20, caller_id="+12025550100", record="record-from-answer", answer_on_bridge=True)
    dial.number("+12025550102", url="/whisper", status_callback_event="initiated ringing", send_digits="ww1")
    dial.conference("room", beep="onEnter", start_conference_on_enter=False, end_conference_on_exit=True)
    response.append(dial)
    response.record(max_length=30, finish_on_key="#", play_beep=True, transcribe=True)
    response.enqueue("support", wait_url="/wait", action="/after")
    response.sms("Hello", to="+12025550101")
    response.redirect("/again", method="GET")
    assert read_twiml(str(response), None).notices == ()


@pytest.mark.parametrize(
    ("twiml", "hint"),
    [
        ("<say>Hi</say>", "Did you mean 'Say'?"),
        ("<Shout>Hi</Shout>", "Element 'Shout' is not allowed in element 'Response'"),
        ('<Say Voice="man">Hi</Say>', "Did you mean 'voice'?"),
        (
            '<Dial statusCallbackEvent="ringing">+12025550102</Dial>',
            "not allowed to appear in element 'Dial'",
        ),
        ("<Pause>5</Pause>", "cannot have text"),
        ("<Message>Hi</Message>", "Element 'Message'"),
        ("<Say><Play>/a.mp3</Play></Say>", "Element 'Play' is not allowed in element 'Say'"),
        ("loose text", "cannot have text"),
    ],
)
def test_a_departure_from_the_schema_is_a_warning_that_says_where(twiml: str, hint: str) -> None:
    notices = read_twiml(f"<Response>\n{twiml}</Response>", None).notices
    assert [each.code for each in notices] == [12200]
    assert hint in str(notices[0])
    assert notices[0].line in {1, 2}
    assert not notices[0].is_error


@pytest.mark.parametrize(
    ("twiml", "code"),
    [
        ('<Dial timeout="abc">+12025550102</Dial>', 13212),
        ('<Dial timeout="2">+12025550102</Dial>', 13212),
        ('<Dial hangupOnStar="yes">+12025550102</Dial>', 13213),
        ('<Dial timeLimit="-1">+12025550102</Dial>', 13216),
        ('<Dial record="always">+12025550102</Dial>', 13217),
        ('<Dial method="DELETE">+12025550102</Dial>', 13210),
        ('<Dial><Number method="x">+12025550102</Number></Dial>', 13221),
        ('<Dial><Number sendDigits="x">+12025550102</Number></Dial>', 13222),
        ('<Dial><Conference muted="x">a</Conference></Dial>', 13230),
        ('<Dial><Conference endConferenceOnExit="x">a</Conference></Dial>', 13231),
        ('<Dial><Conference startConferenceOnEnter="x">a</Conference></Dial>', 13232),
        ('<Dial><Conference waitMethod="x">a</Conference></Dial>', 13234),
        ('<Dial><Conference beep="x">a</Conference></Dial>', 13235),
        ('<Play loop="x">/a</Play>', 13410),
        ('<Play digits="x"/>', 13430),
        ('<Say loop="-1">a</Say>', 13510),
        ('<Record method="x"/>', 13610),
        ('<Record timeout="x"/>', 13611),
        ('<Record maxLength="0"/>', 13612),
        ('<Record finishOnKey="x"/>', 13613),
        ('<Record transcribe="x"/>', 13614),
        ('<Record playBeep="x"/>', 13616),
        ('<Record recordingStatusCallbackEvent="x"/>', 13621),
        ('<Redirect method="x">/a</Redirect>', 13710),
        ('<Reject reason="x"/>', 13810),
        ('<Pause length="x"/>', 13910),
        ('<Enqueue method="x">a</Enqueue>', 14201),
        ('<Enqueue waitUrlMethod="x">a</Enqueue>', 14206),
        ('<Dial><Queue method="x">a</Queue></Dial>', 14210),
    ],
)
def test_a_wrong_value_has_the_code_of_its_attribute(twiml: str, code: int) -> None:
    assert codes(twiml) == [code]
