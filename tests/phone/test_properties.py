"""Calls end and nothing is raised, whatever an application answers and people do."""

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from hypothesis import given, settings
from hypothesis import strategies as st

from local.phone.twiml.schema import Known, grammar
from local.twilio.carrier.exchange.signals import Pickup
from local.twilio.carrier.exchange.web_requests import Answer, NoResponse, Target, WebResponse
from tests.phone.app import AGENT, HOST, OURS, App

WORDS = ["", "0", "1", "5", "-1", "#", "true", "false", "auto", "GET", "POST", "busy", "initiated", "support"]
PLACES = ["/a", "/b", "b?x=y", "http://[", AGENT, "client:joey", "sip:a@example.com", "dtmf speech", "Enable"]
VALUES = st.sampled_from([*WORDS, *PLACES])
TEXTS = VALUES | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)


def elements(known: Known, depth: int = 3) -> st.SearchStrategy[str]:
    """XML elements that the grammar knows, and some that it does not know."""

    @st.composite
    def element(draw: st.DrawFn) -> str:
        names = sorted(known.children)
        name = draw(st.sampled_from(names)) if names else "Unknown"
        child = known.children.get(name)
        attributes = sorted(child.attributes) if child else []
        given_values = draw(st.dictionaries(st.sampled_from([*attributes, "odd"]), VALUES, max_size=4))
        written = "".join(
            f" {key}={quoteattr(value)}" for key, value in given_values.items() if ":" not in key
        )
        inner = escape(draw(TEXTS))
        if child and child.children and depth:
            inner += "".join(draw(st.lists(elements(child, depth - 1), max_size=2)))
        return f"<{name}{written}>{inner}</{name}>"

    return element()


DOCUMENTS = st.lists(elements(grammar()), max_size=4).map("".join)
ANSWERS = st.one_of(
    DOCUMENTS.map(lambda body: WebResponse(200, "text/xml", f"<Response>{body}</Response>".encode())),
    st.builds(
        WebResponse,
        st.sampled_from([200, 204, 302, 404, 500]),
        st.sampled_from(["text/xml", "text/plain", "audio/mpeg", "application/json", ""]),
        st.binary(max_size=40),
    ),
    st.just(NoResponse(11205, "connection refused")),
)
ACTIONS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["press", "speak", "wait", "hang_up", "pick_up", "machine", "turn_down", "redirect"]),
        st.sampled_from(["1", "#", "*", "sales", "60"]),
    ),
    max_size=6,
)


def act(phone: Any, who: int, what: str, text: str) -> None:
    calls = [call for call in phone.exchange.legs.values() if not call.is_over]
    if what == "wait" or not calls:
        phone.wait(40)
        return
    call = calls[who % len(calls)]
    match what:
        case "press":
            phone.exchange.press(call, text if text in "1#*" else "5")
        case "speak":
            phone.exchange.speak(call, text)
        case "hang_up":
            phone.exchange.hang_up(call)
        case "pick_up" | "machine":
            phone.exchange.pick_up(call, Pickup(machine=what == "machine"))
        case "turn_down":
            phone.exchange.turn_down(call)
        case "redirect":
            phone.exchange.redirect(call, Target(f"{HOST}/b"))
    phone.settle()


@settings(max_examples=150, deadline=None)
@given(answers=st.lists(ANSWERS, min_size=1, max_size=3), actions=ACTIONS)
def test_any_application_and_any_people_come_to_an_end(
    answers: list[Answer], actions: list[tuple[int, str, str]]
) -> None:
    app = App(voice=answers[0], a=answers[len(answers) // 2], b=answers[-1])
    phone = app.phone(fallback="b", status="status")
    phone.dial(OURS)
    for who, what, text in actions:
        act(phone, who, what, text)
    for call in list(phone.exchange.legs.values()):
        phone.exchange.complete(call)
    phone.settle()
    assert all(call.is_over for call in phone.exchange.legs.values())
    assert not any(phone.exchange.is_running(call) for call in phone.exchange.legs.values())
    assert not phone.exchange.conferences
    assert not any(queue.members or queue.agents for queue in phone.exchange.queues.values())
    assert phone.transcript()


VERBS = st.sampled_from(
    [
        "<Say>Hello</Say>",
        '<Pause length="3"/>',
        '<Gather numDigits="1" action="/a"><Say>Press</Say></Gather>',
        '<Gather input="dtmf speech" action="/b" actionOnEmptyResult="true"/>',
        '<Record action="/a" maxLength="9" transcribe="true" transcribeCallback="/t"/>',
        "<Redirect>/b</Redirect>",
        "<Hangup/>",
        "<Reject/>",
        "<Leave/>",
        '<Sms action="/b">Hi</Sms>',
        '<Enqueue action="/a" waitUrl="/b">line</Enqueue>',
        '<Enqueue waitUrl="">line</Enqueue>',
        '<Dial action="/b" hangupOnStar="true"><Queue url="/a">line</Queue></Dial>',
        '<Dial><Conference waitUrl="/a" endConferenceOnExit="true">room</Conference></Dial>',
        '<Dial hangupOnStar="true"><Conference startConferenceOnEnter="false">room</Conference></Dial>',
        f'<Dial action="/a" record="record-from-ringing"><Number url="/b">{AGENT}</Number></Dial>',
        f'<Dial sequential="true"><Number>{AGENT}</Number><Client url="/a">joey</Client></Dial>',
        '<Dial answerOnBridge="true" timeLimit="20"><Sip statusCallback="/s">sip:a@example.com</Sip></Dial>',
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    documents=st.lists(st.lists(VERBS, max_size=3).map("".join), min_size=3, max_size=3),
    callers=st.integers(1, 4),
    actions=ACTIONS,
)
def test_people_in_queues_and_conferences_always_get_out(
    documents: list[str], callers: int, actions: list[tuple[int, str, str]]
) -> None:
    app = App(voice=documents[0], a=documents[1], b=documents[2])
    phone = app.phone(fallback="b", status="status")
    for number in range(callers):
        phone.dial(OURS, from_=f"+120255501{number + 10}")
    for who, what, text in actions:
        act(phone, who, what, text)
    for call in list(phone.exchange.legs.values()):
        phone.exchange.hang_up(call)
        phone.settle()
        assert call.is_over
        assert not phone.exchange.is_running(call)
        assert call.peer is None
        assert not any(each.others(call) is not None for each in phone.exchange.conferences.values())
    phone.wait(100)
    assert all(call.is_over for call in phone.exchange.legs.values())
    assert not phone.exchange.conferences
    assert not any(queue.members or queue.agents for queue in phone.exchange.queues.values())


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=200), content_type=st.sampled_from(["text/xml", "text/plain", "text/html"]))
def test_no_body_raises(body: bytes, content_type: str) -> None:
    phone = App(voice=WebResponse(200, content_type, body)).phone()
    phone.dial(OURS).is_over()


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=80))
def test_what_is_said_is_what_was_written(text: str) -> None:
    phone = App(voice=f"<Say>{escape(text)}</Say>").phone()
    assert phone.dial(OURS).said == ([" ".join(text.split())] if text.split() else [])
