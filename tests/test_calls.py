"""shared/calls.py: one id rings once, and what cannot be rung is kept with its reason."""

import asyncio
import base64
import io
import json
import wave
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func
import pytest
import requests

from local.host.errors import InvocationFailed
from local.host.worker import QueuedMessage
from local.twilio import ACCOUNT_SID, AUTH_TOKEN, Double
from shared import calls, errors, recipients, webhook
from shared.call_ledger import Call
from shared.dead_letters import DeadLetter
from shared.outbound import CallRequest
from shared.services import Services
from shared.states import State
from tests.app import App
from tests.clock import NOW
from tests.front import Front
from tests.hanging import hanging_storage
from tests.settings import settings

PERSON = "+12025550101"


def request(**changes: object) -> dict[str, Any]:
    return {"to": PERSON, "say": "hello", "id": "call-1", **changes}


async def place(
    services: Services, asked: Mapping[str, Any], now: datetime = NOW, queue_id: str = "q1"
) -> None:
    await calls.place(json.dumps(asked).encode(), queue_id, services, now=now)


async def letters(services: Services) -> list[DeadLetter]:
    page = await services.dead_letters.page(limit=100)
    return [await services.dead_letters.get(each["id"]) for each in page["dead_letters"]]


def listen(front: Front, services: Services) -> None:
    """Let Twilio's status callbacks reach these services; a call's own URL says nothing."""

    async def handle(req: func.HttpRequest) -> func.HttpResponse:
        if "/status" in req.url:
            return await webhook.record(req, services, lambda got: calls.reported(got, services.calls))
        return func.HttpResponse("<Response/>", mimetype="text/xml")

    front.handle = handle


async def test_a_call_is_placed_with_what_was_asked_for(services: Services, double: Double) -> None:
    await place(services, request(timeout=30, time_limit=60, machine_detection="Enable", record=True))
    (sent,) = [each.form for each in double.exchanges()]
    origin = services.settings.public_base_url.replace(":", "%3A").replace("/", "%2F")
    for part in (
        "Timeout=30",
        "TimeLimit=60",
        "MachineDetection=Enable",
        "Record=True",
        f"Url={origin}%2Fapi",
    ):
        assert part.lower() in sent.lower()
    call = await services.calls.get("call-1")
    assert (call.state, call.to, call.sid) == ("submitted", PERSON, double.ledger()["calls"][0]["sid"])
    assert "hello" not in sent


async def test_what_to_say_is_asked_for_again_where_storage_hung(
    services: Services, double: Double, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "PATIENCE", 0.3)
    answers: list[int] = []
    async with hanging_storage() as account:
        stuck = Services(settings(PUBLIC_BASE_URL=front.url, AzureWebJobsStorage=account))

        async def handle(req: func.HttpRequest) -> func.HttpResponse:
            if "/status" in req.url:
                return func.HttpResponse(status_code=204)
            known = services if answers else stuck
            answer = await webhook.reply(
                req, known, lambda got, settings: calls.step("outbound", known, got, settings)
            )
            answers.append(answer.status_code)
            return answer

        front.handle = handle
        await place(services, request(say="your table is ready"))
        await double.settle_async()
        await stuck.close()
    assert answers[:2] == [503, 200]
    assert "your table is ready" in double.calls()[0]["documents"][-1][1]


async def test_a_call_always_has_a_time_limit(services: Services, double: Double) -> None:
    await place(services, request(say=None, twiml="<Response><Say>hello</Say></Response>"))
    assert "TimeLimit=1800" in double.exchanges()[0].form


async def test_one_id_rings_once_however_often_it_is_delivered(services: Services, double: Double) -> None:
    results = await asyncio.gather(
        *(place(services, request(), queue_id=f"q{n}") for n in range(6)), return_exceptions=True
    )
    assert all(each is None or isinstance(each, errors.Contended) for each in results)
    for hours in (0, 1, 100):
        await place(services, request(), NOW + timedelta(hours=hours))
    assert len(double.ledger()["calls"]) == 1
    assert await letters(services) == []


async def test_without_an_id_the_queue_messages_own_counts(services: Services, double: Double) -> None:
    asked = request()
    del asked["id"]
    for queue_id in ("q1", "q2", "q1"):
        await place(services, asked, queue_id=queue_id)
    assert len(double.ledger()["calls"]) == 2
    assert (await services.calls.get("q2")).state == "submitted"


async def test_the_status_of_a_call_is_followed_to_its_end(
    services: Services, double: Double, front: Front
) -> None:
    listen(front, services)
    await place(services, request())
    await double.settle_async()
    call = await services.calls.get("call-1")
    assert (call.state, call.sid) == ("completed", double.ledger()["calls"][0]["sid"])
    await calls.reconcile(services.calls, services.twilio, now=NOW + timedelta(days=1))
    assert await services.calls.in_doubt(NOW + timedelta(days=1)) == []


@pytest.mark.parametrize("outcome", ["busy", "no-answer", "failed"])
async def test_a_call_that_is_not_answered_ends_so(
    services: Services, double: Double, front: Front, outcome: str
) -> None:
    listen(front, services)
    double.plan(kind="outcome", outcome=outcome)
    await place(services, request())
    await double.settle_async()
    assert (await services.calls.get("call-1")).state == outcome


@pytest.mark.parametrize(
    "faults",
    [
        {"callbacks_early": 1.0},
        {"callbacks_reordered": 1.0, "callbacks_doubled": 1.0},
        {"callbacks_early": 1.0, "lost_answers": 1.0},
    ],
)
async def test_callbacks_in_any_order_end_in_what_is_true(
    services: Services,
    double: Double,
    front: Front,
    faults: dict[str, float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    listen(front, services)
    double.faults(**faults)
    await place(services, request())
    await double.settle_async()
    call = await services.calls.get("call-1")
    assert (call.state, call.sid) == ("completed", double.ledger()["calls"][0]["sid"])
    assert await services.calls.owner(call.sid) == "call-1"
    assert "keeps changing" not in caplog.text
    await calls.reconcile(services.calls, services.twilio, now=NOW + timedelta(days=1))
    assert await services.calls.in_doubt(NOW + timedelta(days=2)) == []


# What Twilio answers


@pytest.mark.parametrize("code", [21211, 21214, 21215, 21219, 13223])
async def test_what_twilio_refuses_is_a_dead_letter_at_once(
    services: Services, double: Double, code: int
) -> None:
    double.plan(kind="error", code=code)
    await place(services, request())
    call = await services.calls.get("call-1")
    (letter,) = await letters(services)
    assert (call.state, call.code, letter.call_id) == ("failed", code, "call-1")
    assert f"Twilio error {code}: " in letter.reason
    await place(services, request(), NOW + timedelta(hours=1))
    assert len(double.exchanges()) == 1


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (20429, 429, errors.Throttled),
        (20003, 401, errors.BadCredentials),
        *((ours, 400, errors.Misconfigured) for ours in (21606, 21408, 21212)),
        (63038, 429, errors.Misconfigured),
    ],
)
async def test_what_is_refused_for_now_is_tried_again_by_the_queue(
    services: Services, double: Double, code: int, status: int, kind: type[Exception]
) -> None:
    double.plan(kind="error", code=code, status=status)
    with pytest.raises(kind):
        await place(services, request())
    assert (await services.calls.get("call-1")).state == "pending"
    await place(services, request(), NOW + timedelta(minutes=1))
    assert (await services.calls.get("call-1")).state == "submitted"
    assert len(double.ledger()["calls"]) == 1


async def test_a_twilio_that_cannot_be_reached_is_tried_again(services: Services, double: Double) -> None:
    with double.away(), pytest.raises(errors.NotSent):
        await place(services, request())
    await place(services, request(), NOW + timedelta(minutes=1))
    assert len(double.ledger()["calls"]) == 1


@pytest.mark.parametrize("kind", ["lost", "reset", "server_error"])
async def test_a_lost_answer_never_rings_twice_and_is_settled_by_the_list(
    services: Services, double: Double, kind: str
) -> None:
    now = datetime.now(UTC)
    double.faults(callbacks_dark=True)
    double.plan(kind=kind)
    await place(services, request(), now)
    await place(services, request(), now)
    assert (await services.calls.get("call-1")).state == "unknown"
    await calls.reconcile(services.calls, services.twilio, now=now + timedelta(seconds=30))
    assert (await services.calls.get("call-1")).state == "unknown"
    await calls.reconcile(services.calls, services.twilio, now=now + timedelta(seconds=61))
    (rung,) = double.ledger()["calls"]
    assert (await services.calls.get("call-1")).sid == rung["sid"]
    assert await services.calls.owner(rung["sid"]) == "call-1"


async def test_a_call_that_twilio_never_lists_is_unresolved_and_not_rung_again(
    services: Services, double: Double
) -> None:
    now = datetime.now(UTC)
    double.plan(kind="lost", accepted=False)
    await place(services, request(), now)
    seen = []
    for minutes in (2, 4, 7, 60):
        await calls.reconcile(services.calls, services.twilio, now=now + timedelta(minutes=minutes))
        seen.append((await services.calls.get("call-1")).state.value)
    assert seen[-1] == "unresolved"
    assert double.ledger()["calls"] == []
    with pytest.raises(errors.Conflict):
        await calls.reopen("call-1", services.calls, now=now)


async def test_a_look_up_takes_no_other_calls_sid(services: Services, double: Double, front: Front) -> None:
    """Two calls to one number: the first known by its callback alone, the second lost before it arrived."""
    now = datetime.now(UTC)
    listen(front, services)
    double.plan(kind="lost")
    await place(services, request(), now)
    await double.settle_async()
    double.plan(kind="lost", accepted=False)
    await place(services, request(id="call-2"), now)
    await calls.reconcile(services.calls, services.twilio, now=now + timedelta(minutes=2))
    assert (await services.calls.get("call-1")).state == "completed"
    assert (await services.calls.get("call-2")).state == "unknown"


async def test_a_placing_that_died_is_looked_up_and_not_repeated(services: Services, double: Double) -> None:
    now = datetime.now(UTC)
    asked = CallRequest.parse(json.dumps(request()).encode(), "q1", services.settings)
    assert await calls._claim(asked, services.calls, now)
    with pytest.raises(errors.Contended):
        await place(services, request(), now + timedelta(seconds=60))
    await place(services, request(), now + timedelta(seconds=100))
    for minutes in (2, 9, 20):
        await calls.reconcile(services.calls, services.twilio, now=now + timedelta(minutes=minutes))
    assert (await services.calls.get("call-1")).state == "unresolved"
    assert [each for each in double.exchanges() if each.method == "POST"] == []


async def test_while_twilio_cannot_be_asked_one_question_is_enough(
    services: Services, double: Double
) -> None:
    now = datetime.now(UTC)
    double.plan(kind="lost", accepted=False, times=4)
    for number in range(4):
        await place(services, request(id=f"call-{number}"), now)
    double.faults(credentials_refused=True)
    before = len(double.exchanges())
    await calls.reconcile(services.calls, services.twilio, now=now + timedelta(minutes=2))
    assert len(double.exchanges()) == before + 1
    assert {(await services.calls.get(f"call-{n}")).looks for n in range(4)} == {0}


async def test_who_has_opted_out_is_not_rung(services: Services, double: Double) -> None:
    await recipients.opt_out(services.messages, PERSON, now=NOW, source="9")
    await place(services, request())
    call = await services.calls.get("call-1")
    assert (call.state, call.reason, double.exchanges()) == ("suppressed", "the recipient has opted out", [])
    assert await services.calls.in_doubt(NOW + timedelta(days=1)) == []


# What cannot be a call


BAD: list[tuple[bytes, str]] = [
    (b"", "neither JSON nor base64"),
    (b"ring my friend", "neither JSON nor base64"),
    (b"\xff\xfe", "neither JSON nor base64"),
    (b"[1]", "neither JSON nor base64"),
    (base64.b64encode(b"[1]"), "must be a JSON object"),
    (base64.b64encode(b"not JSON"), "neither JSON nor base64"),
    (b'{"to": "\\ud800"}', "neither JSON nor base64"),
    (b"{" * 9999, "neither JSON nor base64"),
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"to": None}, "to: "),
    ({"to": "2025550101"}, "to: "),
    ({"to": "+442079460000"}, "to: is in GB"),
    ({"to": "+19002345678"}, "to: is a premium rate"),
    ({"to": 7}, "to: "),
    ({"say": None}, "say: exactly one"),
    ({"url": "http://localhost:7071/x"}, "url: exactly one"),
    ({"twiml": "<Response/>"}, "twiml: exactly one"),
    ({"say": "x" * 4001}, "say: must be at most 4,000"),
    ({"say": ""}, "say: "),
    ({"say": ["hello"]}, "say: "),
    ({"say": None, "url": "https://evil.example/x"}, "url: is on evil.example"),
    ({"say": None, "url": "file:///etc/passwd"}, "url: "),
    ({"say": None, "twiml": "<Response><Dial>+442079460000</Dial></Response>"}, "twiml: "),
    ({"say": None, "twiml": "<Response><Play>https://evil.example/a.mp3</Play></Response>"}, "twiml: "),
    ({"say": None, "twiml": "<Response>"}, "twiml: "),
    ({"from": "us"}, "from: "),
    ({"id": "a/b"}, "id: "),
    ({"id": "x" * 101}, "id: "),
    ({"id": 7}, "id: "),
    ({"timeout": 4}, "timeout: "),
    ({"timeout": "30"}, "timeout: "),
    ({"timeout": True}, "timeout: "),
    ({"time_limit": 0}, "time_limit: "),
    ({"time_limit": 1801}, "time_limit: "),
    ({"machine_detection": "yes"}, "machine_detection: "),
    ({"record": "true"}, "record: "),
    ({"volume": 11}, "volume: is not a field"),
]
BAD += [(json.dumps(request(**changes)).encode(), reason) for changes, reason in WRONG]


async def test_a_malformed_message_is_a_dead_letter_at_once_and_the_next_one_rings(
    services: Services, double: Double
) -> None:
    for number, (raw, _) in enumerate(BAD):
        await calls.place(raw, f"bad-{number}", services, now=NOW)
    await place(services, request())
    found = {letter.call_id: letter for letter in await letters(services)}
    assert len(found) == len(BAD)
    for number, (raw, reason) in enumerate(BAD):
        letter = found[f"bad-{number}"]
        assert reason in letter.reason, raw
        assert letter.body == raw.decode("utf-8", "replace")
    assert [each["to"] for each in double.ledger()["calls"]] == [PERSON]
    assert len((await services.calls.page())["calls"]) == 1


async def test_base64_is_taken_as_well_as_plain(services: Services, double: Double) -> None:
    plain, coded = (json.dumps(request(id=call_id)).encode() for call_id in ("plain", "coded"))
    for raw in (b"  " + plain + b"\n", base64.b64encode(coded), coded):
        await calls.place(raw, "q", services, now=NOW)
    assert len(double.ledger()["calls"]) == 2


async def test_what_the_host_gave_up_is_kept_and_the_call_is_over(services: Services, double: Double) -> None:
    double.plan(kind="error", code=20003, status=401)
    with pytest.raises(errors.BadCredentials):
        await place(services, request())
    raw = json.dumps(request()).encode()
    await calls.bury(raw, "q1", services, now=NOW)
    (letter,) = await letters(services)
    assert letter.reason == "given up after pending: the account SID or the credentials are wrong"
    assert (await services.calls.get("call-1")).state == "failed"
    await calls.reopen("call-1", services.calls, now=NOW)
    await calls.place(raw, "q2", services, now=NOW + timedelta(minutes=1))
    assert len(double.ledger()["calls"]) == 1


@pytest.mark.parametrize(
    "raw", [b"\x00\xff", b'{"id": "a/b#?"}', b'{"id": {"x": 1}}', b'{"id": "' + b"x" * 60_000 + b'"}']
)
async def test_any_poison_is_buried(services: Services, raw: bytes) -> None:
    await calls.bury(raw, "q-77", services, now=NOW)
    (letter,) = await letters(services)
    assert letter.call_id == "q-77"
    assert "before it came to the ledger" in letter.reason


# Through the worker


async def test_a_call_goes_through_the_queue_and_is_shown(app: App, double: Double) -> None:
    result = await app.send("call_create", "POST", {"to": PERSON, "say": "hello"})
    assert result.answer is not None
    assert result.answer.status == 202
    call_id = result.answer.json()["id"]
    status, shown = await app.get("call_get", id=call_id)
    assert (status, shown["state"], shown["to"], shown["sid"]) == (200, "pending", PERSON, None)
    await app.worker.queue("place_outbound_call", result.outputs["ring"][0])
    _, shown = await app.get("call_get", id=call_id)
    assert (shown["state"], shown["sid"]) == ("submitted", double.ledger()["calls"][0]["sid"])
    _, page = await app.get("call_list", "limit=200")
    assert call_id in {each["id"] for each in page["calls"]}


@pytest.mark.parametrize(("wrong", "reason"), [each for each in WRONG if "id" not in each[0]])
async def test_a_wrong_call_is_refused_and_nothing_is_queued(
    app: App, wrong: dict[str, Any], reason: str
) -> None:
    result = await app.send("call_create", "POST", {"to": PERSON, "say": "hello", **wrong})
    assert result.answer is not None
    assert (result.answer.status, result.outputs.get("ring", ())) == (422, ())
    assert reason.partition(":")[0] == result.answer.json()["error"]["field"]


async def test_a_call_that_was_requested_before_is_told_so(app: App) -> None:
    asked = {"to": PERSON, "say": "hello", "id": "asked-twice"}
    first = await app.send("call_create", "POST", asked)
    assert (await app.post("call_create", asked))[0] == 202  # still pending: safe to repeat
    assert (await app.post("call_create", {**asked, "to": "+12025550102"}))[0] == 409
    await app.worker.queue("place_outbound_call", first.outputs["ring"][0])
    status, answer = await app.post("call_create", asked)
    assert (status, answer["error"]["state"]) == (409, "submitted")


@pytest.mark.parametrize("call_id", ["nothing", "a/b", "it's", "é", "x" * 2000, "|", "%2F"])
async def test_a_call_that_is_not_there_is_404(app: App, call_id: str) -> None:
    status, answer = await app.get("call_get", id=call_id)
    assert (status, answer["error"]["code"]) == (404, "not_found")


async def test_a_failure_that_may_pass_fails_the_invocation(app: App, double: Double) -> None:
    message = QueuedMessage(json.dumps(request(id="later-1")), id="later-1")
    with double.away(), pytest.raises(InvocationFailed):
        await app.worker.queue("place_outbound_call", message)
    await app.worker.queue("place_outbound_call", message)
    assert (await app.stored.calls.get("later-1")).state == "submitted"


async def test_a_recording_is_fetched_from_twilio(app: App, double: Double) -> None:
    await app.stored.twilio.place_call(
        to=PERSON, status_callback=f"{app.origin}/", twiml="<Response/>", record=True
    )
    await double.settle_async()
    url = f"{double.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings"
    listed = await asyncio.to_thread(requests.get, f"{url}.json", auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=10)
    (known,) = listed.json()["recordings"]
    answer = (await app.worker.http("recording", route_params={"sid": known["sid"]})).answer
    assert answer is not None
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/wav")
    with wave.open(io.BytesIO(answer.body)) as sound:
        assert sound.getframerate() == 8000
    double.faults(credentials_refused=True)
    assert (await app.get("recording", sid=known["sid"]))[0] == 502


@pytest.mark.parametrize(("sid", "status"), [("RE" + "0" * 32, 404), ("RE1", 422), ("../Messages", 422)])
async def test_a_recording_that_is_not_there_or_is_none(app: App, sid: str, status: int) -> None:
    assert (await app.get("recording", sid=sid))[0] == status


async def test_an_inbound_call_is_followed_by_its_sid(
    services: Services, double: Double, front: Front
) -> None:
    listen(front, services)
    double.configure_number(
        voice_url=f"{front.url}/api/voice", status_callback=f"{front.url}/api/voice/status"
    )
    inbound = await double.inbound_call_async(PERSON, "+12025550100")
    await double.settle_async()
    call: Call = await services.calls.get(inbound.sid)
    assert (call.direction, call.state, call.sender) == ("inbound", State.COMPLETED, PERSON)
