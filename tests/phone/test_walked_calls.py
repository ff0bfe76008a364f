"""Calls of the emulator whose TwiML the phone carries out, created over REST and inbound."""

import io
import wave
from collections.abc import Iterator

import pytest
import requests
from twilio.rest import Client

from local.phone.walker import walk_twiml
from local.twilio import ACCOUNT_SID, AUTH_TOKEN, NUMBER, Emulator, Number, Options, Pace
from local.twilio.carrier.exchange.leg import Leg
from local.twilio.carrier.exchange.telephony import Telephony
from local.twilio.carrier.exchange.web_requests import Target
from local.twilio.simulator import Simulator
from tests import openapi
from tests.listener import Answer, Listener

PERSON = "+12025550101"
OTHER = "+12025550102"


@pytest.fixture(scope="session")
def running_walking_emulator() -> Iterator[Emulator]:
    with Emulator(Options(pace=Pace(step=0.01, talk=0.05)), twiml=walk_twiml) as emulator:
        yield emulator


@pytest.fixture
def walking(running_walking_emulator: Emulator, listener: Listener) -> Iterator[Emulator]:
    """An emulator whose calls are walked; its number's calls and texts go to the listener."""
    emulator = running_walking_emulator
    exchanges: list[object] = []
    number = Number(voice_url=f"{listener.url}/voice", status_callback=f"{listener.url}/status")
    emulator.reset(Options(pace=Pace(step=0.01, talk=0.05), numbers=(number,)))
    emulator.on_rest_request(exchanges.append)
    yield emulator
    emulator.on_rest_request(None)
    emulator.close_handsets()
    assert not openapi.problems(exchanges)  # type: ignore[arg-type]


@pytest.fixture
def client(walking: Emulator) -> Client:
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = walking.url
    return client


def statuses(listener: Listener, path: str = "/status") -> list[str]:
    return [each.form["CallStatus"] for each in listener.to(path)]


def test_an_inbound_call_is_walked_to_its_end(walking: Emulator, listener: Listener) -> None:
    listener.answers["/voice"] = Answer("<Response><Redirect>/next</Redirect></Response>")
    listener.answers["/next"] = Answer("<Response><Sms>See you</Sms><Hangup/></Response>")
    result = walking.inbound_call(PERSON, NUMBER)
    assert "<Redirect>" in result.twiml
    walking.settle()
    (call,) = walking.calls()
    assert call["status"] == "completed"
    assert [url for url, _ in call["documents"]] == [f"{listener.url}/voice", f"{listener.url}/next"]
    assert statuses(listener) == ["completed"]
    (message,) = walking.messages(PERSON)
    assert message["body"] == "See you"
    assert all(each.is_signed(AUTH_TOKEN) for each in listener.requests)


def an_hour_goes_by(emulator: Emulator) -> None:
    def go_by(simulator: Simulator) -> None:
        simulator.live_calls._began -= 3600

    emulator.do(go_by)


def test_a_call_rings_for_its_whole_time_however_long_nobody_called(listener: Listener) -> None:
    pace = Pace(step=0.05, talk=600)  # a robot hangs up after `talk`
    number = Number(voice_url=f"{listener.url}/voice")
    listener.answers["/voice"] = Answer("<Response><Gather timeout='300'/><Hangup/></Response>")
    with Emulator(Options(pace=pace, numbers=(number,)), twiml=walk_twiml) as emulator:
        client = Client(ACCOUNT_SID, AUTH_TOKEN)
        client.api.base_url = emulator.url
        for _ in range(2):
            an_hour_goes_by(emulator)
            client.calls.create(to=PERSON, from_=NUMBER, twiml="<Response><Hangup/></Response>", timeout=30)
            emulator.settle()
            assert emulator.calls()[0]["status"] == "completed"
        an_hour_goes_by(emulator)
        call = emulator.inbound_call(PERSON, NUMBER)
        assert emulator.calls(NUMBER)[0]["status"] == "in-progress"
        client.calls(call.sid).update(status="completed")
        emulator.settle()


def test_a_call_by_rest_is_answered_by_a_robot_and_walked(
    walking: Emulator, client: Client, listener: Listener
) -> None:
    listener.answers["/hello"] = Answer("<Response><Play digits='1'/></Response>")
    call = client.calls.create(
        to=PERSON,
        from_=NUMBER,
        url=f"{listener.url}/hello",
        status_callback=f"{listener.url}/cb",
        status_callback_event=["initiated", "ringing", "answered", "completed"],
    )
    walking.settle()
    assert statuses(listener, "/cb") == ["initiated", "ringing", "in-progress", "completed"]
    fetched = client.calls(call.sid or "").fetch()
    assert fetched.status == "completed"
    assert fetched.duration is not None
    assert fetched.start_time is not None
    assert fetched.end_time is not None


def test_a_robot_leaves_when_it_is_asked_for_something(
    walking: Emulator, client: Client, listener: Listener
) -> None:
    listener.answers["/ask"] = Answer("<Response><Gather timeout='600'/></Response>")
    call = client.calls.create(to=PERSON, from_=NUMBER, url=f"{listener.url}/ask")
    walking.settle()
    assert client.calls(call.sid or "").fetch().status == "completed"


def test_a_dialed_leg_is_a_call_of_its_own(walking: Emulator, client: Client, listener: Listener) -> None:
    listener.answers["/voice"] = Answer(
        f"<Response><Dial action='/after'><Number statusCallback='/leg'>{OTHER}</Number></Dial></Response>"
    )
    walking.inbound_call(PERSON, NUMBER)
    walking.settle()
    parent, child = (walking.calls(to)[0] for to in (NUMBER, OTHER))
    assert child["parent_call_sid"] == parent["sid"]
    assert child["direction"] == "outbound-dial"
    assert client.calls(child["sid"]).fetch().status == "completed"
    (after,) = listener.to("/after")
    assert after.form["DialCallStatus"] == "completed"
    assert after.form["DialCallSid"] == child["sid"]
    assert statuses(listener, "/leg") == ["completed"]


@pytest.mark.parametrize("outcome", ["busy", "failed", "no-answer"])
def test_a_planned_outcome_is_how_the_call_ends(
    walking: Emulator, client: Client, listener: Listener, outcome: str
) -> None:
    walking.plan(kind="outcome", resource="calls", outcome=outcome)
    call = client.calls.create(
        to=PERSON, from_=NUMBER, url=f"{listener.url}/hello", status_callback=f"{listener.url}/cb"
    )
    walking.settle()
    assert client.calls(call.sid or "").fetch().status == outcome
    assert statuses(listener, "/cb") == [outcome]
    assert listener.to("/hello") == []


def test_detection_says_that_a_machine_answered(
    walking: Emulator, client: Client, listener: Listener
) -> None:
    walking.plan(kind="outcome", resource="calls", outcome="answered", answered_by="machine_start")
    listener.answers["/hello"] = Answer("<Response><Hangup/></Response>")
    call = client.calls.create(
        to=PERSON, from_=NUMBER, url=f"{listener.url}/hello", machine_detection="DetectMessageEnd"
    )
    walking.settle()
    assert listener.to("/hello")[0].form["AnsweredBy"] == "machine_end_beep"
    assert client.calls(call.sid or "").fetch().answered_by == "machine_end_beep"


def test_twiml_with_warnings_is_an_alert(walking: Emulator, listener: Listener) -> None:
    listener.answers["/voice"] = Answer("<Response><Hangup reason='none'/></Response>")
    walking.inbound_call(PERSON, NUMBER)
    walking.settle()
    assert [each["code"] for each in walking.alerts()] == [12200]


def test_a_voicemail_can_be_fetched_by_who_has_credentials(
    walking: Emulator, client: Client, listener: Listener
) -> None:
    listener.answers["/voice"] = Answer(
        "<Response><Record maxLength='2' timeout='0' playBeep='false' recordingStatusCallback='/rec'"
        " action='/done'/></Response>"
    )
    walking.pace(talk=30)
    walking.inbound_call(PERSON, NUMBER)
    walking.settle()
    (report,) = listener.to("/rec")
    sid, url = report.form["RecordingSid"], report.form["RecordingUrl"]
    assert client.recordings(sid).fetch().duration == "2"
    assert [each.sid for each in client.recordings.list(call_sid=report.form["CallSid"])] == [sid]
    file = requests.get(f"{url}.wav", auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=10)
    assert file.headers["Content-Type"] == "audio/x-wav"
    with wave.open(io.BytesIO(file.content)) as sound:
        assert sound.getnframes() / sound.getframerate() == 2
    assert requests.get(f"{url}.wav", timeout=10).status_code == 401
    assert client.recordings(sid).delete()
    assert requests.get(url, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=10).status_code == 404


def test_who_waits_in_a_queue_is_told_over_rest(
    walking: Emulator, listener: Listener, client: Client
) -> None:
    walking.open_handsets(PERSON, OTHER)  # people are on the line, and no robot, which would hang up
    listener.answers["/voice"] = Answer("<Response><Enqueue waitUrl='/wait'>support</Enqueue></Response>")
    listener.answers["/wait"] = Answer("<Response><Pause length='60'/></Response>")
    first = walking.inbound_call(PERSON, NUMBER)
    second = walking.inbound_call(OTHER, NUMBER)
    (queue,) = client.queues.list()
    assert (queue.friendly_name, queue.current_size) == ("support", 2)
    members = client.queues(queue.sid).members.list()
    assert [(each.call_sid, each.position) for each in members] == [(first.sid, 1), (second.sid, 2)]
    client.calls(first.sid).update(status="completed")
    members = client.queues(queue.sid).members.list()
    assert [(each.call_sid, each.position) for each in members] == [(second.sid, 1)]
    assert [each.current_size for each in client.queues.list()] == [1]
    client.calls(second.sid).update(status="completed")
    assert client.queues(queue.sid).members.list() == []
    assert {client.calls(each.sid).fetch().status for each in (first, second)} <= {"completed", "canceled"}


def test_an_inbound_call_may_be_rejected(walking: Emulator, listener: Listener) -> None:
    listener.answers["/voice"] = Answer("<Response><Reject reason='busy'/></Response>")
    walking.inbound_call(PERSON, NUMBER)
    walking.settle()
    assert (walking.calls()[0]["status"], walking.calls()[0]["price"]) == ("busy", None)


def test_a_dialed_leg_is_listed_by_its_parent(walking: Emulator, client: Client) -> None:
    call = client.calls.create(to=PERSON, from_=NUMBER, twiml=f"<Response><Dial>{OTHER}</Dial></Response>")
    walking.settle()
    (child,) = client.calls.list(parent_call_sid=call.sid or "")
    assert (child.direction, child.status, child.to) == ("outbound-dial", "completed", OTHER)


def test_ringing_stops_at_the_timeout(walking: Emulator, client: Client) -> None:
    walking.open_handsets(PERSON)  # and nobody picks up
    call = client.calls.create(to=PERSON, from_=NUMBER, twiml="<Response/>", timeout=1)
    walking.settle()
    assert client.calls(call.sid or "").fetch().status == "no-answer"


def test_a_script_that_fails_does_not_leave_the_call_up(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Telephony, __: Leg, ___: Target) -> None:
        raise ZeroDivisionError

    with Emulator(Options(pace=Pace(step=0.01, talk=0.05)), twiml=broken) as emulator:
        client = Client(ACCOUNT_SID, AUTH_TOKEN)
        client.api.base_url = emulator.url
        call = client.calls.create(to=PERSON, from_=NUMBER, twiml="<Response/>")
        emulator.settle()
        assert client.calls(call.sid or "").fetch().status == "completed"
    assert "ZeroDivisionError" in caplog.text
