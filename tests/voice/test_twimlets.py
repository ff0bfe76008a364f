"""shared/voice/twimlets.py: the eleven Twimlets, with the parameters that they always had."""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from shared.config import Settings
from shared.errors import NotFound
from shared.twiml.reply import Text, Warn
from shared.voice import prompts, twimlets
from tests.flows import (
    ANNA,
    BEN,
    CALLER,
    OWNER,
    PUBLIC,
    RECORDING_SID,
    Answer,
    ask,
    company,
    request,
    settings,
)

MEDIA = "https://media.example.com"
KNOWN = settings(ALLOWED_TWIML_HOSTS="media.example.com", OWNER_NUMBER=OWNER)
MISSED = {"DialCallStatus": "no-answer"}
TALKED = {"DialCallStatus": "completed", "DialBridged": "true"}
APOLOGY = prompts.text("apology", "en-US")


def get(
    name: str, form: dict[str, str] | None = None, *, known: Settings = KNOWN, **parameters: str
) -> Answer:
    return ask(known, f"twimlets/{name}?{urlencode(parameters)}", form)


def refused(answer: Answer, reason: str) -> None:
    assert answer.verbs == ["Say", "Hangup"]
    assert answer.heard == APOLOGY
    (warning,) = answer.effects
    assert isinstance(warning, Warn)
    assert reason in warning.reason


def test_there_are_eleven_and_no_other() -> None:
    assert len(twimlets.TWIMLETS) == 11
    with pytest.raises(NotFound, match="no twimlet 'fax'"):
        twimlets.twimlet("fax", request(PUBLIC), KNOWN)


# message


def test_the_message_of_the_old_guide_is_said() -> None:
    answer = ask(KNOWN, "twimlets/message?Message=Hello%20world.")
    assert [(verb.tag, verb.text) for verb in answer.twiml] == [("Say", "Hello world.")]


@pytest.mark.parametrize(
    "query",
    [
        "Message[0]=One&Message[1]=https://media.example.com/two.mp3&Message[10]=Three",
        "Message[10]=Three&Message[1]=https://media.example.com/two.mp3&Message[0]=One",
        "Message[]=One&Message[]=https://media.example.com/two.mp3&Message[]=Three",
        "Message=One&Message=https://media.example.com/two.mp3&Message=&Message=Three",
        "Message%5B0%5D=One&Message%5B1%5D=https%3A%2F%2Fmedia.example.com%2Ftwo.mp3&Message%5B2%5D=Three",
    ],
)
def test_messages_are_said_and_played_in_order(query: str) -> None:
    answer = ask(KNOWN, f"twimlets/message?{query}")
    assert [(verb.tag, verb.text) for verb in answer.twiml] == [
        ("Say", "One"),
        ("Play", f"{MEDIA}/two.mp3"),
        ("Say", "Three"),
    ]


def test_parameters_come_from_the_query_or_else_from_the_form_never_mixed() -> None:
    form = {"Message": "from the form"}
    assert ask(KNOWN, "twimlets/message", form).heard == "from the form"
    assert ask(KNOWN, "twimlets/message?Message=from%20the%20query", form).heard == "from the query"
    assert ask(KNOWN, "twimlets/message?Message=by%20GET", method="GET").heard == "by GET"


def test_no_message_is_an_empty_response() -> None:
    assert ask(KNOWN, "twimlets/message").verbs == []


def test_a_korean_message_has_a_korean_voice() -> None:
    assert get("message", Message="안녕하세요").find("Say").get("voice") == "Polly.Seoyeon-Neural"


def test_media_off_the_allowed_hosts_is_refused() -> None:
    refused(get("message", Message="https://evil.example.org/a.mp3"), "Message: is on evil.example.org")


# menu

MENU = (
    f"twimlets/menu?Message={quote('One or twenty-two')}"
    f"&Options[1]={quote(MEDIA + '/one')}&Options[22]={quote(PUBLIC + '/api/voice')}"
)


def test_the_menu_gathers_as_many_digits_as_its_longest_key() -> None:
    answer = ask(KNOWN, MENU)
    assert answer.verbs == ["Gather", "Redirect"]
    assert answer.find("Gather").get("numDigits") == "2"
    assert answer.heard == "One or twenty-two"


@pytest.mark.parametrize(("digits", "url"), [("1", f"{MEDIA}/one"), ("22", f"{PUBLIC}/api/voice")])
def test_a_key_of_the_menu_goes_to_its_url(digits: str, url: str) -> None:
    answer = ask(KNOWN, ask(KNOWN, MENU).url("Gather"), {"Digits": digits})
    assert [(verb.tag, verb.text) for verb in answer.twiml] == [("Redirect", url)]


def test_a_wrong_key_says_so_and_asks_again() -> None:
    answer = ask(KNOWN, ask(KNOWN, MENU).url("Gather"), {"Digits": "3"})
    assert answer.heard == f"{prompts.text('not_understood', 'en-US')} One or twenty-two"


def test_the_menu_ends_for_a_caller_who_never_presses_a_key() -> None:
    answer, rounds = ask(KNOWN, MENU), 1
    while answer.verbs[-1] == "Redirect":
        answer, rounds = ask(KNOWN, answer.find("Redirect").text or ""), rounds + 1
    assert rounds == twimlets.ROUNDS + 1


def test_an_option_off_the_allowed_hosts_is_refused() -> None:
    answer = ask(KNOWN, "twimlets/menu?Options[1]=https://evil.example.org/", {"Digits": "1"})
    refused(answer, "Options[1]: is on evil.example.org")


# forward, callme, simulring, findme


def test_forward_dials_and_comes_back() -> None:
    answer = get("forward", PhoneNumber="202-555-0102", CallerId=BEN, Timeout="15", FailUrl=f"{MEDIA}/x")
    dial = answer.find("Dial")
    assert (dial.get("timeout"), dial.get("callerId"), dial[0].text) == ("15", BEN, ANNA)
    assert dict(parse_qsl(urlsplit(answer.url("Dial")).query))["Dial"] == "true"
    assert ask(KNOWN, answer.url("Dial"), TALKED).verbs == ["Hangup"]
    assert ask(KNOWN, answer.url("Dial"), {"DialStatus": "answered"}).verbs == ["Hangup"]
    assert ask(KNOWN, answer.url("Dial"), MISSED).find("Redirect").text == f"{MEDIA}/x"


def test_without_a_fail_url_a_missed_call_ends() -> None:
    answer = get("forward", PhoneNumber=ANNA)
    assert answer.find("Dial").get("timeout") == "20"
    assert answer.find("Dial").get("callerId") is None
    assert ask(KNOWN, answer.url("Dial"), MISSED).verbs == ["Hangup"]


@pytest.mark.parametrize(("allowed", "verb"), [("(202) 555-0101", "Dial"), (BEN, "Say")])
def test_forward_may_be_for_some_callers_only(allowed: str, verb: str) -> None:
    answer = ask(KNOWN, f"twimlets/forward?PhoneNumber={quote(ANNA)}&AllowedCallers[0]={quote(allowed)}")
    assert answer.verbs[0] == verb
    if verb == "Say":
        assert answer.heard == prompts.text("twimlet_forward_refused", "en-US")


def test_callme_whispers_its_message() -> None:
    answer = get("callme", PhoneNumber=ANNA, Message="A call from the shop")
    assert answer.find("Dial").get("timeout") == "20"
    whisper = ask(KNOWN, answer.url("Dial/Number", "url"), {"To": ANNA})
    assert whisper.verbs == ["Gather"]
    assert whisper.heard == "A call from the shop"


def test_simulring_rings_all_and_the_first_to_accept_wins() -> None:
    query = "&".join(f"PhoneNumbers[{index}]={quote(number)}" for index, number in enumerate([ANNA, BEN]))
    answer = ask(KNOWN, f"twimlets/simulring?{query}")
    assert [number.text for number in answer.find("Dial")] == [ANNA, BEN]
    whisper = ask(KNOWN, answer.url("Dial/Number", "url"))
    assert whisper.verbs == ["Gather", "Hangup"]
    assert ask(KNOWN, answer.url("Dial"), MISSED).verbs == ["Hangup"]


def test_findme_rings_one_after_the_other() -> None:
    query = f"PhoneNumbers[0]={quote(ANNA)}&PhoneNumbers[1]={quote(BEN)}&FailUrl={quote(MEDIA)}"
    first = ask(KNOWN, f"twimlets/findme?{query}")
    assert [number.text for number in first.find("Dial")] == [ANNA]
    assert first.find("Dial").get("timeout") == "60"
    assert ask(KNOWN, first.url("Dial"), TALKED).verbs == ["Hangup"]
    second = ask(KNOWN, first.url("Dial"), {"DialCallStatus": "completed", "DialBridged": "false"})
    assert [number.text for number in second.find("Dial")] == [BEN]
    assert ask(KNOWN, second.url("Dial"), MISSED).find("Redirect").text == MEDIA


@pytest.mark.parametrize("name", ["forward", "callme"])
def test_numbers_outside_the_allowed_countries_are_refused(name: str) -> None:
    refused(get(name, PhoneNumber="+442079460123"), "PhoneNumber: is in GB")
    refused(get(name, PhoneNumber="911"), "PhoneNumber: ")
    refused(get(name), "PhoneNumber: ")


@pytest.mark.parametrize("name", ["simulring", "findme"])
def test_one_forbidden_number_of_many_is_enough(name: str) -> None:
    query = f"PhoneNumbers[]={quote(ANNA)}&PhoneNumbers[]=%2B19005550100"
    refused(ask(KNOWN, f"twimlets/{name}?{query}"), "PhoneNumbers: is a premium rate")


def test_a_fail_url_off_the_allowed_hosts_is_refused_before_anyone_is_rung() -> None:
    refused(get("forward", PhoneNumber=ANNA, FailUrl="https://evil.example.org/"), "FailUrl: is on")


# whisper


def test_the_whisper_tells_who_calls_and_hangs_up_on_machines() -> None:
    asked = get("whisper", HumanCheck="1")
    assert "1 2 0 2 5 5 5 0 1 0 1" in asked.heard
    assert asked.verbs == ["Gather", "Hangup"]
    assert ask(KNOWN, asked.url("Gather"), {"Digits": "5"}).verbs == []
    assert ask(KNOWN, asked.url("Gather"), {"Digits": ""}).verbs == ["Hangup"]


def test_without_the_human_check_silence_connects() -> None:
    for check in ("", "0", "false"):
        assert get("whisper", HumanCheck=check).verbs == ["Gather"]


# conference


def test_a_conference_without_moderators_starts_with_anyone() -> None:
    room = get("conference", Name="Weekly", Message="Welcome").find("Dial/Conference")
    assert (room.text, room.get("startConferenceOnEnter"), room.get("waitUrl")) == ("Weekly", "true", None)


@pytest.mark.parametrize(("moderator", "starts"), [(CALLER, "true"), (BEN, "false")])
def test_only_a_moderator_starts_a_moderated_conference(moderator: str, starts: str) -> None:
    query = f"Moderators[0]={quote(ANNA)}&Moderators[1]={quote(moderator)}&Music=soft-rock"
    room = ask(KNOWN, f"twimlets/conference?{query}").find("Dial/Conference")
    assert room.get("startConferenceOnEnter") == starts
    music = ask(KNOWN, room.attrib["waitUrl"])
    assert all("com.twilio.music.soft-rock" in (play.text or "") for play in music.twiml.findall("Play"))


def test_conference_music_may_be_a_url_on_an_allowed_host() -> None:
    assert (
        get("conference", Music=f"{MEDIA}/w.xml").find("Dial/Conference").get("waitUrl") == f"{MEDIA}/w.xml"
    )
    refused(get("conference", Music="https://evil.example.org/"), "Music: is on evil.example.org")


def test_the_password_is_asked_for_three_times() -> None:
    answer = get("conference", Password="1234")
    for _ in range(3):
        assert answer.verbs[-2:] == ["Gather", "Redirect"]
        wrong = answer
        answer = ask(KNOWN, answer.url("Gather"), {"Digits": "9999"})
    assert answer.verbs == ["Say", "Say", "Hangup"]
    assert "Dial" in ask(KNOWN, wrong.url("Gather"), {"Digits": "1234"}).verbs


# voicemail


def test_voicemail_records_and_tells_the_owner() -> None:
    answer = get("voicemail", Email="owner@example.com", Message="Speak now")
    assert answer.heard.startswith("Speak now")
    recorded = {"RecordingUrl": f"https://api.twilio.com/x/{RECORDING_SID}", "RecordingDuration": "5"}
    saved = ask(KNOWN, answer.url("Record"), recorded)
    assert saved.verbs == ["Say", "Hangup"]
    assert isinstance(saved.effects[0], Text)
    assert saved.effects[0].to == OWNER
    assert answer.find("Record").get("transcribeCallback") is not None


def test_voicemail_without_transcription_or_in_korean() -> None:
    assert get("voicemail", Transcribe="false").find("Record").get("transcribe") == "false"
    korean = get("voicemail", Language="ko-KR")
    assert korean.heard.startswith(prompts.text("twimlet_voicemail", "ko-KR"))
    assert korean.find("Record").get("transcribe") == "false"


# holdmusic


def test_hold_music_is_shuffled_with_a_message_between_and_goes_on() -> None:
    answer = get("holdmusic", Bucket="com.twilio.music.classical", Message="Please hold")
    tracks = [verb.text for verb in answer.twiml.findall("Play")]
    assert answer.verbs == ["Play", "Say"] * len(tracks) + ["Redirect"]
    again = ask(KNOWN, answer.find("Redirect").text or "")
    assert sorted(filter(None, tracks)) == sorted(play.text or "" for play in again.twiml.findall("Play"))
    orders = set()
    for _ in range(5):
        orders.add(tuple(play.text for play in answer.twiml.findall("Play")))
        answer = ask(KNOWN, answer.find("Redirect").text or "")
    assert len(orders) > 1


def test_hold_music_of_ones_own() -> None:
    answer = ask(KNOWN, f"twimlets/holdmusic?Bucket[0]={MEDIA}/a.mp3&Url={MEDIA}/b.mp3")
    assert {play.text for play in answer.twiml.findall("Play")} == {f"{MEDIA}/a.mp3", f"{MEDIA}/b.mp3"}
    refused(get("holdmusic", Bucket="https://evil.example.org/a.mp3"), "is on evil.example.org")


# echo


def test_echo_answers_the_twiml_it_was_given() -> None:
    twiml = "<Response><Say>A &amp; B</Say><Dial>+12025550102</Dial></Response>"
    answer = get("echo", Twiml=twiml)
    assert [(verb.tag, verb.text) for verb in answer.twiml] == [("Say", "A & B"), ("Dial", ANNA)]
    assert ask(KNOWN, "twimlets/echo", {"Twiml": twiml}).verbs == ["Say", "Dial"]


@pytest.mark.parametrize(
    ("twiml", "reason"),
    [
        ("", "must be TwiML"),
        ("<Response><Dial>+19005550100</Dial></Response>", "premium rate"),
        ("<Response><Redirect>https://evil.example.org</Redirect></Response>", "<Redirect> is on"),
        ("<!DOCTYPE x><Response/>", "DOCTYPE"),
        ("<html/>", "its root is <html>"),
    ],
)
def test_echo_refuses_what_is_not_allowed(twiml: str, reason: str) -> None:
    refused(get("echo", Twiml=twiml), reason)


def test_an_apology_is_in_the_callers_language() -> None:
    answer = get("echo", {"FromCountry": "KR"}, known=company())
    assert answer.heard == prompts.text("apology", "ko-KR")


def test_no_reason_in_the_log_has_a_whole_number() -> None:
    for name in ("forward", "callme"):
        answer = get(name, PhoneNumber="+442079460123")
        assert "2079460123" not in str(answer.effects)
