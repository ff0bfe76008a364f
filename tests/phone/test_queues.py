"""<Enqueue>, its waitUrl, <Leave> and <Dial><Queue>, rule by rule."""

import pytest

from local.phone.testing import Line, Phone
from local.twilio.carrier.exchange.ringing import OutgoingCall
from local.twilio.carrier.exchange.web_requests import Target
from tests.phone.app import AGENT, CALLER, HOST, OTHER, OURS, App

WAIT = "<Say>Please hold</Say><Play>/music.mp3</Play>"


def waiting(wait: str = WAIT, attributes: str = "", **documents: str) -> App:
    return App(
        voice=f'<Enqueue action="/left" waitUrl="/wait" {attributes}>support</Enqueue><Say>Next</Say>',
        wait=wait,
        left="<Say>That was it</Say>",
        **documents,
    )


def agent_takes(phone: Phone, app: App, noun: str = "<Queue>support</Queue>", **attributes: str) -> Line:
    written = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    app.documents["agent"] = f'<Dial action="/served" {written}>{noun}</Dial><Say>Agent next</Say>'
    return phone.place(AGENT, url=f"{HOST}/agent").answer()


def test_a_waiting_caller_hears_the_wait_url_over_and_over() -> None:
    app = waiting()
    app.phone().dial(OURS).hears("Please hold").hears("music.mp3").hears("Please hold").hears("music.mp3")
    assert len(app.forms("wait")) == 2


def test_the_wait_url_is_told_the_callers_place() -> None:
    app = waiting()
    phone = app.phone()
    phone.dial(OURS)
    phone.wait(30)
    phone.dial(OURS, from_=OTHER)
    form = app.form("wait")
    assert form["QueuePosition"] == "2"
    assert form["CurrentQueueSize"] == "2"
    assert form["QueueTime"] == "0"
    assert form["AvgQueueTime"] == "15"
    assert form["MaxQueueSize"] == "1000"
    assert form["QueueSid"].startswith("QU")


def test_an_agent_is_connected_to_the_first_in_line() -> None:
    app = waiting()
    phone = app.phone()
    first, second = phone.dial(OURS), phone.dial(OURS, from_=OTHER)
    phone.wait(40)
    agent = agent_takes(phone, app)
    agent.is_connected_to(CALLER).says("How can I help?")
    first.hears("How can I help?")
    second.does_not_hear("How can I help?")
    assert app.forms("left") == []
    agent.wait(100).hang_up()
    first.hears("That was it")
    form = app.form("left")
    assert form["QueueResult"] == "bridged"
    assert form["QueueTime"] == "40"


def test_the_agents_action_hears_how_it_went() -> None:
    app = waiting()
    phone = app.phone()
    caller = phone.dial(OURS)
    phone.wait(40)
    agent = agent_takes(phone, app)
    caller.wait(60).hang_up()
    form = app.form("served")
    assert form["DialCallStatus"] == "completed"
    assert form["DialCallSid"] == caller.call.sid
    assert form["DialCallDuration"] == "60"
    assert form["DialBridged"] == "true"
    assert form["QueueTime"] == "40"
    assert form["DequeingCallSid"] == agent.call.sid
    assert app.form("left")["QueueResult"] == "bridged"
    assert app.form("left")["CallStatus"] == "completed"


def test_a_caller_hears_the_queues_url_before_being_connected() -> None:
    app = waiting(about="<Say>Your call is recorded</Say>")
    phone = app.phone()
    caller = phone.dial(OURS)
    agent = agent_takes(phone, app, '<Queue url="/about">support</Queue>')
    caller.hears("Your call is recorded")
    agent.is_connected_to(CALLER).does_not_hear("Your call is recorded")
    assert app.form("about")["DequeingCallSid"] == agent.call.sid
    assert app.form("about")["CallSid"] == caller.call.sid


def test_a_caller_who_hangs_up_before_being_connected_leaves_the_agent_waiting() -> None:
    app = waiting(about='<Pause length="10"/>')
    phone = app.phone()
    caller = phone.dial(OURS)
    app.documents["agent"] = '<Dial action="/served"><Queue url="/about">support</Queue></Dial>'
    agent = phone.exchange.call_out(OutgoingCall(from_=OURS, to=AGENT, application=Target(f"{HOST}/agent")))
    phone.exchange.pick_up(agent)
    phone._make_requests()
    caller.hang_up()
    assert not app.forms("served")
    phone.dial(OURS, from_=OTHER)
    phone._line(agent).is_connected_to(OTHER)


def test_an_agent_waits_for_a_caller_until_the_timeout() -> None:
    app = waiting()
    phone = app.phone()
    phone.dial(OURS).hang_up()
    agent = agent_takes(phone, app, timeout="60")
    agent.wait(50)
    phone.dial(OURS)
    agent.is_connected_to(CALLER)


def test_an_agent_who_waits_in_vain_hears_no_answer() -> None:
    app = waiting()
    phone = app.phone()
    phone.dial(OURS).hang_up()
    agent_takes(phone, app).silence()
    assert app.form("served")["DialCallStatus"] == "no-answer"


def test_a_queue_that_never_was_fails() -> None:
    app = waiting()
    phone = app.phone()
    agent_takes(phone, app)
    assert app.form("served")["DialCallStatus"] == "failed"


def test_leave_goes_on_with_the_action() -> None:
    app = waiting('<Gather numDigits="1" action="/leave"><Say>Press 1</Say></Gather>', leave="<Leave/>")
    phone = app.phone()
    phone.dial(OURS).hears("Press 1").press("1").hears("That was it")
    assert app.form("left")["QueueResult"] == "leave"
    assert phone.exchange.queues["support"].members == []


def test_leave_without_an_action_goes_on_with_the_next_verb() -> None:
    app = App(voice='<Enqueue waitUrl="/wait">support</Enqueue><Say>Closed now</Say>', wait="<Leave/>")
    app.phone().dial(OURS).hears("Closed now").is_over()


def test_a_caller_who_hangs_up_in_line_is_reported() -> None:
    app = waiting()
    phone = app.phone()
    phone.dial(OURS).wait(12).hang_up()
    form = app.form("left")
    assert (form["QueueResult"], form["QueueTime"]) == ("hangup", "12")
    assert form["CallStatus"] == "completed"


def test_hangup_in_the_wait_url_ends_the_call() -> None:
    app = waiting("<Say>We are closing</Say><Hangup/>")
    app.phone().dial(OURS).hears("We are closing").wait(2).is_over()
    assert app.form("left")["QueueResult"] == "hangup"


@pytest.mark.parametrize("verb", ["<Dial>+12025550102</Dial>", "<Record/>", "<Enqueue>other</Enqueue>"])
def test_other_verbs_in_the_wait_url_are_an_error(verb: str) -> None:
    app = waiting(verb)
    app.phone().dial(OURS).hears("That was it")
    assert app.form("left")["QueueResult"] == "error"


def test_a_full_queue_refuses() -> None:
    app = waiting(attributes='maxQueueSize="1"')
    phone = app.phone()
    phone.dial(OURS)
    phone.dial(OURS, from_=OTHER).hears("That was it")
    form = app.form("left")
    assert form["QueueResult"] == "queue-full"
    assert "QueueSid" not in form
    assert [each.code for each in phone.notices] == [14207]


@pytest.mark.parametrize(("name", "code"), [("", 14204), ("q" * 65, 14205)])
def test_a_queue_needs_a_name_of_at_most_64_characters(name: str, code: int) -> None:
    app = App(voice=f'<Enqueue action="/left">{name}</Enqueue>')
    phone = app.phone()
    phone.dial(OURS)
    assert [each.code for each in phone.notices] == [code]
    assert app.form("left")["QueueResult"] == "error"


def test_a_wait_url_that_fails_is_an_error() -> None:
    app = waiting("<Say>unclosed")
    app.phone().dial(OURS)
    assert app.form("left")["QueueResult"] == "error"


def test_without_a_wait_url_there_is_twilios_music() -> None:
    app = App(voice="<Enqueue>support</Enqueue>")
    app.phone().dial(OURS).hears("hold music")
    assert app.paths() == ["voice"]


def test_an_empty_wait_url_is_silence() -> None:
    app = App(voice='<Enqueue waitUrl="">support</Enqueue>')
    app.phone().dial(OURS).does_not_hear("hold music")


def test_an_empty_wait_document_is_not_asked_for_without_pause() -> None:
    app = waiting("")
    app.phone().dial(OURS).wait(10)
    assert len(app.forms("wait")) <= 11


def test_rest_takes_a_caller_out_of_the_queue() -> None:
    app = waiting(elsewhere="<Say>Over here</Say>")
    phone = app.phone()
    caller = phone.dial(OURS)
    phone.exchange.redirect(caller.call, Target(f"{HOST}/elsewhere"))
    phone.settle()
    caller.hears("Over here").does_not_hear("That was it")
    assert app.form("left")["QueueResult"] == "redirected"


def test_a_redirect_after_being_connected_says_so() -> None:
    app = waiting(elsewhere="<Say>Over here</Say>")
    phone = app.phone()
    caller = phone.dial(OURS)
    agent = agent_takes(phone, app)
    phone.exchange.redirect(caller.call, Target(f"{HOST}/elsewhere"))
    phone.settle()
    caller.hears("Over here")
    assert app.form("left")["QueueResult"] == "redirected-from-bridged"
    assert app.form("served")["DialCallStatus"] == "completed"
    agent.is_over()
