"""shared/voice: the call flows, step by step."""

from datetime import UTC, datetime

import pytest

from shared.errors import NotFound
from shared.twiml.reply import CallBack, OptOut, Text, Warn
from shared.voice import menu, prompts, steps
from tests.flows import (
    ANNA,
    BEN,
    CALL_SID,
    CALLER,
    OURS,
    OWNER,
    PUBLIC,
    RECORDING_SID,
    ask,
    company,
    request,
    settings,
    walk,
)

CLOSED = {"BUSINESS_HOURS": "Fri 09:00-17:00"}  # and tests happen on a Thursday
WITHHELD = {"From": "anonymous"}
STEP = "voice/step"


def english(name: str, **values: object) -> str:
    return prompts.text(name, "en-US", **values)


# The greeting and the menu.


def test_a_newcomers_menu_takes_a_message() -> None:
    answer = ask(settings(), "voice")
    assert answer.verbs == ["Say", "Gather", "Redirect"]
    assert answer.heard.startswith("Thank you for calling us.")
    assert "To leave a message, press 3." in answer.heard
    for key, name in {"1": "team", "2": "queue", "4": "address", "5": "conference"}.items():
        assert english(f"option_{name}", key=key) not in answer.heard


def test_a_company_with_everything_set_offers_everything() -> None:
    answer = ask(company(), "voice")
    assert answer.heard.startswith("Thank you for calling Example & Sons.")
    offered = [english(f"option_{name}", key=key) for name, key in menu.OPTIONS.items() if name != "language"]
    assert all(option in answer.heard for option in offered)
    assert "한국어는 8번을 누르세요." in answer.heard


def test_the_menu_takes_keys_and_speech_in_the_callers_language() -> None:
    gather = ask(company(), "voice", {"FromCountry": "KR"}).find("Gather")
    assert gather.get("input") == "dtmf speech"
    assert gather.get("language") == "ko-KR"
    assert "직원" in gather.attrib["hints"]
    assert gather.find("Pause") is not None


def test_a_korean_caller_is_greeted_in_korean_and_offered_english() -> None:
    answer = ask(company(), "voice", {"FromCountry": "KR"})
    assert "Example & Sons에 전화해 주셔서 감사합니다." in answer.heard
    assert {say.get("voice") for say in answer.twiml.findall("Say")} == {"Polly.Seoyeon-Neural"}
    offer = answer.find("Gather/Say")
    assert (offer.get("language"), offer.text) == ("en-US", "For English, press 8.")


def test_every_url_of_a_flow_is_ours_and_keeps_the_language() -> None:
    answer = ask(company(), "voice", {"FromCountry": "KR"})
    for url in (answer.url("Gather"), answer.find("Redirect").text or ""):
        assert url.startswith(f"{PUBLIC}/api/voice/step/menu?lang=ko-KR&")


def test_key_8_changes_the_language() -> None:
    answer = ask(company(), ask(company(), "voice").url("Gather"), {"Digits": "8"})
    again = ask(company(), answer.find("Redirect").text or "")
    assert "직원과 통화하시려면 1번을 누르세요." in again.heard
    assert again.verbs == ["Gather", "Redirect"]


def test_silence_and_wrong_keys_are_forgiven_three_times() -> None:
    answer = ask(company(), "voice")
    heard = []
    for press in ("", "7", ""):
        following = answer.url("Gather") if press else answer.find("Redirect").text or ""
        answer = ask(company(), following, {"Digits": press} if press else {})
        heard.append(answer.heard)
    assert heard[0].startswith(english("not_heard"))
    assert heard[1].startswith(english("not_understood"))
    assert heard[2] == f"{english('not_heard')} Goodbye."
    assert answer.verbs[-1] == "Hangup"


def test_key_0_repeats_the_menu_without_an_apology() -> None:
    answer = ask(company(), ask(company(), "voice").url("Gather"), {"Digits": "0"})
    assert answer.verbs == ["Redirect"]
    assert ask(company(), answer.find("Redirect").text or "").heard.startswith("한국어는")


@pytest.mark.parametrize(
    ("said", "verb"),
    [
        ("I want to leave a Message", "Record"),
        ("an operator please", "Dial"),
        ("I can wait in line", "Enqueue"),
        ("what is your address", "Sms"),
        ("join the conference", "Gather"),
    ],
)
def test_a_choice_may_be_spoken(said: str, verb: str) -> None:
    answer = ask(company(), ask(company(), "voice").url("Gather"), {"SpeechResult": said})
    assert verb in answer.verbs


def test_a_spoken_choice_is_understood_in_korean() -> None:
    answer = ask(company(), f"{STEP}/menu?lang=ko-KR", {"SpeechResult": "메시지를 남기고 싶어요"})
    assert "Record" in answer.verbs


def test_what_is_not_offered_cannot_be_chosen() -> None:
    answer = ask(settings(), f"{STEP}/menu", {"Digits": "1"})
    assert answer.heard.startswith(english("not_understood"))


@pytest.mark.parametrize("reason", ["rejected", "busy"])
def test_blocked_callers_are_rejected(reason: str) -> None:
    answer = ask(settings(BLOCKED_NUMBERS=CALLER, BLOCKED_REASON=reason), "voice")
    assert answer.verbs == ["Reject"]
    assert answer.find("Reject").get("reason") == reason


def test_withheld_numbers_may_be_blocked() -> None:
    known = settings(BLOCKED_NUMBERS="anonymous")
    assert ask(known, "voice", {"From": "+266696687"}).verbs == ["Reject"]
    assert ask(known, "voice").verbs != ["Reject"]


def test_an_unknown_step_is_not_found() -> None:
    with pytest.raises(NotFound, match="no step 'nowhere'"):
        steps.step("nowhere", request(PUBLIC), settings())


def test_the_address_is_texted_during_the_call() -> None:
    answer = ask(company(), f"{STEP}/menu", {"Digits": "4"})
    assert answer.verbs == ["Sms", "Say", "Redirect"]
    text = answer.find("Sms")
    assert (text.get("to"), text.get("from")) == (CALLER, OURS)
    assert text.text == "Example & Sons: 1 Main Street"


def test_no_text_goes_to_a_withheld_or_forbidden_number() -> None:
    for number in ("anonymous", "+266696687", "+442079460123", "client:alice"):
        answer = ask(company(), f"{STEP}/menu", {"Digits": "4", "From": number})
        assert answer.verbs == ["Say", "Redirect"]


# Dial.


def test_the_team_is_rung_in_turn_with_a_whisper() -> None:
    answer = ask(company(RING_SECONDS="15"), f"{STEP}/menu", {"Digits": "1"})
    dial = answer.find("Dial")
    assert (dial.get("timeout"), dial.get("callerId")) == ("15", CALLER)
    assert [(target.tag, target.text) for target in dial] == [("Number", ANNA)]
    missed = {"DialCallStatus": "no-answer", "DialBridged": "false"}
    rung = []
    while "Dial" in answer.verbs:
        rung += [(target.tag, target.text, target.get("url") is not None) for target in answer.find("Dial")]
        answer = ask(company(), answer.url("Dial"), missed)
    assert rung[1:] == [
        ("Number", BEN, True),
        ("Client", "carol", False),
        ("Sip", "sip:dave@example.com", True),
    ]
    assert answer.heard.startswith(english("nobody"))
    assert "Record" in answer.verbs


def test_the_team_is_rung_all_at_once() -> None:
    answer = ask(company(TEAM_RING="all"), f"{STEP}/menu", {"Digits": "1"})
    assert len(answer.find("Dial")) == 4
    assert "Record" in ask(company(TEAM_RING="all"), answer.url("Dial"), {"DialCallStatus": "busy"}).verbs


def test_without_a_team_the_owner_is_rung() -> None:
    assert (
        ask(settings(OWNER_NUMBER=OWNER), f"{STEP}/menu", {"Digits": "1"}).find("Dial/Number").text == OWNER
    )


def test_a_team_member_is_never_rung_by_their_own_call() -> None:
    answer = ask(company(TEAM_RING="all"), f"{STEP}/menu", {"Digits": "1", "From": ANNA})
    assert ANNA not in [target.text for target in answer.find("Dial")]


def test_a_withheld_caller_is_shown_as_our_number() -> None:
    assert ask(company(), f"{STEP}/menu", {"Digits": "1", **WITHHELD}).find("Dial").get("callerId") == OURS


@pytest.mark.parametrize(
    ("outcome", "verb"),
    [
        ({"DialCallStatus": "completed", "DialBridged": "true"}, "Hangup"),
        ({"DialCallStatus": "completed"}, "Hangup"),
        ({"DialCallStatus": "completed", "DialBridged": "false"}, "Dial"),
        ({"DialCallStatus": "busy"}, "Dial"),
        ({"DialCallStatus": "failed"}, "Dial"),
        ({}, "Dial"),
    ],
)
def test_the_next_one_is_rung_unless_they_talked(outcome: dict[str, str], verb: str) -> None:
    assert ask(company(), f"{STEP}/dialed?after=1", outcome).verbs[0] == verb


def test_outside_business_hours_there_is_voicemail_only() -> None:
    known = company(**CLOSED)
    greeted = ask(known, "voice")
    assert english("closed") in greeted.heard
    assert "To talk to someone" not in greeted.heard
    assert ask(known, f"{STEP}/callback", {"Digits": "1"}).verbs == ["Say", "Say", "Record", "Say", "Hangup"]
    friday = datetime(2008, 2, 1, 12, tzinfo=UTC)
    assert "To talk to someone" in ask(known, "voice", now=friday).heard


def test_only_a_human_passes_the_whisper() -> None:
    whisper = ask(company(), f"{STEP}/menu", {"Digits": "1"}).url("Dial/Number", "url")
    asked = ask(company(), whisper, {"To": ANNA, "Direction": "outbound-dial"})
    assert asked.verbs == ["Gather", "Hangup"]
    assert "1 2 0 2 5 5 5 0 1 0 1" in asked.heard
    pressed = asked.url("Gather")
    assert ask(company(), pressed, {"Digits": "1"}).verbs == []
    assert ask(company(), pressed, {"Digits": "2"}).verbs == ["Hangup"]


def test_the_whisper_is_in_the_teams_language_and_hides_a_withheld_number() -> None:
    whisper = ask(company(), f"{STEP}/menu?lang=ko-KR", {"Digits": "1", **WITHHELD}).url("Dial/Number", "url")
    assert ask(company(), whisper, {"From": OURS}).heard == english("whisper_withheld")


# Voicemail.


def test_voicemail_has_a_greeting_a_limit_a_stop_key_and_callbacks() -> None:
    record = ask(company(), f"{STEP}/menu", {"Digits": "3"}).find("Record").attrib
    assert record["maxLength"] == "119"
    assert record["finishOnKey"] == "#"
    assert record["playBeep"] == "true"
    assert record["transcribe"] == "true"
    for callback in ("action", "recordingStatusCallback", "transcribeCallback"):
        assert record[callback].startswith(f"{PUBLIC}/api/voice/step/voicemail-")


def test_korean_is_not_transcribed() -> None:
    record = ask(company(), f"{STEP}/menu?lang=ko-KR", {"Digits": "3"}).find("Record").attrib
    assert record["transcribe"] == "false"
    assert "transcribeCallback" not in record


RECORDED = {
    "RecordingUrl": f"https://api.twilio.com/2010-04-01/Accounts/AC0/Recordings/{RECORDING_SID}",
    "RecordingDuration": "83",
    "Digits": "hangup",
}


def test_the_owner_is_told_who_when_how_long_and_where_to_listen() -> None:
    answer = ask(company(TIME_ZONE="America/New_York"), f"{STEP}/voicemail-saved", RECORDED)
    link = f"{PUBLIC}/api/console#recording={RECORDING_SID}"
    body = f"Voicemail from {CALLER}, 2008-01-31 09:05, 1:23: {link}"
    assert answer.effects == (Text(OWNER, body, id=f"voicemail-{RECORDING_SID}"),)
    assert answer.verbs == ["Say", "Hangup"]


def test_without_an_owner_or_a_recording_nobody_is_told() -> None:
    assert ask(settings(), f"{STEP}/voicemail-saved", RECORDED).effects == ()
    assert ask(company(), f"{STEP}/voicemail-saved", {"RecordingUrl": "https://example.com/x"}).effects == ()


def test_a_transcription_follows_as_a_second_text() -> None:
    words = {"TranscriptionStatus": "completed", "TranscriptionText": "Call me\x00 back", **RECORDED}
    answer = ask(company(), f"{STEP}/voicemail-transcribed", words)
    assert answer.effects == (Text(OWNER, f"{CALLER} said: Call me back", id=f"transcript-{RECORDING_SID}"),)
    failed = words | {"TranscriptionStatus": "failed"}
    assert ask(company(), f"{STEP}/voicemail-transcribed", failed).effects == ()


def test_a_recording_that_twilio_does_not_have_is_logged() -> None:
    status = {"RecordingSid": RECORDING_SID, "RecordingStatus": "absent"}
    answer = ask(company(), f"{STEP}/voicemail-recorded", status)
    assert answer.effects == (Warn(f"voicemail {RECORDING_SID} is absent"),)
    status["RecordingStatus"] = "completed"
    assert ask(company(), f"{STEP}/voicemail-recorded", status).effects == ()


# The waiting line.


def test_the_queue_tells_position_and_wait_and_plays_music() -> None:
    enqueue = ask(company(), f"{STEP}/menu", {"Digits": "2"}).find("Enqueue")
    assert enqueue.text == "support"
    first = ask(company(), enqueue.attrib["waitUrl"], {"QueuePosition": "1", "AvgQueueTime": "0"})
    assert first.heard.startswith("You are next in line. The wait is less than a minute.")
    third = ask(company(), enqueue.attrib["waitUrl"], {"QueuePosition": "3", "AvgQueueTime": "200"})
    assert third.heard.startswith("You are number 3 in line. The wait is about 4 minutes.")
    assert (
        third.find("Gather/Play").text == "http://com.twilio.music.classical.s3.amazonaws.com/BusyStrings.mp3"
    )


def test_hold_music_is_the_companys_own() -> None:
    music = "https://media.example.com/hold.mp3"
    assert ask(company(HOLD_MUSIC=music), f"{STEP}/queue-wait").find("Gather/Play").text == music


def test_pressing_1_in_the_queue_asks_to_be_called_back() -> None:
    key = ask(company(), f"{STEP}/queue-wait").url("Gather")
    answer = ask(company(), key, {"Digits": "1"})
    assert answer.verbs == ["Say", "Leave"]
    back, told = answer.effects
    assert back == CallBack(CALLER, f"{PUBLIC}/api/voice/step/callback?lang=en-US", id=f"callback-{CALL_SID}")
    assert isinstance(told, Text)
    assert (told.to, told.body) == (OWNER, f"{CALLER} asked to be called back, 2008-01-31 14:05.")
    assert ask(company(), f"{STEP}/queue-left", {"QueueResult": "leave"}).verbs == ["Hangup"]


def test_another_key_in_the_queue_leaves_the_music_on() -> None:
    answer = ask(company(), f"{STEP}/queue-key", {"Digits": "5"})
    assert (answer.verbs, answer.effects) == ([], ())


def test_a_caller_who_cannot_be_called_back_leaves_a_message() -> None:
    assert english("queue_offer_voicemail") in ask(company(), f"{STEP}/queue-wait", WITHHELD).heard
    pressed = ask(company(), f"{STEP}/queue-key", {"Digits": "1", **WITHHELD})
    assert (pressed.verbs, pressed.effects) == (["Leave"], ())
    assert "Record" in ask(company(), f"{STEP}/queue-left", {"QueueResult": "leave", **WITHHELD}).verbs


def test_nobody_waits_for_more_than_half_an_hour() -> None:
    answer = ask(company(), f"{STEP}/queue-wait", {"QueueTime": "1800"})
    assert answer.verbs == ["Say", "Leave"]
    assert isinstance(answer.effects[0], CallBack)


@pytest.mark.parametrize(
    ("result", "verbs", "warned"),
    [
        ("bridged", ["Say", "Hangup"], False),
        ("redirected-from-bridged", ["Say", "Hangup"], False),
        ("bridging-in-process", [], False),
        ("redirected", [], False),
        ("hangup", [], False),
        ("leave", ["Hangup"], False),
        ("queue-full", ["Say", "Say", "Record", "Say", "Hangup"], True),
        ("error", ["Say", "Say", "Record", "Say", "Hangup"], True),
        ("system-error", ["Say", "Say", "Record", "Say", "Hangup"], True),
        ("a-new-one", ["Say", "Say", "Record", "Say", "Hangup"], True),
        ("", ["Say", "Say", "Record", "Say", "Hangup"], True),
    ],
)
def test_every_way_out_of_the_queue_is_handled(result: str, verbs: list[str], warned: bool) -> None:
    answer = ask(company(), f"{STEP}/queue-left", {"QueueResult": result})
    assert answer.verbs == verbs
    assert bool(answer.effects) is warned


CALLED = {"From": OURS, "To": CALLER, "Direction": "outbound-api", "ToCountry": "US"}


def test_a_call_back_asks_for_a_key_and_rings_the_team() -> None:
    rung = ask(company(), f"{STEP}/callback", CALLED)
    assert rung.heard == english("callback", company="Example & Sons")
    dial = ask(company(), rung.url("Gather"), {"Digits": "1", **CALLED}).find("Dial")
    assert (dial.get("callerId"), dial[0].text) == (OURS, ANNA)


def test_a_call_back_gives_up_on_a_machine() -> None:
    urls = list(walk(company(), f"{STEP}/callback", CALLED))
    assert len(urls) == 4


def test_a_call_back_without_a_team_goes_to_the_queue() -> None:
    assert ask(settings(), f"{STEP}/callback", {"Digits": "1", **CALLED}).verbs == ["Enqueue"]


# Agents.


def test_an_agent_takes_the_next_caller() -> None:
    greeted = ask(company(), "voice", {"From": ANNA})
    assert english("agent_menu") in greeted.heard
    answer = ask(company(), greeted.url("Gather"), {"Digits": "1", "From": ANNA})
    queue = answer.find("Dial/Queue")
    assert queue.text == "support"
    connect = ask(company(), queue.attrib["url"], {"FromCountry": "KR"})
    assert connect.heard == prompts.text("queue_connect", "ko-KR")
    done = ask(company(), answer.url("Dial"), {"DialCallStatus": "completed", "From": ANNA})
    assert done.heard == english("agent_menu")
    empty = ask(company(), answer.url("Dial"), {"DialCallStatus": "no-answer", "From": ANNA})
    assert empty.heard.startswith(english("agent_nobody"))


def test_an_agent_may_go_on_to_the_main_menu() -> None:
    answer = ask(company(), f"{STEP}/agent-menu", {"Digits": "2", "From": ANNA})
    assert "To talk to someone" in ask(company(), answer.find("Redirect").text or "", {"From": ANNA}).heard


@pytest.mark.parametrize("caller", [CALLER, "anonymous", "sip:eve@example.com", ""])
def test_only_our_agents_take_callers(caller: str) -> None:
    for digits in ({}, {"Digits": "1"}):
        answer = ask(company(), f"{STEP}/agent-menu", {"From": caller, **digits})
        assert answer.verbs == ["Say", "Hangup"]
        assert isinstance(answer.effects[0], Warn)


# Conference.


def test_a_pin_opens_its_room_and_the_team_starts_it() -> None:
    asked = ask(company(), f"{STEP}/menu", {"Digits": "5"})
    assert asked.find("Gather").get("finishOnKey") == "#"
    guest = ask(company(), asked.url("Gather"), {"Digits": "8765"}).find("Dial/Conference")
    assert (guest.text, guest.get("startConferenceOnEnter"), guest.get("endConferenceOnExit")) == (
        "board",
        "false",
        "false",
    )
    answer = ask(company(), asked.url("Gather"), {"Digits": "4321", "From": ANNA})
    assert answer.heard == "You are joining standup. You are the moderator. The conference starts now."
    assert answer.find("Dial/Conference").get("startConferenceOnEnter") == "true"
    assert answer.find("Dial/Conference").get("endConferenceOnExit") == "true"
    assert ask(company(), answer.url("Dial")).verbs == ["Say", "Hangup"]


def test_a_caller_who_waits_for_the_moderator_is_told_so_and_hears_music() -> None:
    joined = ask(company(), f"{STEP}/conference-pin", {"Digits": "8765"})
    waiting = ask(company(), joined.url("Dial/Conference", "waitUrl"))
    assert waiting.verbs == ["Say", "Play"]


def test_without_a_team_anyone_starts_the_conference() -> None:
    known = settings(CONFERENCE_ROOMS="standup:4321")
    joined = ask(known, f"{STEP}/conference-pin", {"Digits": "4321"})
    assert joined.find("Dial/Conference").get("startConferenceOnEnter") == "true"
    assert ask(known, joined.url("Dial/Conference", "waitUrl")).verbs == ["Play"]


def test_three_wrong_pins_end_the_call() -> None:
    answer = ask(company(), f"{STEP}/menu", {"Digits": "5"})
    for _ in range(3):
        assert "Gather" in answer.verbs
        answer = ask(company(), answer.url("Gather"), {"Digits": "0000"})
    assert answer.verbs == ["Say", "Say", "Hangup"]
    assert answer.effects == (Warn("three wrong conference PINs in one call"),)


# The softphone.

ALICE = {"From": "client:alice"}


@pytest.mark.parametrize(
    ("to", "noun", "target"),
    [
        ("+12025550101", "Number", "+12025550101"),
        ("(202) 555-0101", "Number", "+12025550101"),
        ("client:bob", "Client", "bob"),
        ("bob", "Client", "bob"),
        ("queue", "Queue", "support"),
    ],
)
def test_the_softphone_dials(to: str, noun: str, target: str) -> None:
    answer = ask(settings(), "voice/client", {**ALICE, "To": to})
    assert answer.find(f"Dial/{noun}").text == target
    if noun != "Queue":
        assert answer.find("Dial").get("callerId") == OURS
        assert answer.find("Dial").get("answerOnBridge") == "true"
        assert answer.find("Dial").get("timeLimit") == "1800"


@pytest.mark.parametrize(
    "to", ["+442079460123", "+19005550100", "911", "", "sip:a@example.com", "a b", "\x00"]
)
def test_the_softphone_is_refused_what_is_not_allowed(to: str) -> None:
    answer = ask(settings(), "voice/client", {**ALICE, "To": to})
    assert answer.verbs == ["Say", "Hangup"]
    assert isinstance(answer.effects[0], Warn)


def test_only_clients_use_the_softphones_application() -> None:
    assert ask(settings(), "voice/client", {"To": "queue"}).verbs == ["Say", "Hangup"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("busy", "client_busy"),
        ("no-answer", "client_no_answer"),
        ("canceled", "client_no_answer"),
        ("failed", "client_failed"),
        ("", "client_failed"),
    ],
)
def test_the_softphone_hears_why_a_call_never_began(status: str, said: str) -> None:
    left = ask(settings(), "voice/client", {**ALICE, "To": "bob"}).url("Dial")
    assert ask(settings(), left, {"DialCallStatus": status, **ALICE}).heard == english(said)
    assert ask(settings(), left, {"DialCallStatus": "completed", **ALICE}).verbs == ["Hangup"]


# Outbound.

OUTBOUND = f"{STEP}/outbound?id=reminder-7"


def test_a_queued_call_says_its_text_and_offers_to_repeat() -> None:
    answer = ask(company(), OUTBOUND, CALLED, say="Your table is ready <now> & waiting.")
    assert answer.verbs == ["Gather", "Say", "Hangup"]
    assert answer.heard.startswith(
        "This is a message from Example & Sons. Your table is ready <now> & waiting."
    )
    assert "id=reminder-7" in answer.url("Gather")
    again = ask(company(), answer.url("Gather"), {"Digits": "1", **CALLED}, say="Your table is ready.")
    assert "Your table is ready." in again.heard
    assert "id=reminder-7" in again.url("Gather")
    assert ask(company(), again.url("Gather"), {"Digits": "5", **CALLED}).verbs == ["Say", "Hangup"]


def test_no_message_text_is_in_a_url() -> None:
    assert "table" not in ask(company(), OUTBOUND, CALLED, say="Your table").url("Gather")


def test_9_stops_the_calls() -> None:
    pressed = ask(company(), OUTBOUND, CALLED).url("Gather")
    answer = ask(company(), pressed, {"Digits": "9", **CALLED})
    assert answer.effects == (OptOut(CALLER),)
    assert answer.heard == english("outbound_stopped")


@pytest.mark.parametrize("answered_by", ["machine_end_beep", "machine_end_silence", "machine_end_other"])
def test_a_machine_gets_the_message_after_its_beep(answered_by: str) -> None:
    answer = ask(company(), OUTBOUND, {**CALLED, "AnsweredBy": answered_by}, say="Your table is ready.")
    assert answer.verbs == ["Say", "Say", "Hangup"]
    assert answer.heard.endswith("Your table is ready.")


@pytest.mark.parametrize("answered_by", ["machine_start", "fax"])
def test_nobody_talks_to_a_greeting_or_a_fax(answered_by: str) -> None:
    assert ask(company(), OUTBOUND, {**CALLED, "AnsweredBy": answered_by}).verbs == ["Hangup"]


def test_a_korean_text_is_said_in_korean() -> None:
    answer = ask(settings(), OUTBOUND, CALLED, say="예약을 확인합니다.")
    assert {say.get("language") for say in answer.twiml.iter("Say")} == {"ko-KR"}


def test_a_key_held_down_ends() -> None:
    assert len(list(walk(company(), OUTBOUND, CALLED, key="1"))) == 6
