"""Calls that REST places, answering machines, and what REST does to live calls."""

import pytest

from local.twilio.carrier.exchange.leg import MachineDetection, RecordingRequest, StatusCallback
from local.twilio.carrier.exchange.web_requests import Target
from tests.phone.app import AGENT, CALLER, HOST, OURS, App

PROGRESS = StatusCallback(f"{HOST}/cb", events=frozenset({"initiated", "ringing", "answered", "completed"}))


def test_an_answered_call_hears_its_twiml() -> None:
    app = App(hello="<Say>This is a reminder</Say>")
    phone = app.phone()
    phone.place(AGENT, url=f"{HOST}/hello").answer().hears("reminder").is_over()
    form = app.form("hello")
    assert form["Direction"] == "outbound-api"
    assert (form["From"], form["To"]) == (OURS, AGENT)
    assert form["CallStatus"] == "in-progress"
    assert "AnsweredBy" not in form


def test_its_progress_is_reported_in_order() -> None:
    app = App(hello='<Pause length="30"/>')
    app.phone().place(AGENT, url=f"{HOST}/hello", callback=PROGRESS).answer()
    statuses = [each["CallStatus"] for each in app.forms("cb")]
    assert statuses == ["initiated", "ringing", "in-progress", "completed"]
    assert app.form("cb")["CallDuration"] == "30"


@pytest.mark.parametrize(
    ("do", "status"), [("decline", "busy"), ("cannot_be_reached", "failed"), ("silence", "no-answer")]
)
def test_a_call_nobody_takes_ends_with_its_reason(do: str, status: str) -> None:
    app = App()
    call = app.phone().place(AGENT, url=f"{HOST}/hello", callback=PROGRESS, timeout=20)
    getattr(call, do)()
    call.is_over(status)
    assert app.form("cb")["CallStatus"] == status
    assert app.forms("hello") == []


@pytest.mark.parametrize(
    ("mode", "machine", "answered_by"),
    [
        ("Enable", False, "human"),
        ("Enable", True, "machine_start"),
        ("DetectMessageEnd", False, "human"),
        ("DetectMessageEnd", True, "machine_end_beep"),
    ],
)
def test_detection_says_who_answered_before_the_twiml(mode: str, machine: bool, answered_by: str) -> None:
    app = App(hello="<Say>Your order is ready</Say>")
    call = app.phone().place(AGENT, url=f"{HOST}/hello", detection=MachineDetection(mode))
    call.answer_as_machine(greeting=9) if machine else call.answer()
    assert app.form("hello")["AnsweredBy"] == answered_by


def test_a_message_for_a_machine_is_left_after_the_beep() -> None:
    app = App(hello="<Say>Your order is ready</Say>")
    call = app.phone().place(AGENT, url=f"{HOST}/hello", detection=MachineDetection("DetectMessageEnd"))
    call.answer_as_machine(greeting=12)
    assert call.left_on_machine == ["Your order is ready"]


def test_without_detection_a_machine_is_talked_over() -> None:
    app = App(hello="<Say>Your order is ready</Say>")
    call = app.phone().place(AGENT, url=f"{HOST}/hello").answer_as_machine(greeting=12)
    assert call.left_on_machine == []


def test_detection_gives_up_as_unknown() -> None:
    app = App(hello="<Say>Hello</Say>")
    detection = MachineDetection("DetectMessageEnd", timeout=10)
    app.phone().place(AGENT, url=f"{HOST}/hello", detection=detection).answer_as_machine(greeting=40)
    assert app.form("hello")["AnsweredBy"] == "unknown"


def test_asynchronous_detection_is_reported_while_the_twiml_runs() -> None:
    app = App(hello='<Say>Hello</Say><Pause length="20"/>')
    detection = MachineDetection("Enable", asynchronous=True, callback=StatusCallback(f"{HOST}/amd"))
    app.phone().place(AGENT, url=f"{HOST}/hello", detection=detection).answer_as_machine()
    assert "AnsweredBy" not in app.form("hello")
    assert app.form("amd")["AnsweredBy"] == "machine_start"
    assert app.form("amd")["MachineDetectionDuration"] == "4000"


def test_a_live_call_can_be_redirected() -> None:
    app = App(voice="<Gather/>", elsewhere="<Say>You were moved</Say>")
    phone = app.phone()
    call = phone.dial(OURS)
    phone.exchange.redirect(call.call, Target(f"{HOST}/elsewhere"))
    phone.settle()
    call.hears("You were moved").is_over()


def test_a_live_call_can_be_given_twiml() -> None:
    phone = App(voice="<Gather/>").phone()
    call = phone.dial(OURS)
    phone.exchange.redirect(call.call, Target(None, twiml="<Response><Say>New words</Say></Response>"))
    phone.settle()
    call.hears("New words")


def test_a_redirect_while_dialing_hangs_up_on_the_other() -> None:
    phone = App(voice=f"<Dial>{AGENT}</Dial>", elsewhere="<Say>Moved</Say>").phone()
    call = phone.dial(OURS)
    agent = phone.rings(AGENT).answer()
    phone.exchange.redirect(call.call, Target(f"{HOST}/elsewhere"))
    phone.settle()
    call.hears("Moved")
    agent.is_over()


def test_a_redirected_leg_lives_on_alone() -> None:
    app = App(voice=f'<Dial action="/after">{AGENT}</Dial>', elsewhere="<Say>On hold</Say><Gather/>")
    app.documents["after"] = "<Say>Your party left</Say>"
    phone = app.phone()
    call = phone.dial(OURS)
    agent = phone.rings(AGENT).answer()
    phone.exchange.redirect(agent.call, Target(f"{HOST}/elsewhere"))
    phone.settle()
    agent.hears("On hold")
    call.hears("Your party left")
    assert app.form("after")["DialCallStatus"] == "completed"
    assert "DialCallDuration" not in app.form("after")


def test_a_redirect_while_it_rings_is_heard_when_answered() -> None:
    app = App(hello="<Say>Old</Say>", other="<Say>New</Say>")
    phone = app.phone()
    call = phone.place(AGENT, url=f"{HOST}/hello")
    phone.exchange.redirect(call.call, Target(f"{HOST}/other"))
    call.answer().hears("New").does_not_hear("Old")


def test_a_live_call_can_be_completed() -> None:
    phone = App(voice=f"<Dial>{AGENT}</Dial>").phone()
    call = phone.dial(OURS)
    agent = phone.rings(AGENT).answer()
    phone.exchange.complete(call.call)
    call.is_over()
    agent.is_over()


def test_a_ringing_call_can_be_canceled_and_an_answered_one_cannot() -> None:
    phone = App(voice="<Gather/>").phone()
    ringing = phone.place(AGENT, url=f"{HOST}/voice")
    phone.exchange.cancel(ringing.call)
    ringing.is_over("canceled")
    live = phone.dial(OURS)
    phone.exchange.cancel(live.call)
    assert live.status == "in-progress"


def test_a_new_time_limit_replaces_the_earlier_one() -> None:
    phone = App(voice='<Gather timeout="600"/>').phone()
    call = phone.dial(OURS)
    phone.exchange.limit(call.call, 30)
    phone.exchange.limit(call.call, 90)
    call.wait(60)
    assert call.status == "in-progress"
    call.wait(60).is_over()


def test_one_person_can_have_two_calls() -> None:
    phone = App(voice="<Gather/>").phone()
    first, second = phone.dial(OURS), phone.dial(OURS)
    first.hang_up()
    assert second.status == "in-progress"
    assert second.call.party == CALLER


def test_a_call_that_rest_wants_recorded_is() -> None:
    app = App(hello='<Pause length="30"/>')
    phone = app.phone()
    recorded = RecordingRequest(channels=2, callback=StatusCallback(f"{HOST}/rec"))
    phone.place(AGENT, url=f"{HOST}/hello", callback=PROGRESS, recorded=recorded).answer()
    form = app.form("rec")
    assert form["RecordingSource"] == "OutboundAPI"
    assert form["RecordingDuration"] == "30"
    assert form["RecordingChannels"] == "2"
    assert app.form("cb")["RecordingSid"] == form["RecordingSid"] == phone.recordings[0].sid
