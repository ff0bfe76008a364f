"""<Dial> and the nouns that ring someone, rule by rule, as their pages in "TwiML Voice" give them."""

import pytest

from tests.phone.app import AGENT, CALLER, OTHER, OURS, App


def dialing(nouns: str, attributes: str = 'action="/after"', **documents: str) -> App:
    return App(voice=f"<Dial {attributes}>{nouns}</Dial><Say>Next verb</Say>", **documents)


def test_an_answered_call_connects_both_and_completes() -> None:
    app = dialing(AGENT, after="<Say>Thanks</Say>")
    phone = app.phone()
    call = phone.dial(OURS)
    agent = phone.rings(AGENT).answer()
    call.is_connected_to(AGENT).says("Hello?")
    agent.hears("Hello?").wait(20).hang_up()
    call.hears("Thanks").does_not_hear("Next verb")
    form = app.form("after")
    assert form["DialCallStatus"] == "completed"
    assert form["DialBridged"] == "true"
    assert form["DialCallSid"] == agent.call.sid
    assert form["DialCallDuration"] == "20"
    assert form["CallStatus"] == "in-progress"


@pytest.mark.parametrize(
    ("do", "status"), [("decline", "busy"), ("cannot_be_reached", "failed"), ("silence", "no-answer")]
)
def test_a_call_that_is_not_answered_says_why(do: str, status: str) -> None:
    app = dialing(AGENT, 'action="/after" timeout="10"')
    phone = app.phone()
    call = phone.dial(OURS)
    leg = phone.rings(AGENT)
    (call.silence if do == "silence" else getattr(leg, do))()
    leg.is_over(status)
    form = app.form("after")
    assert form["DialCallStatus"] == status
    assert form["DialBridged"] == "false"
    assert "DialCallDuration" not in form


def test_ringing_lasts_the_timeout_and_five_seconds_more() -> None:
    phone = dialing(AGENT, 'timeout="20"').phone()
    phone.dial(OURS)
    phone.wait(24)
    assert phone.is_ringing(AGENT)
    phone.wait(2)
    assert not phone.is_ringing(AGENT)


def test_without_an_action_the_next_verb_follows() -> None:
    phone = dialing(AGENT, "").phone()
    call = phone.dial(OURS)
    phone.rings(AGENT).answer().hang_up()
    call.hears("Next verb").is_over()


def test_several_numbers_ring_at_once_and_the_first_to_pick_up_is_connected() -> None:
    app = dialing(f"<Number>{AGENT}</Number><Number>{OTHER}</Number>")
    phone = app.phone()
    call = phone.dial(OURS)
    first, second = phone.rings(AGENT), phone.rings(OTHER)
    second.answer()
    first.is_over("canceled")
    call.is_connected_to(OTHER)
    second.hang_up()
    assert app.form("after")["DialCallSid"] == second.call.sid


def test_one_busy_of_several_leaves_the_others_ringing() -> None:
    app = dialing(f"<Number>{AGENT}</Number><Number>{OTHER}</Number>")
    phone = app.phone()
    phone.dial(OURS)
    phone.rings(AGENT).decline()
    assert not app.forms("after")
    phone.rings(OTHER).decline()
    assert app.form("after")["DialCallStatus"] == "busy"


def test_sequential_numbers_ring_one_after_the_other() -> None:
    app = dialing(f"<Number>{AGENT}</Number><Number>{OTHER}</Number>", 'sequential="true" action="/after"')
    phone = app.phone()
    call = phone.dial(OURS)
    assert not phone.is_ringing(OTHER)
    phone.rings(AGENT).decline()
    phone.rings(OTHER).answer()
    call.is_connected_to(OTHER)


def test_a_whisper_is_heard_by_the_called_party_alone() -> None:
    app = dialing(f'<Number url="/whisper">{AGENT}</Number>', whisper="<Say>A customer</Say>")
    phone = app.phone()
    call = phone.dial(OURS)
    agent = phone.rings(AGENT).answer().hears("A customer")
    call.is_connected_to(AGENT).does_not_hear("A customer")
    form = app.form("whisper")
    assert form["CallSid"] == agent.call.sid
    assert form["ParentCallSid"] == call.call.sid
    assert form["Direction"] == "outbound-dial"
    assert (form["From"], form["To"]) == (CALLER, AGENT)


SCREEN = '<Gather numDigits="1" action="/accepted"><Say>Press a key to accept</Say></Gather><Hangup/>'


def test_a_screened_call_is_connected_when_accepted() -> None:
    app = dialing(f'<Number url="/whisper">{AGENT}</Number>', whisper=SCREEN, accepted="")
    phone = app.phone()
    call = phone.dial(OURS)
    phone.rings(AGENT).answer().hears("Press a key").press("1")
    call.is_connected_to(AGENT)


def test_a_screened_call_that_is_declined_was_completed_but_not_bridged() -> None:
    app = dialing(f'<Number url="/whisper">{AGENT}</Number>', whisper=SCREEN)
    phone = app.phone()
    phone.dial(OURS)
    phone.rings(AGENT).answer().silence()
    assert app.form("after")["DialCallStatus"] == "completed"
    assert app.form("after")["DialBridged"] == "false"


def test_a_whisper_cannot_dial() -> None:
    app = dialing(f'<Number url="/whisper">{AGENT}</Number>', whisper=f"<Dial>{OTHER}</Dial>")
    phone = app.phone()
    phone.dial(OURS)
    phone.rings(AGENT).answer()
    assert [each.code for each in phone.notices] == [13201]
    assert not phone.is_ringing(OTHER)
    assert app.form("after")["DialBridged"] == "false"


def test_other_verbs_are_skipped_in_a_whisper() -> None:
    whisper = "<Record/><Say>Your turn</Say>"
    phone = dialing(f'<Number url="/whisper">{AGENT}</Number>', whisper=whisper).phone()
    call = phone.dial(OURS)
    phone.rings(AGENT).answer().hears("Your turn")
    call.is_connected_to(AGENT)
    assert [each.code for each in phone.notices] == [12200]


def test_answer_on_bridge_keeps_the_caller_ringing_until_connected() -> None:
    app = dialing(
        f'<Number url="/whisper">{AGENT}</Number>', 'answerOnBridge="true"', whisper="<Say>Hello</Say>"
    )
    phone = app.phone()
    call = phone.dial(OURS)
    assert call.status == "ringing"
    phone.rings(AGENT).answer()
    assert call.status == "in-progress"


def test_without_answer_on_bridge_the_caller_is_answered_at_once() -> None:
    phone = dialing(AGENT).phone()
    assert phone.dial(OURS).status == "in-progress"


def test_a_star_hangs_up_on_the_called_party_where_allowed() -> None:
    app = dialing(AGENT, 'hangupOnStar="true" action="/after"', after="<Say>Anything else?</Say>")
    phone = app.phone()
    call = phone.dial(OURS)
    agent = phone.rings(AGENT).answer()
    call.press("1").is_connected_to(AGENT).press("*").hears("Anything else?")
    agent.is_over()
    assert app.form("after")["DialCallStatus"] == "completed"


def test_a_star_does_nothing_otherwise() -> None:
    phone = dialing(AGENT).phone()
    call = phone.dial(OURS)
    phone.rings(AGENT).answer()
    call.press("*").is_connected_to(AGENT)


def test_the_time_limit_hangs_up_on_the_called_party() -> None:
    app = dialing(AGENT, 'timeLimit="120" action="/after"')
    phone = app.phone()
    call = phone.dial(OURS)
    agent = phone.rings(AGENT).answer()
    call.wait(121)
    agent.is_over()
    assert app.form("after")["DialCallDuration"] == "120"


def test_a_caller_who_gives_up_cancels_the_ringing() -> None:
    app = dialing(AGENT)
    phone = app.phone()
    call = phone.dial(OURS)
    leg = phone.rings(AGENT)
    call.hang_up()
    leg.is_over("canceled")
    assert app.form("after")["DialCallStatus"] == "canceled"
    assert app.form("after")["CallStatus"] == "completed"


def test_a_caller_who_hangs_up_ends_the_called_partys_call() -> None:
    app = dialing(AGENT)
    phone = app.phone()
    call = phone.dial(OURS)
    agent = phone.rings(AGENT).answer()
    call.wait(5).hang_up()
    agent.is_over()
    assert app.form("after")["DialCallStatus"] == "completed"
    assert app.form("after")["DialCallDuration"] == "5"


def test_the_called_party_sees_the_caller_unless_caller_id_says_otherwise() -> None:
    phone = dialing(AGENT).phone()
    phone.dial(OURS)
    assert phone.rings(AGENT).call.from_ == CALLER
    phone = dialing(AGENT, f'callerId="{OURS}"').phone()
    phone.dial(OURS)
    assert phone.rings(AGENT).call.from_ == OURS


def test_a_caller_id_of_others_is_refused() -> None:
    app = dialing(AGENT, f'callerId="{OTHER}" action="/after"')
    phone = app.phone()
    phone.dial(OURS)
    assert [each.code for each in phone.notices] == [13247]
    assert app.form("after")["DialCallStatus"] == "failed"


def test_numbers_without_a_country_are_us_numbers() -> None:
    phone = dialing("(202) 555-0102").phone()
    phone.dial(OURS)
    phone.rings(AGENT)


@pytest.mark.parametrize(("number", "code"), [("nobody", 13223), ("+1", 13224)])
def test_what_is_no_number_fails(number: str, code: int) -> None:
    app = dialing(number)
    phone = app.phone()
    phone.dial(OURS)
    assert [each.code for each in phone.notices] == [code]
    assert app.form("after")["DialCallStatus"] == "failed"


@pytest.mark.parametrize(
    ("noun", "address"),
    [
        ("<Client>joey</Client>", "client:joey"),
        ('<Client><Identity>joey</Identity><Parameter name="a" value="b"/></Client>', "client:joey"),
        ("<Sip>sip:kate@example.com</Sip>", "sip:kate@example.com"),
    ],
)
def test_clients_and_sip_addresses_ring_too(noun: str, address: str) -> None:
    phone = dialing(noun).phone()
    call = phone.dial(OURS)
    phone.rings(address).answer()
    call.is_connected_to(address)
    assert not phone.notices


def test_nouns_that_are_not_walked_are_said_so() -> None:
    app = dialing("<WhatsApp>+12025550102</WhatsApp>")
    phone = app.phone()
    phone.dial(OURS)
    assert "<WhatsApp> is TwiML, but this phone does not walk it" in phone.transcript()
    assert app.form("after")["DialCallStatus"] == "failed"


def test_a_legs_progress_is_reported_in_order() -> None:
    events = "initiated ringing answered completed"
    app = dialing(f'<Number statusCallback="/cb" statusCallbackEvent="{events}">{AGENT}</Number>')
    phone = app.phone()
    phone.dial(OURS)
    phone.rings(AGENT).answer().wait(61).hang_up()
    forms = app.forms("cb")
    assert [each["CallStatus"] for each in forms] == ["initiated", "ringing", "in-progress", "completed"]
    assert [each["SequenceNumber"] for each in forms] == ["0", "1", "2", "3"]
    assert {each["CallbackSource"] for each in forms} == {"call-progress-events"}
    assert forms[3]["CallDuration"] == "61"
    assert "CallDuration" not in forms[0]


def test_only_the_end_is_reported_by_default() -> None:
    app = dialing(f'<Number statusCallback="/cb">{AGENT}</Number>')
    phone = app.phone()
    phone.dial(OURS)
    phone.rings(AGENT).decline()
    assert [each["CallStatus"] for each in app.forms("cb")] == ["busy"]


def test_a_recorded_dial_names_its_recording() -> None:
    app = dialing(AGENT, 'record="record-from-answer-dual" recordingStatusCallback="/rec" action="/after"')
    phone = app.phone()
    phone.dial(OURS)
    phone.rings(AGENT).answer().wait(30).hang_up()
    assert app.form("after")["RecordingUrl"] == phone.recordings[0].url
    form = app.form("rec")
    assert form["RecordingSource"] == "DialVerb"
    assert form["RecordingChannels"] == "2"
    assert form["RecordingDuration"] == "30"


def test_machine_detection_on_a_leg_is_reported() -> None:
    app = dialing(f'<Number machineDetection="Enable" amdStatusCallback="/amd">{AGENT}</Number>')
    phone = app.phone()
    phone.dial(OURS)
    phone.rings(AGENT).answer_as_machine()
    assert app.form("amd")["AnsweredBy"] == "machine_start"


def test_send_digits_are_played_to_the_called_party() -> None:
    phone = dialing(f'<Number sendDigits="ww1928">{AGENT}</Number>').phone()
    phone.dial(OURS)
    phone.rings(AGENT).answer().hears("ww1928")


def test_more_than_ten_numbers_are_warned_of() -> None:
    numbers = "".join(f"<Number>+120255501{n:02}</Number>" for n in range(10, 22))
    phone = dialing(numbers).phone()
    phone.dial(OURS)
    assert [each.code for each in phone.notices] == [12200]
    assert sum(phone.is_ringing(f"+120255501{n:02}") for n in range(10, 22)) == 10


def test_dialing_oneself_rings_and_does_not_loop() -> None:
    phone = dialing(OURS).phone()
    phone.dial(OURS)
    phone.rings(OURS)
