"""Whatever callers press, say or send, the answer is valid TwiML, and every call ends."""

from itertools import islice
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import Settings
from shared.voice import steps, twimlets
from tests.flows import ANNA, BEN, CALLER, OURS, PUBLIC, Answer, ask, company, settings, walk

FIELDS = [
    *(
        "Digits",
        "SpeechResult",
        "From",
        "To",
        "FromCountry",
        "ToCountry",
        "Direction",
        "CallSid",
        "CallStatus",
    ),
    *("DialCallStatus", "DialBridged", "DialStatus", "QueueResult", "QueueTime", "QueuePosition"),
    *("RecordingUrl", "RecordingSid", "RecordingDuration", "RecordingStatus", "AvgQueueTime", "AnsweredBy"),
    *("TranscriptionText", "TranscriptionStatus"),
]
STATE = ("lang", "tries", "heard", "after", "moderated", "id", "Dial", "Next", "rounds")
PARAMETERS = sorted({name for _, names in twimlets.TWIMLETS.values() for name in names})
KEYS = ["", *"0123456789*#"]

# Any text, and text that means something to a flow.
ANY = st.text() | st.text(st.characters(categories=["Cc", "Cs", "Nd"]), max_size=8)
MEANT = st.sampled_from(
    [
        *(
            "",
            "0",
            "1",
            "2",
            "8",
            "9",
            "4321",
            "-1",
            "9999",
            "٣",
            "+",
            "http",
            "true",
            "false",
            "KR",
            "ko-KR",
        ),
        *(
            "completed",
            "queue",
            "client:bob",
            "leave",
            "machine_end_beep",
            "outbound-api",
            "anonymous",
            "rock",
        ),
        *(ANNA, CALLER, f"{PUBLIC}/x", "https://[", "https://media.example.com/a"),
        "<Response><Say>x</Say></Response>",
        f"<Response><Dial>{ANNA}</Dial><Dial timeLimit='86400'><Client>bob</Client></Dial></Response>",
    ]
)
VALUES = ANY | MEANT
FORMS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6)
STATES = st.lists(st.tuples(st.sampled_from(STATE), VALUES), max_size=4)
METHODS = st.sampled_from(["POST", "GET"])
INDEXES = st.sampled_from(["", "[]", "[0]", "[1]", "[22]", "[*]", "[x]", "[", "[9999999999999999]"])
GIVEN = st.lists(st.tuples(st.tuples(st.sampled_from(PARAMETERS), INDEXES).map("".join), VALUES), max_size=6)

LIMIT = 1_800
MEETING = 14_400
COMPANIES = [settings(), company(), company(TEAM_RING="all", BUSINESS_HOURS="Mon 09:00-10:00")]
STARTS = ["voice", "voice/client", "voice/step/outbound", *(f"voice/step/{name}" for name in steps.STEPS)]


def check(answer: Answer) -> None:
    """Twilio accepts it, its URLs are ours or on an allowed host, and each <Dial> has a time limit."""
    assert answer.twiml.tag == "Response"
    for dial in answer.twiml.iter("Dial"):
        most = MEETING if [noun.tag for noun in dial] == ["Conference"] else LIMIT
        assert 0 < int(dial.get("timeLimit", "0")) <= most
    for verb in answer.twiml.iter():
        for name, value in verb.attrib.items():
            if name == "action" or name.lower().endswith(("url", "callback")):
                assert urlsplit(value).hostname in {"switchboard.example.com", "media.example.com"}
        if verb.tag == "Say":
            assert verb.text
            assert len(verb.text) <= 4_096


@given(st.sampled_from(COMPANIES), st.sampled_from(STARTS), STATES, FORMS, METHODS, ANY)
def test_any_request_of_a_call_is_answered(
    known: Settings, start: str, state: list[tuple[str, str]], form: dict[str, str], method: str, say: str
) -> None:
    query = urlencode(state, errors="replace")
    check(ask(known, f"{start}?{query}", form, method=method, say=say))


@given(st.sampled_from(COMPANIES), st.sampled_from(sorted(twimlets.TWIMLETS)), GIVEN, STATES, FORMS, METHODS)
def test_any_request_of_a_twimlet_is_answered(
    known: Settings,
    name: str,
    parameters: list[tuple[str, str]],
    state: list[tuple[str, str]],
    form: dict[str, str],
    method: str,
) -> None:
    query = urlencode(parameters + state, errors="replace")
    check(ask(known, f"twimlets/{name}?{query}", form, method=method))
    posted = {**dict(parameters), **form}
    check(ask(known, f"twimlets/{name}?{urlencode(state, errors='replace')}", posted))


ALICE = {"From": "client:alice", "To": "", "Direction": "inbound"}
AGENT = {"From": ANNA}
PEOPLE = urlencode({"PhoneNumber": BEN, "PhoneNumbers[0]": BEN, "PhoneNumbers[1]": ANNA})
RINGS_BACK = {"From": OURS, "To": CALLER, "Direction": "outbound-api", "Digits": "1"}
ECHOED = urlencode({"Twiml": f"<Response><Dial>{ANNA}</Dial></Response>"})
# Every flow that dials, and how long those may talk whom it brings together.
DIALS: list[tuple[str, dict[str, str], str, int]] = [
    ("voice/step/menu", {"Digits": "1"}, "Number", LIMIT),
    ("voice/step/dialed?after=1", {"DialCallStatus": "no-answer"}, "Number", LIMIT),
    ("voice/step/dialed?after=2", {"DialCallStatus": "no-answer"}, "Client", LIMIT),
    ("voice/step/dialed?after=3", {"DialCallStatus": "no-answer"}, "Sip", LIMIT),
    ("voice/step/callback", RINGS_BACK, "Number", LIMIT),
    ("voice/step/agent-menu", {**AGENT, "Digits": "1"}, "Queue", LIMIT),
    ("voice/step/conference-pin", {"Digits": "4321"}, "Conference", MEETING),
    ("voice/step/conference-pin", {**AGENT, "Digits": "4321"}, "Conference", MEETING),
    ("voice/client", {**ALICE, "To": BEN}, "Number", LIMIT),
    ("voice/client", {**ALICE, "To": "client:bob"}, "Client", LIMIT),
    ("voice/client", {**ALICE, "To": "queue"}, "Queue", LIMIT),
    *((f"twimlets/{name}?{PEOPLE}", {}, "Number", LIMIT) for name in ("forward", "callme", "simulring")),
    (f"twimlets/findme?{PEOPLE}", {}, "Number", LIMIT),
    (f"twimlets/findme?{PEOPLE}&Dial=true&Next=1", {"DialCallStatus": "busy"}, "Number", LIMIT),
    ("twimlets/conference", {}, "Conference", MEETING),
    (f"twimlets/echo?{ECHOED}", {}, ".", LIMIT),
]


@pytest.mark.parametrize("seconds", ["60", "1800"])
@pytest.mark.parametrize(("url", "form", "noun", "most"), DIALS)
def test_every_dialed_call_ends_in_time(
    url: str, form: dict[str, str], noun: str, most: int, seconds: str
) -> None:
    (dial,) = ask(company(CALL_TIME_LIMIT=seconds), url, form).twiml.iter("Dial")
    assert dial.find(noun) is not None
    assert int(dial.attrib["timeLimit"]) == (int(seconds) if most == LIMIT else MEETING)


def test_the_calls_of_a_team_that_rings_all_at_once_end_in_time() -> None:
    dial = ask(company(TEAM_RING="all"), "voice/step/menu", {"Digits": "1"}).find("Dial")
    assert (len(dial), dial.get("timeLimit")) == (4, str(LIMIT))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("known", COMPANIES, ids=["newcomer", "company", "closed"])
def test_every_call_ends(known: Settings, start: str, key: str) -> None:
    for form in ({}, {"From": OURS, "To": CALLER, "Direction": "outbound-api"}, {"FromCountry": "KR"}):
        urls = list(islice(walk(known, start, form, key), 61))
        assert len(urls) <= 60, urls[-3:]


@given(st.sampled_from(sorted(twimlets.TWIMLETS.keys() - {"echo"})), GIVEN, st.sampled_from(KEYS))
def test_every_twimlet_ends(name: str, parameters: list[tuple[str, str]], key: str) -> None:
    query = urlencode(parameters, errors="replace")
    urls = list(islice(walk(company(), f"twimlets/{name}?{query}", {}, key), 61))
    assert len(urls) <= 60, urls[-3:]
