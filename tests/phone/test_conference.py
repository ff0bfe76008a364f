"""<Dial><Conference>, rule by rule, as "TwiML Voice: <Conference>" gives them."""

import pytest

from tests.phone.app import AGENT, CALLER, OTHER, OURS, App

EVENTS = 'statusCallback="/cb" statusCallbackEvent="start end join leave"'


def room(attributes: str = "", moderator: str = "", dial: str = 'action="/after"', **documents: str) -> App:
    """A room that +12025550102 enters as its moderator."""

    def voice(form: dict[str, str]) -> str:
        given = moderator if form["From"] == AGENT else attributes
        return f"<Dial {dial}><Conference {given}>Room 12</Conference></Dial><Say>Next</Say>"

    app = App(after="<Say>You left the room</Say>", **documents)
    app.documents["voice"] = voice
    return app


def test_the_first_waits_to_music_and_the_second_starts_it() -> None:
    phone = room().phone()
    first = phone.dial(OURS).hears("hold music")
    second = phone.dial(OURS, from_=OTHER)
    first.hears("started")
    second.says("Hello all")
    first.hears("Hello all")


def test_three_people_hear_each_other() -> None:
    phone = room().phone()
    people = [phone.dial(OURS, from_=each) for each in (CALLER, AGENT, OTHER)]
    people[2].says("Good morning")
    people[0].hears("Good morning")
    people[1].hears("Good morning")


def test_a_muted_participant_is_not_heard() -> None:
    phone = room(attributes='muted="true"').phone()
    moderator = phone.dial(OURS, from_=AGENT)
    phone.dial(OURS).says("Can you hear me?")
    moderator.does_not_hear("Can you hear me?")


def test_it_waits_for_somebody_who_starts_it() -> None:
    phone = room(attributes='startConferenceOnEnter="false"').phone()
    first, second = phone.dial(OURS), phone.dial(OURS, from_=OTHER)
    first.says("Anybody?")
    second.does_not_hear("Anybody?")
    phone.dial(OURS, from_=AGENT)
    first.hears("started").says("Finally")
    second.hears("Finally")


def test_it_ends_when_the_moderator_leaves() -> None:
    app = room(moderator='endConferenceOnExit="true"')
    phone = app.phone()
    first, second = phone.dial(OURS), phone.dial(OURS, from_=OTHER)
    phone.dial(OURS, from_=AGENT).hang_up()
    first.hears("You left the room").is_over()
    second.hears("You left the room").is_over()
    assert phone.exchange.conferences == {}


def test_it_goes_on_when_another_leaves() -> None:
    phone = room(moderator='endConferenceOnExit="true"').phone()
    first, moderator = phone.dial(OURS), phone.dial(OURS, from_=AGENT)
    first.hang_up()
    assert moderator.status == "in-progress"


def test_the_action_hears_answered_without_leg() -> None:
    app = room(dial='action="/after" hangupOnStar="true"')
    phone = app.phone()
    phone.dial(OURS, from_=OTHER)
    phone.dial(OURS).press("*").hears("You left the room")
    form = app.form("after")
    assert form["DialCallStatus"] == "answered"
    assert "DialCallSid" not in form
    assert "DialCallDuration" not in form


def test_without_an_action_the_next_verb_follows() -> None:
    phone = room(dial='hangupOnStar="true"').phone()
    phone.dial(OURS, from_=OTHER)
    phone.dial(OURS).press("*").hears("Next")


def test_the_wait_url_is_heard_once_then_silence() -> None:
    app = room(attributes='waitUrl="/wait"', wait="<Say>The host will be with you</Say>")
    phone = app.phone()
    phone.dial(OURS).hears("The host will be with you").wait(600)
    assert len(app.forms("wait")) == 1


def test_an_empty_redirect_loops_the_wait_url() -> None:
    app = room(attributes='waitUrl="/wait"', wait="<Say>Wait</Say><Redirect/>")
    app.phone().dial(OURS).hears("Wait").hears("Wait").hears("Wait")


def test_an_empty_wait_url_is_silence() -> None:
    phone = room(attributes='waitUrl=""').phone()
    phone.dial(OURS).does_not_hear("hold music")


def test_other_verbs_in_the_wait_url_are_an_error() -> None:
    app = room(attributes='waitUrl="/wait"', wait="<Gather/>")
    phone = app.phone()
    phone.dial(OURS)
    assert [each.code for each in phone.notices] == [13238]
    assert app.form("after")["DialCallStatus"] == "failed"


def test_the_first_participants_callbacks_are_the_conferences() -> None:
    app = room(attributes=EVENTS, moderator='statusCallback="/other" statusCallbackEvent="join"')
    phone = app.phone()
    first, second = phone.dial(OURS), phone.dial(OURS, from_=AGENT)
    first.hang_up()
    second.hang_up()
    forms = app.forms("cb")
    assert [each["StatusCallbackEvent"] for each in forms] == [
        "participant-join",
        "participant-join",
        "conference-start",
        "participant-leave",
        "participant-leave",
        "conference-end",
    ]
    assert [each["SequenceNumber"] for each in forms] == ["1", "2", "3", "4", "5", "6"]
    assert {each["FriendlyName"] for each in forms} == {"Room 12"}
    assert forms[3]["ReasonParticipantLeft"] == "participant_hung_up"
    assert forms[3]["ParticipantCallStatus"] == "completed"
    assert forms[5]["ReasonConferenceEnded"] == "last-participant-left"
    assert "other" not in app.paths()


def test_a_conference_is_recorded_from_its_start() -> None:
    record = 'record="record-from-start" recordingStatusCallback="/rec"'
    app = room(attributes=record)
    phone = app.phone()
    first = phone.dial(OURS).wait(100)
    second = phone.dial(OURS, from_=OTHER).wait(30)
    first.hang_up()
    second.hang_up()
    form = app.form("rec")
    assert form["RecordingSource"] == "Conference"
    assert form["RecordingDuration"] == "30"
    assert form["ConferenceSid"].startswith("CF")


def test_a_room_that_is_full_refuses() -> None:
    app = room(attributes='maxParticipants="2"')
    phone = app.phone()
    phone.dial(OURS)
    phone.dial(OURS, from_=OTHER)
    phone.dial(OURS, from_="+12025550109")
    assert app.form("after")["DialCallStatus"] == "failed"


@pytest.mark.parametrize(("beep", "heard"), [("true", 1), ("onEnter", 1), ("false", 0), ("onExit", 0)])
def test_a_beep_tells_who_comes_in(beep: str, heard: int) -> None:
    phone = room(attributes=f'beep="{beep}"').phone()
    phone.dial(OURS)
    phone.dial(OURS, from_=OTHER)
    phone.dial(OURS, from_="+12025550109")
    assert phone.transcript().count("+12025550101   conference Room 12: beep") == heard


def test_a_conference_with_numbers_beside_it_is_dialed_alone() -> None:
    app = App(voice=f"<Dial><Number>{AGENT}</Number><Conference>Room</Conference></Dial>")
    phone = app.phone()
    phone.dial(OURS).hears("hold music")
    assert [each.code for each in phone.notices] == [13000]
    assert not phone.is_ringing(AGENT)
