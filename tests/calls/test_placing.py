"""shared/calls/placing.py: one id rings once, and what cannot be rung is kept with its reason."""

import asyncio
import base64
import io
import json
import wave
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func
import pytest
import requests

from local.host.worker import QueuedMessage
from local.twilio import ACCOUNT_SID, AUTH_TOKEN, Emulator
from shared import errors
from shared.calls import placing, replay
from shared.calls import status as call_status
from shared.calls.call import Call
from shared.calls.dead_letters import DeadLetter
from shared.calls.request import CallRequest
from shared.delivery import drain, timings
from shared.delivery.states import State
from shared.services import Services
from shared.sms import opt_outs as recipients
from shared.storage.rows import Row
from shared.web import webhook
from tests import webhooks
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
    await placing.place(
        json.dumps(asked).encode(), queue_id, services.call_outbox, services.dead_letters, now=now
    )


async def tick(services: Services, now: datetime) -> None:
    await drain.drain(services.call_outbox, now=now, seconds=60)


async def letters(services: Services) -> list[DeadLetter]:
    page = await services.dead_letters.page(limit=100)
    return [await services.dead_letters.get(each["id"]) for each in page["dead_letters"]]


def listen(front: Front, services: Services) -> None:
    """Let Twilio's status callbacks reach these services; a call's own URL says nothing."""

    async def handle(req: func.HttpRequest) -> func.HttpResponse:
        if "/status" in req.url:
            return await webhooks.record(
                req, services, lambda got: call_status.reported(got, services.call_outbox)
            )
        return func.HttpResponse("<Response/>", mimetype="text/xml")

    front.handle = handle


async def in_doubt(services: Services, at: datetime) -> list[Row]:
    """The housekeeping of calls that is due by then."""
    store = services.calls
    return [row for each in store.partitions for row in await store.housekeeping(each, at)]


async def test_a_call_is_placed_with_what_was_asked_for(services: Services, emulator: Emulator) -> None:
    await place(services, request(timeout=30, time_limit=60, machine_detection="Enable", record=True))
    (sent,) = [each.form for each in emulator.rest_requests()]
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
    assert (call.state, call.to, call.sid) == ("submitted", PERSON, emulator.ledger()["calls"][0]["sid"])
    assert "hello" not in sent


async def test_what_to_say_is_asked_for_again_where_storage_hung(
    services: Services, emulator: Emulator, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "ANSWER_SECONDS", 0.3)
    answers: list[int] = []
    async with hanging_storage() as account:
        stuck = Services(settings(PUBLIC_BASE_URL=front.url, AzureWebJobsStorage=account))

        async def handle(req: func.HttpRequest) -> func.HttpResponse:
            if "/status" in req.url:
                return func.HttpResponse(status_code=204)
            known = services if answers else stuck
            answer = await webhooks.step("outbound", req, known)
            answers.append(answer.status_code)
            return answer

        front.handle = handle
        await place(services, request(say="your table is ready"))
        await emulator.settle_async()
        await stuck.close()
    assert answers[:2] == [503, 200]
    assert "your table is ready" in emulator.calls()[0]["documents"][-1][1]


async def test_a_call_always_has_a_time_limit(services: Services, emulator: Emulator) -> None:
    await place(services, request(say=None, twiml="<Response><Say>hello</Say></Response>"))
    assert "TimeLimit=1800" in emulator.rest_requests()[0].form


async def test_one_id_rings_once_however_often_it_is_delivered(
    services: Services, emulator: Emulator
) -> None:
    results = await asyncio.gather(
        *(place(services, request(), queue_id=f"q{n}") for n in range(6)), return_exceptions=True
    )
    assert all(each is None or isinstance(each, errors.Contended) for each in results)
    for hours in (0, 1, 100):
        await place(services, request(), NOW + timedelta(hours=hours))
    assert len(emulator.ledger()["calls"]) == 1
    assert await letters(services) == []


async def test_without_an_id_the_queue_messages_own_counts(services: Services, emulator: Emulator) -> None:
    asked = request()
    del asked["id"]
    for queue_id in ("q1", "q2", "q1"):
        await place(services, asked, queue_id=queue_id)
    assert len(emulator.ledger()["calls"]) == 2
    assert (await services.calls.get("q2")).state == "submitted"


async def test_the_status_of_a_call_is_followed_to_its_end(
    services: Services, emulator: Emulator, front: Front
) -> None:
    listen(front, services)
    await place(services, request())
    await emulator.settle_async()
    call = await services.calls.get("call-1")
    assert (call.state, call.sid) == ("completed", emulator.ledger()["calls"][0]["sid"])
    await drain.drain(services.call_outbox, seconds=60, now=NOW + timedelta(days=1))
    assert await in_doubt(services, NOW + timedelta(days=1)) == []


@pytest.mark.parametrize("outcome", ["busy", "no-answer", "failed"])
async def test_a_call_that_is_not_answered_ends_so(
    services: Services, emulator: Emulator, front: Front, outcome: str
) -> None:
    listen(front, services)
    emulator.plan(kind="outcome", outcome=outcome)
    await place(services, request())
    await emulator.settle_async()
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
    emulator: Emulator,
    front: Front,
    faults: dict[str, float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    listen(front, services)
    emulator.faults(**faults)
    await place(services, request())
    await emulator.settle_async()
    call = await services.calls.get("call-1")
    assert (call.state, call.sid) == ("completed", emulator.ledger()["calls"][0]["sid"])
    assert "keeps changing" not in caplog.text
    await drain.drain(services.call_outbox, seconds=60, now=NOW + timedelta(days=1))
    assert await in_doubt(services, NOW + timedelta(days=2)) == []


# What Twilio answers


@pytest.mark.parametrize("code", [21211, 21214, 21215, 21219, 13223])
async def test_what_twilio_refuses_is_a_dead_letter_at_once(
    services: Services, emulator: Emulator, code: int
) -> None:
    emulator.plan(kind="error", code=code)
    await place(services, request())
    call = await services.calls.get("call-1")
    (letter,) = await letters(services)
    assert (call.state, call.code, letter.call_id) == ("failed", code, "call-1")
    assert f"Twilio error {code}: " in letter.reason
    await place(services, request(), NOW + timedelta(hours=1))
    assert len(emulator.rest_requests()) == 1


@pytest.mark.parametrize(
    ("code", "status", "state"),
    [
        (20429, 429, "pending"),
        (20003, 401, "pending"),
        *((ours, 400, "held") for ours in (21606, 21408, 21212)),
        (63038, 429, "held"),
    ],
)
async def test_what_is_refused_for_now_is_tried_again(
    services: Services, emulator: Emulator, code: int, status: int, state: str
) -> None:
    emulator.plan(kind="error", code=code, status=status)
    await place(services, request())
    call = await services.calls.get("call-1")
    assert (call.state, call.code) == (state, code)
    assert await letters(services) == []
    await tick(services, NOW + timedelta(minutes=16))
    assert (await services.calls.get("call-1")).state == "submitted"
    await place(services, request(), NOW + timedelta(minutes=17))
    assert len(emulator.ledger()["calls"]) == 1


async def test_the_queue_may_bring_again_what_waits(services: Services, emulator: Emulator) -> None:
    emulator.plan(kind="error", code=21606)
    await place(services, request())
    await place(services, request(), NOW + timedelta(minutes=1))
    await tick(services, NOW + timedelta(minutes=30))
    assert [each["sid"] for each in emulator.ledger()["calls"]] == [(await services.calls.get("call-1")).sid]


async def test_a_twilio_that_cannot_be_reached_is_tried_again(services: Services, emulator: Emulator) -> None:
    with emulator.away():
        await place(services, request())
    await tick(services, NOW + timedelta(minutes=1))
    assert len(emulator.ledger()["calls"]) == 1


async def test_after_an_hour_a_call_that_waits_is_a_dead_letter_and_can_be_replayed(
    services: Services, emulator: Emulator
) -> None:
    """ "Your table is ready" must not ring tomorrow."""
    emulator.faults(credentials_refused=True)
    await place(services, request())
    emulator.faults(credentials_refused=False)
    await tick(services, NOW + timedelta(minutes=61))
    call = await services.calls.get("call-1")
    (letter,) = await letters(services)
    assert (call.state, letter.call_id, emulator.ledger()["calls"]) == ("expired", "call-1", [])
    assert "the account SID or the credentials are wrong" in letter.reason
    tomorrow = NOW + timedelta(days=1)
    message = await replay.replay(letter.id, services.calls, services.dead_letters, now=tomorrow)
    await place(services, json.loads(message), tomorrow)
    assert (await services.calls.get("call-1")).state == "submitted"
    assert len(emulator.ledger()["calls"]) == 1


async def test_what_was_accepted_rings_though_the_queue_lost_it(
    services: Services, emulator: Emulator
) -> None:
    await placing.accept(request(), services.calls, services.settings, now=NOW)
    await tick(services, NOW + timedelta(seconds=59))
    assert emulator.ledger()["calls"] == []
    await tick(services, NOW + timedelta(seconds=61))
    await place(services, request(), NOW + timedelta(minutes=2))
    assert len(emulator.ledger()["calls"]) == 1


@pytest.mark.parametrize("kind", ["lost", "reset", "server_error"])
async def test_a_lost_answer_never_rings_twice_and_is_settled_by_the_list(
    services: Services, emulator: Emulator, kind: str
) -> None:
    now = datetime.now(UTC)
    emulator.faults(callbacks_dark=True)
    emulator.plan(kind=kind)
    await place(services, request(), now)
    await place(services, request(), now)
    assert (await services.calls.get("call-1")).state == "unknown"
    await drain.drain(services.call_outbox, seconds=60, now=now + timedelta(seconds=30))
    assert (await services.calls.get("call-1")).state == "unknown"
    await drain.drain(services.call_outbox, seconds=60, now=now + timedelta(seconds=61))
    (rung,) = emulator.ledger()["calls"]
    call = await services.calls.get("call-1")
    assert call.sid == rung["sid"]
    assert not await services.calls.reserve_sid(rung["sid"], replace(call, id="call-2"))


async def test_a_call_that_twilio_never_lists_is_unresolved_and_not_rung_again(
    services: Services, emulator: Emulator
) -> None:
    now = datetime.now(UTC)
    emulator.plan(kind="lost", accepted=False)
    await place(services, request(), now)
    seen = []
    for minutes in (2, 4, 7, 60):
        await drain.drain(services.call_outbox, seconds=60, now=now + timedelta(minutes=minutes))
        seen.append((await services.calls.get("call-1")).state.value)
    assert seen[-1] == "unresolved"
    assert emulator.ledger()["calls"] == []
    with pytest.raises(errors.Conflict):
        await replay.reopen("call-1", services.calls, now=now)


async def test_a_look_up_takes_no_other_calls_sid(
    services: Services, emulator: Emulator, front: Front
) -> None:
    """Two calls to one number: the first known by its callback alone, the second lost before it arrived."""
    now = datetime.now(UTC)
    listen(front, services)
    emulator.plan(kind="lost")
    await place(services, request(), now)
    await emulator.settle_async()
    emulator.plan(kind="lost", accepted=False)
    await place(services, request(id="call-2"), now)
    await drain.drain(services.call_outbox, seconds=60, now=now + timedelta(minutes=2))
    assert (await services.calls.get("call-1")).state == "completed"
    assert (await services.calls.get("call-2")).state == "unknown"


async def test_a_placing_that_died_is_looked_up_and_not_repeated(
    services: Services, emulator: Emulator
) -> None:
    now = datetime.now(UTC)
    asked = CallRequest.parse(json.dumps(request()).encode(), "q1", services.settings)
    call = placing.call_of(asked, now)
    await services.calls.claim_one(None, call, "dead", now=now, lease=now + timings.LEASE)
    await place(services, request(), now + timedelta(seconds=60))
    await place(services, request(), now + timedelta(seconds=100))
    for minutes in (2, 9, 20):
        await drain.drain(services.call_outbox, seconds=60, now=now + timedelta(minutes=minutes))
    assert (await services.calls.get("call-1")).state == "unresolved"
    assert [each for each in emulator.rest_requests() if each.method == "POST"] == []


async def test_while_twilio_cannot_be_asked_one_question_is_enough(
    services: Services, emulator: Emulator
) -> None:
    now = datetime.now(UTC)
    emulator.plan(kind="lost", accepted=False, times=4)
    for number in range(4):
        await place(services, request(id=f"call-{number}"), now)
    emulator.faults(credentials_refused=True)
    before = len(emulator.rest_requests())
    await drain.drain(services.call_outbox, seconds=60, now=now + timedelta(minutes=2))
    assert len(emulator.rest_requests()) == before + 1
    assert {(await services.calls.get(f"call-{n}")).looks for n in range(4)} == {0}


async def test_who_has_opted_out_is_not_rung(services: Services, emulator: Emulator) -> None:
    await recipients.opt_out(services.messages, PERSON, now=NOW, source="9")
    await place(services, request())
    call = await services.calls.get("call-1")
    assert (call.state, call.reason, emulator.rest_requests()) == (
        "suppressed",
        "the recipient has opted out",
        [],
    )
    assert await in_doubt(services, NOW + timedelta(days=1)) == []


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
    services: Services, emulator: Emulator
) -> None:
    for number, (raw, _) in enumerate(BAD):
        await placing.place(raw, f"bad-{number}", services.call_outbox, services.dead_letters, now=NOW)
    await place(services, request())
    found = {letter.body: letter for letter in await letters(services)}
    assert len(found) == len(BAD)
    for raw, reason in BAD:
        assert reason in found[raw.decode("utf-8", "replace")].reason, raw
    assert [each["to"] for each in emulator.ledger()["calls"]] == [PERSON]
    assert len((await services.calls.page()).items) == 1


@pytest.mark.parametrize("overlaid", ["2026/11/28-17", "11/28/2026 15:00:00", "", "x" * 2000, "call-9"])
@pytest.mark.parametrize("name", ["id", "Id", "ID"])
async def test_what_a_sender_wrote_over_the_metadata_is_not_believed(
    services: Services, emulator: Emulator, overlaid: str, name: str
) -> None:
    """The host lays a JSON body's fields over the trigger's metadata (tests/host/test_queue_metadata.py)."""
    raw = json.dumps({"to": PERSON, "say": "x", name: overlaid}).encode()
    await placing.place(raw, overlaid, services.call_outbox, services.dead_letters, now=NOW)
    taken = name == "id" and overlaid == "call-9"
    assert len(emulator.ledger()["calls"]) == taken
    assert [letter.body for letter in await letters(services)] == [] if taken else [raw.decode()]
    assert all(Call.is_id(letter.call_id) for letter in await letters(services))


async def test_base64_is_taken_as_well_as_plain(services: Services, emulator: Emulator) -> None:
    plain, coded = (json.dumps(request(id=call_id)).encode() for call_id in ("plain", "coded"))
    for raw in (b"  " + plain + b"\n", base64.b64encode(coded), coded):
        await placing.place(raw, "q", services.call_outbox, services.dead_letters, now=NOW)
    assert len(emulator.ledger()["calls"]) == 2


async def test_what_the_host_gave_up_is_kept_and_the_call_is_over(
    services: Services, emulator: Emulator
) -> None:
    emulator.plan(kind="error", code=20003, status=401)
    await place(services, request())
    raw = json.dumps(request()).encode()
    await replay.bury(raw, "q1", services.calls, services.dead_letters, now=NOW)
    (letter,) = await letters(services)
    assert letter.reason == "given up after pending: the account SID or the credentials are wrong"
    assert (await services.calls.get("call-1")).state == "failed"
    await replay.reopen("call-1", services.calls, now=NOW)
    await placing.place(
        raw, "q2", services.call_outbox, services.dead_letters, now=NOW + timedelta(minutes=1)
    )
    assert len(emulator.ledger()["calls"]) == 1


@pytest.mark.parametrize(
    "raw", [b"\x00\xff", b'{"id": "a/b#?"}', b'{"id": {"x": 1}}', b'{"id": "' + b"x" * 60_000 + b'"}']
)
async def test_any_poison_is_buried(services: Services, raw: bytes) -> None:
    await replay.bury(raw, "q-77", services.calls, services.dead_letters, now=NOW)
    (letter,) = await letters(services)
    assert letter.call_id == "q-77"
    assert "before it was stored" in letter.reason


# Through the worker


async def test_a_call_goes_through_the_queue_and_is_shown(app: App, emulator: Emulator) -> None:
    result = await app.send("call_create", "POST", {"to": PERSON, "say": "hello"})
    assert result.answer is not None
    assert result.answer.status == 202
    call_id = result.answer.json()["id"]
    status, shown = await app.get("call_get", id=call_id)
    assert (status, shown["state"], shown["to"], shown["sid"]) == (200, "pending", PERSON, None)
    await app.worker.queue("place_outbound_call", result.outputs["ring"][0])
    _, shown = await app.get("call_get", id=call_id)
    assert (shown["state"], shown["sid"]) == ("submitted", emulator.ledger()["calls"][0]["sid"])
    _, page = await app.get("call_list", "limit=200")
    assert call_id in {each["id"] for each in page["calls"]}


@pytest.mark.parametrize("call_id", ["2026-11-28T10:00:00-05:00", "2026-11-28T09:00:00.500Z"])
async def test_a_call_whose_id_looks_like_a_time_rings_once_under_that_id(
    app: App, emulator: Emulator, call_id: str
) -> None:
    """The host reads an `Out[str]` as JSON, and writes such an id as another time."""
    result = await app.send("call_create", "POST", {"to": PERSON, "say": "hello", "id": call_id})
    (message,) = result.outputs["ring"]
    assert json.loads(message)["id"] == call_id
    for _ in range(2):
        await app.worker.queue("place_outbound_call", message)
    _, shown = await app.get("call_get", id=call_id)
    assert (shown["state"], len(emulator.ledger()["calls"])) == ("submitted", 1)


async def test_a_replayed_call_keeps_an_id_that_looks_like_a_time(app: App) -> None:
    call_id = "2026-11-28T10:00:00-01:00"
    asked = request(id=call_id, **{"from": "no number"})
    await place(app.stored, asked, queue_id="replayed-time")
    (letter,) = [each for each in await letters(app.stored) if "no number" in each.body]
    result = await app.send("dead_letter_action", "POST", id=letter.id, action="replay")
    assert result.answer is not None
    assert (result.answer.status, json.loads(result.outputs["ring"][0])["id"]) == (202, call_id)


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


async def test_a_failure_that_may_pass_keeps_the_call(app: App, emulator: Emulator) -> None:
    message = QueuedMessage(json.dumps(request(id="later-1")), id="later-1")
    with emulator.away():
        await app.worker.queue("place_outbound_call", message)
    assert (await app.stored.calls.get("later-1")).state == "pending"
    await app.worker.queue("place_outbound_call", message)
    assert (await app.stored.calls.get("later-1")).state == "submitted"


async def test_a_recording_is_fetched_from_twilio(app: App, emulator: Emulator) -> None:
    await app.stored.twilio.place_call(
        to=PERSON, status_callback=f"{app.origin}/", twiml="<Response/>", record=True
    )
    await emulator.settle_async()
    url = f"{emulator.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings"
    listed = await asyncio.to_thread(requests.get, f"{url}.json", auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=10)
    (known,) = listed.json()["recordings"]
    answer = (await app.worker.http("recording", route_params={"sid": known["sid"]})).answer
    assert answer is not None
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/wav")
    with wave.open(io.BytesIO(answer.body)) as sound:
        assert sound.getframerate() == 8000
    emulator.faults(credentials_refused=True)
    assert (await app.get("recording", sid=known["sid"]))[0] == 502


@pytest.mark.parametrize(("sid", "status"), [("RE" + "0" * 32, 404), ("RE1", 422), ("../Messages", 422)])
async def test_a_recording_that_is_not_there_or_is_none(app: App, sid: str, status: int) -> None:
    assert (await app.get("recording", sid=sid))[0] == status


async def test_an_inbound_call_is_followed_by_its_sid(
    services: Services, emulator: Emulator, front: Front
) -> None:
    listen(front, services)
    emulator.configure_number(
        voice_url=f"{front.url}/api/voice", status_callback=f"{front.url}/api/voice/status"
    )
    inbound = await emulator.inbound_call_async(PERSON, "+12025550100")
    await emulator.settle_async()
    call: Call = await services.calls.get(inbound.sid)
    assert (call.direction, call.state, call.sender) == ("inbound", State.COMPLETED, PERSON)
