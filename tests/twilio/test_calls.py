"""Calls over REST: what is accepted, how calls progress and are reported, and changes while they are up."""

from datetime import UTC, datetime, timedelta

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from local.twilio import AUTH_TOKEN, NUMBER, Emulator, Options
from tests.listener import Answer, Listener
from tests.twilio.waiting import until

PERSON = "+12025550101"
SAY = "<Response><Say>Hello</Say></Response>"
EVENTS = ["initiated", "ringing", "answered", "completed"]


def place(client: Client, **values: object) -> str:
    return str(client.calls.create(**{"to": PERSON, "from_": NUMBER, "twiml": SAY, **values}).sid)


def refusal(client: Client, **values: object) -> int:
    with pytest.raises(TwilioRestException) as caught:
        place(client, **values)
    return int(caught.value.code)


def in_progress(client: Client, sid: str) -> None:
    until(lambda: client.calls(sid).fetch().status == "in-progress")


def test_a_call_rings_is_answered_and_ends(client: Client, emulator: Emulator, listener: Listener) -> None:
    listener.answers["/voice"] = Answer(SAY)
    created = client.calls.create(
        to=PERSON,
        from_=NUMBER,
        url=f"{listener.url}/voice?Message=Hello%20there",
        status_callback=f"{listener.url}/status",
        status_callback_event=EVENTS,
    )
    assert (created.status, created.direction, created.to_formatted) == (
        "queued",
        "outbound-api",
        "(202) 555-0101",
    )
    emulator.settle()
    call = client.calls(created.sid or "").fetch()
    assert (call.status, call.duration, call.price) == ("completed", "1", "-0.01400")
    assert emulator.calls(PERSON)[0]["documents"] == [(f"{listener.url}/voice?Message=Hello%20there", SAY)]
    (voice,) = listener.to("/voice")
    assert voice.is_signed(AUTH_TOKEN)
    assert voice.form["CallStatus"] == "in-progress"
    assert voice.form["Direction"] == "outbound-api"
    status = listener.to("/status")
    assert [each.form["CallStatus"] for each in status] == [
        "initiated",
        "ringing",
        "in-progress",
        "completed",
    ]
    assert [each.form["SequenceNumber"] for each in status] == ["0", "1", "2", "3"]
    assert all(each.is_signed(AUTH_TOKEN) for each in status)
    assert status[0].form.keys() >= {
        "CallSid",
        "AccountSid",
        "From",
        "To",
        "ApiVersion",
        "Direction",
        "FromCountry",
        "ToCountry",
        "Timestamp",
        "CallbackSource",
    }
    assert status[3].form["CallDuration"] == "1"
    assert status[3].form["Duration"] == "1"
    assert status[3].form["SipResponseCode"] == "200"


def test_only_the_end_is_called_back_by_default(
    client: Client, emulator: Emulator, listener: Listener
) -> None:
    place(client, status_callback=f"{listener.url}/status")
    emulator.settle()
    assert [each.form["CallStatus"] for each in listener.to("/status")] == ["completed"]


@pytest.mark.parametrize(("outcome", "sip"), [("busy", "486"), ("no-answer", "487"), ("failed", "404")])
def test_what_is_not_answered_ends_as_such(
    client: Client, emulator: Emulator, listener: Listener, outcome: str, sip: str
) -> None:
    emulator.plan(kind="outcome", outcome=outcome)
    sid = place(client, url=f"{listener.url}/voice", twiml=None, status_callback=f"{listener.url}/status")
    emulator.settle()
    call = client.calls(sid).fetch()
    assert (call.status, call.duration, call.price) == (outcome, "0", None)
    (callback,) = listener.to("/status")
    assert (callback.form["CallStatus"], callback.form["SipResponseCode"]) == (outcome, sip)
    assert callback.form["CallDuration"] == "0"
    assert listener.to("/voice") == []


def test_machine_detection_tells_the_app_who_answered(
    client: Client, emulator: Emulator, listener: Listener
) -> None:
    for detection, expected in (("Enable", "machine_start"), ("DetectMessageEnd", "machine_end_beep")):
        emulator.plan(kind="outcome", outcome="answered", answered_by="machine_start")
        sid = place(client, twiml=None, url=f"{listener.url}/{detection}", machine_detection=detection)
        emulator.settle()
        assert listener.to(f"/{detection}")[0].form["AnsweredBy"] == expected
        assert client.calls(sid).fetch().answered_by == expected
    sid = place(client)
    emulator.settle()
    assert client.calls(sid).fetch().answered_by is None


def test_asynchronous_machine_detection_has_a_callback_of_its_own(
    client: Client, emulator: Emulator, listener: Listener
) -> None:
    place(
        client, machine_detection="Enable", async_amd="true", async_amd_status_callback=f"{listener.url}/amd"
    )
    emulator.settle()
    (request,) = listener.to("/amd")
    assert request.form["AnsweredBy"] == "human"
    assert request.is_signed(AUTH_TOKEN)


def test_a_recording_is_announced(client: Client, emulator: Emulator, listener: Listener) -> None:
    place(
        client,
        record=True,
        recording_status_callback=f"{listener.url}/recording",
        status_callback=f"{listener.url}/status",
    )
    emulator.settle()
    (request,) = listener.to("/recording")
    assert request.form["RecordingStatus"] == "completed"
    assert request.form["RecordingSid"] == listener.to("/status")[0].form["RecordingSid"]


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("+15005550001", 21217),
        ("+15005550002", 21214),
        ("+15005550003", 21215),
        ("+15005550004", 21216),
        ("nobody", 21211),
        ("", 21201),
    ],
)
def test_recipients_are_refused_as_twilio_refuses_them(client: Client, to: str, code: int) -> None:
    assert refusal(client, to=to) == code


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"from_": "+15005550001"}, 21212),
        ({"from_": "+12025550177"}, 21210),
        ({"from_": ""}, 21213),
        ({"twiml": None}, 21205),
        ({"url": "ftp://example.com/"}, 21205),
        ({"timeout": 601}, 21208),
        ({"method": "PUT"}, 21209),
        ({"machine_detection": "Maybe"}, 21234),
        ({"status_callback": "nowhere"}, 21609),
        ({"status_callback_event": ["finished"]}, 21626),
        ({"application_sid": "AP" + "3" * 32}, 21218),
    ],
)
def test_bad_parameters_are_refused(client: Client, values: dict[str, object], code: int) -> None:
    assert refusal(client, **values) == code


def test_lists_are_filtered(client: Client, emulator: Emulator) -> None:
    first = place(client)
    emulator.settle()
    emulator.pace(step=30)
    second = place(client, to="+12025550102")
    now = datetime.now(UTC)
    assert [each.sid for each in client.calls.list()] == [second, first]
    assert [each.sid for each in client.calls.list(to=PERSON)] == [first]
    assert [each.sid for each in client.calls.list(status="queued")] == [second]
    assert [each.sid for each in client.calls.list(start_time=now.date())] == [first]
    assert client.calls.list(start_time_after=now + timedelta(hours=1)) == []
    assert [each.sid for each in client.calls.list(end_time_before=now + timedelta(hours=1))] == [first]
    assert client.calls.list(parent_call_sid=first) == []


def test_a_live_call_is_redirected(client: Client, emulator: Emulator, listener: Listener) -> None:
    emulator.pace(talk=30)
    listener.answers["/next"] = Answer("<Response><Hangup/></Response>")
    sid = place(client)
    in_progress(client, sid)
    client.calls(sid).update(url=f"{listener.url}/next", method="GET")
    until(lambda: listener.to("/next"))
    (request,) = listener.to("/next")
    assert request.method == "GET"
    assert request.is_signed(AUTH_TOKEN)
    client.calls(sid).update(twiml="<Response><Pause/></Response>")
    documents = until(lambda: (found := emulator.calls()[0]["documents"])[2:] and found)
    assert [twiml for _, twiml in documents] == [
        SAY,
        "<Response><Hangup/></Response>",
        "<Response><Pause/></Response>",
    ]
    assert client.calls(sid).fetch().status == "in-progress"


def test_a_live_call_is_completed(client: Client, emulator: Emulator, listener: Listener) -> None:
    emulator.pace(talk=30)
    sid = place(client, status_callback=f"{listener.url}/status")
    in_progress(client, sid)
    assert client.calls(sid).update(status="canceled").status == "in-progress"
    assert client.calls(sid).update(status="completed").status == "completed"
    emulator.settle()
    assert [each.form["CallStatus"] for each in listener.to("/status")] == ["completed"]


def test_a_ringing_call_is_canceled_and_cannot_be_redirected(
    client: Client, emulator: Emulator, listener: Listener
) -> None:
    emulator.pace(step=30)
    sid = place(client, status_callback=f"{listener.url}/status")
    with pytest.raises(TwilioRestException) as caught:
        client.calls(sid).update(twiml=SAY)
    assert caught.value.code == 21220
    assert client.calls(sid).update(status="canceled").status == "canceled"
    until(lambda: listener.to("/status"))
    assert listener.to("/status")[0].form["CallStatus"] == "canceled"


def test_an_ended_call_can_only_be_deleted(client: Client, emulator: Emulator) -> None:
    sid = place(client)
    with pytest.raises(TwilioRestException) as caught:
        client.calls(sid).delete()
    assert (caught.value.status, caught.value.code) == (409, 20009)
    emulator.settle()
    with pytest.raises(TwilioRestException) as caught:
        client.calls(sid).update(status="completed")
    assert (caught.value.status, caught.value.code) == (400, 21220)
    assert client.calls(sid).delete()
    with pytest.raises(TwilioRestException) as caught:
        client.calls(sid).fetch()
    assert caught.value.code == 20404
    assert [each["sid"] for each in emulator.ledger()["calls"]] == [sid]


def test_a_time_limit_ends_the_call(client: Client, emulator: Emulator) -> None:
    emulator.pace(talk=30)
    sid = place(client, time_limit=1)
    emulator.settle()
    assert client.calls(sid).fetch().status == "completed"
    other = place(client)
    in_progress(client, other)
    client.calls(other).update(time_limit=1)
    emulator.settle()
    assert client.calls(other).fetch().status == "completed"


def test_the_fallback_is_told_why(client: Client, emulator: Emulator, listener: Listener) -> None:
    listener.answers["/voice"] = Answer("", status=500)
    listener.answers["/fallback"] = Answer(SAY)
    place(client, twiml=None, url=f"{listener.url}/voice", fallback_url=f"{listener.url}/fallback")
    emulator.settle()
    (request,) = listener.to("/fallback")
    assert request.form["ErrorCode"] == "11200"
    assert request.form["ErrorUrl"] == f"{listener.url}/voice"
    assert request.is_signed(AUTH_TOKEN)
    assert emulator.calls()[0]["documents"][-1] == (f"{listener.url}/fallback", SAY)


def test_an_application_says_where_everything_goes(
    client: Client, emulator: Emulator, listener: Listener
) -> None:
    application = client.applications.create(
        friendly_name="softphone",
        voice_url=f"{listener.url}/app",
        voice_method="GET",
        status_callback=f"{listener.url}/status",
    )
    place(client, twiml=None, application_sid=application.sid)
    emulator.settle()
    (request,) = listener.to("/app")
    assert request.method == "GET"
    assert f"ApplicationSid={application.sid}" in request.url
    assert request.is_signed(AUTH_TOKEN)
    assert len(listener.to("/status")) == 1


# Inbound calls


def test_an_inbound_call_fetches_signed_twiml(emulator: Emulator, listener: Listener) -> None:
    listener.answers["/voice"] = Answer(SAY)
    emulator.configure_number(voice_url=f"{listener.url}/voice", status_callback=f"{listener.url}/status")
    result = emulator.inbound_call(PERSON, NUMBER)
    assert (result.status, result.twiml, result.error) == (200, SAY, "")
    (request,) = listener.to("/voice")
    assert request.is_signed(AUTH_TOKEN)
    assert request.form["CallStatus"] == "ringing"
    assert request.form["Direction"] == "inbound"
    assert request.form["Caller"] == request.form["From"] == PERSON
    assert request.form["Called"] == request.form["To"] == NUMBER
    assert request.form["FromState"] == "DC"
    assert request.form["StirVerstat"] == "TN-Validation-Passed-A"
    emulator.settle()
    (status,) = listener.to("/status")
    assert (status.form["CallStatus"], status.form["SequenceNumber"]) == ("completed", "0")
    assert emulator.ledger()["calls"] == []


def test_an_inbound_call_without_twiml_still_ends(emulator: Emulator, listener: Listener) -> None:
    listener.answers["/voice"] = Answer("", status=403)
    emulator.configure_number(voice_url=f"{listener.url}/voice")
    result = emulator.inbound_call(PERSON, NUMBER)
    assert (result.status, result.error) == (403, "11200: HTTP 403")
    emulator.settle()
    assert emulator.calls()[0]["status"] == "completed"
    assert [each["code"] for each in emulator.alerts()] == [11200]


def test_calls_of_other_people_are_not_ours_to_place(emulator: Emulator) -> None:
    emulator.reset(Options(numbers=()))
    with pytest.raises(ValueError, match="to: must be a number of the account"):
        emulator.inbound_call(PERSON, NUMBER)
