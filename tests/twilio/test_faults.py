"""Faults on demand: each fault does what it says, and the ledger still has what was accepted."""

import asyncio
import time

import aiohttp
import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from local.twilio import ACCOUNT_SID, AUTH_TOKEN, NUMBER, Emulator
from local.twilio.model.faults import FaultError
from tests.listener import Answer, Listener
from tests.twilio.waiting import until

PERSON = "+12025550101"
OTHER = "+12025550102"


@pytest.fixture
def client(emulator: Emulator) -> Client:
    """twilio-python without pooling, as it must be against lost answers."""
    client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=TwilioHttpClient(pool_connections=False, timeout=60))
    client.api.base_url = emulator.url
    return client


@pytest.fixture
def hasty(emulator: Emulator) -> Client:
    """The same, which gives up soon. Only an answer that never comes is waited for with it."""
    client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=TwilioHttpClient(pool_connections=False, timeout=1))
    client.api.base_url = emulator.url
    return client


def send(client: Client, to: str = PERSON, **values: object) -> str:
    return str(client.messages.create(to=to, from_=NUMBER, body="hello", **values).sid)


def refusal(client: Client, to: str = PERSON) -> TwilioRestException:
    with pytest.raises(TwilioRestException) as caught:
        send(client, to)
    return caught.value


def accepted(emulator: Emulator) -> int:
    return len(emulator.ledger()["messages"])


def test_an_answer_can_be_lost_after_acceptance(emulator: Emulator, client: Client) -> None:
    emulator.faults(lost_answers=1)
    with pytest.raises(requests.ConnectionError):
        send(client)
    assert accepted(emulator) == 1
    emulator.settle()
    assert [each["status"] for each in emulator.messages()] == ["delivered"]


def test_5xx_come_before_and_after_acceptance(emulator: Emulator, client: Client) -> None:
    emulator.faults(errors_5xx_before_acceptance=1)
    assert (refusal(client).status, accepted(emulator)) == (503, 0)
    emulator.faults(errors_5xx_before_acceptance=0, errors_5xx_after_acceptance=1)
    assert (refusal(client).status, accepted(emulator)) == (503, 1)


def test_throttling_says_when_to_come_back(emulator: Emulator, client: Client) -> None:
    emulator.faults(throttled=1, retry_after=7)
    error = refusal(client)
    assert (error.status, error.code, accepted(emulator)) == (429, 20429, 0)
    answer = requests.post(
        f"{emulator.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json",
        data={"To": PERSON, "From": NUMBER, "Body": "hello"},
        auth=(ACCOUNT_SID, AUTH_TOKEN),
        timeout=60,
    )
    assert answer.headers["Retry-After"] == "7"


def test_credentials_can_be_refused_for_a_while(emulator: Emulator, client: Client) -> None:
    emulator.faults(credentials_refused=True)
    error = refusal(client)
    assert (error.status, error.code, accepted(emulator)) == (401, 20003, 0)
    emulator.faults(credentials_refused=False)
    assert send(client)


def test_latency_is_waited_before_every_answer(emulator: Emulator, client: Client) -> None:
    emulator.faults(latency_ms=120)
    began = time.monotonic()
    sid = send(client)
    client.messages(sid).fetch()
    client.messages.list()
    refusal(client, "+15005550001")
    assert time.monotonic() - began >= 4 * 0.12


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("timeout", requests.ReadTimeout),
        ("reset", requests.ConnectionError),
        ("lost", requests.ConnectionError),
        ("server_error", TwilioRestException),
    ],
)
def test_one_send_can_be_made_to_fail(
    emulator: Emulator, client: Client, hasty: Client, kind: str, error: type[Exception], kept: bool
) -> None:
    emulator.plan(kind=kind, to=PERSON, accepted=kept)
    send(client, OTHER)
    with pytest.raises(error):
        send(hasty if kind == "timeout" else client)
    send(client)
    assert accepted(emulator) == (3 if kept else 2)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (20003, 401),
        (20429, 429),
        (21211, 400),
        (21408, 400),
        (21606, 400),
        (21608, 400),
        (21610, 400),
        (21659, 400),
        (63038, 400),
        (12345, 400),
    ],
)
def test_any_error_code_can_be_had(emulator: Emulator, client: Client, code: int, status: int) -> None:
    emulator.plan(kind="error", code=code, times=2)
    for _ in range(2):
        error = refusal(client)
        assert (error.code, error.status) == (code, status)
    send(client)
    assert accepted(emulator) == 1


def test_calls_fail_in_the_same_ways(emulator: Emulator, client: Client) -> None:
    emulator.plan(kind="error", resource="calls", code=21215)
    send(client)
    for _ in range(2):
        with pytest.raises((TwilioRestException, requests.ConnectionError)):
            client.calls.create(to=PERSON, from_=NUMBER, twiml="<Response/>")
        emulator.plan(kind="lost", resource="calls")
    assert len(emulator.ledger()["calls"]) == 1


def test_a_message_can_be_made_to_end_badly(emulator: Emulator, client: Client, listener: Listener) -> None:
    emulator.plan(kind="outcome", outcome="failed", code=30007)
    sids = [send(client, status_callback=f"{listener.url}/status")]
    emulator.plan(kind="outcome", outcome="undelivered")
    sids.append(send(client, status_callback=f"{listener.url}/status"))
    emulator.plan(kind="outcome", outcome="sent")
    sids.append(send(client, status_callback=f"{listener.url}/status"))
    emulator.settle()
    found = [client.messages(sid).fetch() for sid in sids]
    assert [(each.status, each.error_code, each.error_message) for each in found] == [
        ("failed", 30007, "Carrier violation"),
        ("undelivered", 30003, "Unreachable destination handset"),
        ("sent", None, None),
    ]
    assert found[0].price is None
    forms = [each.form for each in listener.to("/status")]
    assert [
        (each["MessageStatus"], each.get("ErrorCode")) for each in forms if each["MessageSid"] == sids[0]
    ] == [("failed", "30007")]


def test_some_messages_can_be_made_undelivered(emulator: Emulator, client: Client) -> None:
    emulator.faults(undelivered=0.5, seed=3)
    for _ in range(12):
        send(client)
    emulator.settle()
    ends = [each["status"] for each in emulator.messages()]
    assert set(ends) == {"delivered", "undelivered"}
    assert ends.count("undelivered") == emulator.faults()["injected"]["undelivered"]


def statuses(listener: Listener, sid: str) -> list[str]:
    return [each.form["MessageStatus"] for each in listener.to("/status") if each.form["MessageSid"] == sid]


def test_callbacks_can_be_dropped_doubled_and_dark(
    emulator: Emulator, client: Client, listener: Listener
) -> None:
    seen = []
    for faults in ({"callbacks_dropped": 1}, {"callbacks_doubled": 1}, {"callbacks_dark": True}):
        off = {"callbacks_dropped": 0, "callbacks_doubled": 0, "callbacks_dark": False}
        emulator.faults(**{**off, **faults})
        sid = send(client, status_callback=f"{listener.url}/status")
        emulator.settle()
        seen.append(statuses(listener, sid))
    assert seen == [[], ["sent", "sent", "delivered", "delivered"], []]
    injected = emulator.faults()["injected"]
    assert injected == {"callbacks_dropped": 2, "callbacks_doubled": 2, "callbacks_dark": 2}


def test_callbacks_can_be_reordered(emulator: Emulator, client: Client, listener: Listener) -> None:
    emulator.faults(callbacks_reordered=1)
    sid = send(client, status_callback=f"{listener.url}/status")
    emulator.settle()
    assert statuses(listener, sid) == ["delivered", "sent"]


def test_callbacks_can_come_before_the_answer(emulator: Emulator, client: Client, listener: Listener) -> None:
    emulator.faults(callbacks_early=1, latency_ms=50)
    sid = send(client, status_callback=f"{listener.url}/status")
    assert statuses(listener, sid) == ["sent"]
    call = client.calls.create(
        to=PERSON,
        from_=NUMBER,
        twiml="<Response/>",
        status_callback=f"{listener.url}/call",
        status_callback_event=["initiated", "completed"],
    )
    assert [each.form["CallStatus"] for each in listener.to("/call")] == ["initiated"]
    emulator.settle()
    assert statuses(listener, sid) == ["sent", "delivered"]
    assert client.calls(str(call.sid)).fetch().status == "completed"


def test_a_slow_app_does_not_hold_the_message_up(
    emulator: Emulator, client: Client, listener: Listener
) -> None:
    sids: list[str] = []
    delivered: list[bool] = []

    def look() -> None:
        if not delivered:
            until(lambda: sids and emulator.messages()[0]["status"] == "delivered")
            delivered.append(True)

    listener.answers["/status"] = Answer(before=look)
    sids.append(send(client, status_callback=f"{listener.url}/status"))
    emulator.settle()
    assert statuses(listener, sids[0]) == ["sent", "delivered"]


def test_lists_can_be_dark_or_late(emulator: Emulator, client: Client) -> None:
    send(client)
    assert len(client.messages.list(to=PERSON)) == 1
    emulator.faults(list_dark=True)
    assert client.messages.list(to=PERSON) == []
    emulator.faults(list_dark=False, list_lag_ms=60_000)
    assert client.messages.list(to=PERSON) == []


def test_the_same_seed_draws_the_same_faults(emulator: Emulator, client: Client) -> None:
    def run() -> list[int]:
        emulator.reset()
        emulator.faults(throttled=0.5, seed=42)
        answers = []
        for _ in range(12):
            try:
                send(client)
                answers.append(201)
            except TwilioRestException as exc:
                answers.append(exc.status)
        return answers

    first = run()
    assert run() == first
    assert set(first) == {201, 429}


def test_connections_are_refused_while_it_is_away(emulator: Emulator, client: Client) -> None:
    with emulator.away(), pytest.raises(requests.ConnectionError, match="refused"):
        send(client)
    send(client)
    assert accepted(emulator) == 1


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"lost_answer": 1}, "lost_answer: no such fault"),
        ({"lost_answers": 2}, "lost_answers: must be from 0 to 1"),
        ({"lost_answers": True}, "lost_answers: must be a number"),
        ({"list_dark": 1}, "list_dark: must be true or false"),
        ({"latency_ms": -1}, "latency_ms: must be 0 or more"),
    ],
)
def test_a_fault_that_cannot_be_set_is_named(
    emulator: Emulator, values: dict[str, float], problem: str
) -> None:
    with pytest.raises(FaultError, match=problem):
        emulator.faults(**values)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"kind": "explode"}, "kind: must be one of"),
        ({"kind": "error"}, "code: must be"),
        ({"kind": "outcome", "outcome": "lost"}, "outcome: must be one of"),
        ({"kind": "lost", "times": 0}, "times: must be 1 or more"),
        ({"kind": "lost", "towards": PERSON}, "towards: no such field"),
    ],
)
def test_a_plan_that_cannot_be_is_named(emulator: Emulator, values: dict[str, object], problem: str) -> None:
    with pytest.raises(FaultError, match=problem):
        emulator.plan(**values)


async def test_sixty_four_at_once_are_answered_together(emulator: Emulator) -> None:
    emulator.faults(latency_ms=1_000)
    url = f"{emulator.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def one(number: int) -> int:
            form = {"To": PERSON, "From": NUMBER, "Body": str(number)}
            async with session.post(url, data=form) as answer:
                return answer.status

        began = time.monotonic()
        answers = await asyncio.gather(*(one(number) for number in range(64)))
        took = time.monotonic() - began
    assert answers == [201] * 64
    # One after the other they would have taken 64 times the latency.
    assert took < 64 * 1.0 / 4
    assert {each["body"] for each in emulator.ledger()["messages"]} == {str(n) for n in range(64)}
