"""<Record>, rule by rule, as "TwiML Voice: <Record>" gives them."""

import pytest

from tests.phone.app import OURS, App

MESSAGE = "Hello, this is Kate about the invoice of last week, please call me back."


def test_silence_ends_a_recording_and_asks_the_action() -> None:
    app = App(voice='<Record action="/done"/><Say>Unreachable</Say>', done="<Say>Thanks</Say>")
    phone = app.phone()
    phone.dial(OURS).says(MESSAGE).silence().hears("Thanks").does_not_hear("Unreachable")
    form = app.form("done")
    assert form["RecordingUrl"] == phone.recordings[0].url
    assert form["RecordingDuration"] == str(round(len(MESSAGE) / 14))
    assert "Digits" not in form
    assert phone.recordings[0].text == MESSAGE


def test_any_key_ends_a_recording_by_default() -> None:
    app = App(voice='<Record action="/done"/>')
    app.phone().dial(OURS).says(MESSAGE).press("7")
    assert app.form("done")["Digits"] == "7"


def test_only_the_finishing_keys_end_it_when_given() -> None:
    app = App(voice='<Record finishOnKey="*#" action="/done"/>')
    call = app.phone().dial(OURS).says(MESSAGE).press("7")
    assert not app.forms("done")
    call.press("#")
    assert app.form("done")["Digits"] == "#"


def test_hanging_up_ends_it_and_tells_the_action_so() -> None:
    app = App(voice='<Record action="/done"/>')
    phone = app.phone()
    phone.dial(OURS).says(MESSAGE).hang_up().is_over()
    form = app.form("done")
    assert form["Digits"] == "hangup"
    assert form["CallStatus"] == "completed"
    assert phone.recordings[0].text == MESSAGE


def test_max_length_ends_it() -> None:
    app = App(voice='<Record maxLength="20" timeout="0" action="/done"/>')
    phone = app.phone()
    phone.dial(OURS).wait(19)
    assert not app.forms("done")
    phone.wait(2)
    assert app.form("done")["RecordingDuration"] == "20"


def test_timeout_zero_never_ends_it_for_silence() -> None:
    app = App(voice='<Record timeout="0" action="/done"/>')
    app.phone().dial(OURS).wait(3000)
    assert not app.forms("done")


def test_the_timeout_is_counted_from_the_last_word() -> None:
    app = App(voice='<Record timeout="10" action="/done"/>')
    call = app.phone().dial(OURS).wait(9).says("One").wait(9).says("Two").wait(9)
    assert not app.forms("done")
    call.wait(2)
    assert app.forms("done")


def test_the_default_action_is_the_current_document() -> None:
    def voice(form: dict[str, str]) -> str:
        return "<Say>Thank you</Say>" if "RecordingUrl" in form else "<Record/>"

    App(voice=voice).phone().dial(OURS).says(MESSAGE).press("#").hears("Thank you")


@pytest.mark.parametrize(("attribute", "beeps"), [("", True), ('playBeep="false"', False)])
def test_a_beep_comes_first_unless_switched_off(attribute: str, beeps: bool) -> None:
    phone = App(voice=f"<Record {attribute}/>").phone()
    phone.dial(OURS)
    assert ("beeps and records" in phone.transcript()) == beeps


def test_silence_is_trimmed_by_default_and_kept_on_demand() -> None:
    for attribute, seconds in (("", "5"), ('trim="do-not-trim"', "10")):
        app = App(voice=f'<Record {attribute} timeout="5" action="/done"/>')
        app.phone().dial(OURS).says("x" * 70).silence()
        assert app.form("done")["RecordingDuration"] == seconds


def test_the_recording_is_reported_when_ready() -> None:
    app = App(voice='<Record action="/done" recordingStatusCallback="/rec"/>')
    phone = app.phone()
    phone.dial(OURS).says(MESSAGE).press("#")
    assert app.paths() == ["voice", "done", "rec"]
    form = app.form("rec")
    assert form["RecordingStatus"] == "completed"
    assert form["RecordingSource"] == "RecordVerb"
    assert form["RecordingChannels"] == "1"
    assert form["RecordingSid"] == phone.recordings[0].sid
    assert "From" not in form


def test_its_beginning_is_reported_where_asked_for() -> None:
    events = 'recordingStatusCallbackEvent="in-progress completed"'
    app = App(voice=f'<Record action="/done" recordingStatusCallback="/rec" {events}/>')
    app.phone().dial(OURS).says(MESSAGE).press("#")
    assert [each["RecordingStatus"] for each in app.forms("rec")] == ["in-progress", "completed"]


def test_a_transcription_is_what_was_said() -> None:
    app = App(voice='<Record transcribe="true" transcribeCallback="/text" action="/done"/>')
    app.phone().dial(OURS).says(MESSAGE).silence()
    form = app.form("text")
    assert form["TranscriptionText"] == MESSAGE
    assert form["TranscriptionStatus"] == "completed"
    assert form["RecordingSid"].startswith("RE")
    assert form["TranscriptionSid"].startswith("TR")


def test_a_callback_alone_does_not_transcribe() -> None:
    app = App(voice='<Record transcribeCallback="/text" action="/done"/>')
    app.phone().dial(OURS).says(MESSAGE).silence()
    assert "text" not in app.paths()


def test_a_recording_too_short_to_transcribe_is_warned_of() -> None:
    app = App(voice='<Record transcribe="true" transcribeCallback="/text" action="/done"/>')
    phone = app.phone()
    phone.dial(OURS).says("Hi").silence()
    assert [each.code for each in phone.notices] == [13617]
    assert "text" not in app.paths()
