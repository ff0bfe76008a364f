"""shared/sms/schedule.py and message.py through the API: what people do with messages, and bad input."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from shared.delivery.states import State
from shared.sms import opt_outs as recipients
from shared.sms import schedule
from shared.sms.message import Message, new_id
from shared.storage.rows import stamp
from tests.app import App

people = count(101)
SOON = stamp(datetime.now(UTC) + timedelta(days=1))  # nothing of it falls due while the tests run
LATER = stamp(datetime.now(UTC) + timedelta(days=2))


def person() -> str:
    """A number that no other test of this module uses."""
    return f"+12025550{next(people)}"


async def made(app: App, **request: object) -> dict[str, Any]:
    status, message = await app.post("message_create", {"body": "hello", "send_at": SOON, **request})
    assert status == 201, message
    shown: dict[str, Any] = message
    return shown


async def count_all(app: App) -> int:
    page, number = await app.stored.messages.page(limit=200), 0
    while page.token:
        number += len(page.items)
        page = await app.stored.messages.page(limit=200, token=page.token)
    return number + len(page.items)


async def test_a_message_is_accepted_shown_and_listed(app: App) -> None:
    to = person()
    message = await made(app, to=to)
    assert message.items() >= {"state": "pending", "to": to, "body": "hello", "segments": 1}.items()
    assert (message["send_at"], message["sid"], message["encoding"]) == (SOON, None, "GSM-7")
    assert await app.get("message_get", id=message["id"]) == (200, message)
    status, page = await app.get(
        "message_list", f"state=pending&due_after={SOON}&due_before={LATER}&limit=200"
    )
    assert status == 200
    assert message in page["messages"]


async def test_what_is_due_now_drains_its_shard_at_once(app: App) -> None:
    to = person()
    result = await app.send("message_create", "POST", {"to": to, "body": "now"})
    assert result.answer is not None
    assert (result.answer.status, result.outputs["shards"]) == (201, (result.answer.json()["id"][:2],))
    later = await app.send("message_create", "POST", {"to": to, "body": "later", "send_at": SOON})
    assert later.outputs.get("shards", ()) == ()
    await app.worker.queue("drain_sms", result.outputs["shards"][0])
    assert (await app.get("message_get", id=result.answer.json()["id"]))[1]["sid"]


async def test_a_local_time_is_taken_in_its_zone(app: App) -> None:
    wall = (datetime.now(UTC) + timedelta(days=30)).replace(hour=9, minute=0, second=0, tzinfo=None)
    message = await made(app, to=person(), send_at=f"{wall:%Y-%m-%dT%H:%M}", time_zone="Asia/Tokyo")
    assert message["send_at"] == f"{wall:%Y-%m-%d}T00:00:00.000Z"
    assert message["time_zone"] == "Asia/Tokyo"


BAD = [
    ({}, "to"),
    ({"to": None}, "to"),
    ({"to": 12025550101}, "to"),
    ({"to": ["+12025550101"]}, "to"),
    ({"to": ""}, "to"),
    ({"to": "2025550101"}, "to"),
    ({"to": "+1202555"}, "to"),
    ({"to": "whatsapp:2025550101"}, "to"),
    ({"to": "sip:me@example.com"}, "to"),
    ({"to": "+1202555010\u0661"}, "to"),
    ({"to": "+442079460000"}, "to"),
    ({"to": "+19002345678"}, "to"),
    ({"to": "+870773111632"}, "to"),
    ({"body": ""}, "body"),
    ({"body": " \n"}, "body"),
    ({"body": None}, "body"),
    ({"body": 7}, "body"),
    ({"body": "x" * 1601}, "body"),
    ({"body": {"text": "hello"}}, "body"),
    ({"text": "hello"}, "text"),
    ({"send_at": "tomorrow"}, "send_at"),
    ({"send_at": 1896080400}, "send_at"),
    ({"send_at": "2030-01-31T09:00:00"}, "send_at"),
    ({"send_at": "2020-01-31T09:00:00Z"}, "send_at"),
    ({"send_at": "2999-01-31T09:00:00Z"}, "send_at"),
    ({"send_at": "9999-12-31T23:59:59-23:00"}, "send_at"),
    ({"time_zone": "Mars/Olympus"}, "time_zone"),
    ({"time_zone": 1}, "time_zone"),
    ({"media_urls": "https://example.com/a.png"}, "media_urls"),
    ({"media_urls": []}, "media_urls"),
    ({"media_urls": ["http://example.com/a.png"]}, "media_urls"),
    ({"media_urls": ["https://example.com/a.png"] * 11}, "media_urls"),
    ({"media_urls": [7]}, "media_urls"),
    ({"from": "us"}, "from"),
    ({"from": "whatsapp:+12025550100"}, "from"),
    ({"from": "MG123"}, "from"),
    ({"from": 7}, "from"),
    ({"expires_after": 0}, "expires_after"),
    ({"expires_after": -5}, "expires_after"),
    ({"expires_after": 1.5}, "expires_after"),
    ({"expires_after": True}, "expires_after"),
    ({"expires_after": "2020-01-31T09:00:00Z"}, "expires_after"),
    ({"repeat": "daily"}, "repeat"),
    ({"repeat": "FREQ=MINUTELY"}, "repeat"),
    ({"repeat": 7}, "repeat"),
    ({"quiet_hours": "21-8"}, "quiet_hours"),
    ({"quiet_hours": True}, "quiet_hours"),
    ({"idempotency_key": ""}, "idempotency_key"),
    ({"idempotency_key": 7}, "idempotency_key"),
    ({"idempotency_key": "x" * 201}, "idempotency_key"),
    ({"id": "0" * 32}, "id"),
]


@pytest.mark.parametrize(("wrong", "field"), BAD)
async def test_a_wrong_field_is_named_and_nothing_is_stored(
    app: App, wrong: dict[str, Any], field: str
) -> None:
    request = {"to": "+12025550101", "body": "hello", "send_at": SOON, **wrong} if wrong else wrong
    before = await count_all(app)
    status, answer = await app.post("message_create", request)
    assert (status, answer["error"]["field"]) == (422, field)
    assert answer["error"]["message"].startswith(f"{field}: ")
    assert len(answer["error"]["message"]) < 250
    assert await count_all(app) == before


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"hello", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b"null", 400),
        (b"\xff\xfe{", 400),
        (b'{"to": "+12025550101"', 400),
        (b"[" * 50_000, 400),
        (b'{"body": "' + b"1" * 70_000 + b'"}', 413),
        (b'{"expires_after": ' + b"1" * 5_000 + b"}", 400),
        (b'{"to": "+12025550101", "body": "half a \\ud800 pair"}', 400),
        (b'{"to": "+12025550101", "body": "x", "idempotency_key": "\\udfff"}', 400),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(app: App, raw: bytes, status: int) -> None:
    before = await count_all(app)
    answered, answer = await app.post("message_create", raw)
    assert (answered, answer["error"]["field"]) == (status, None)
    assert await count_all(app) == before


async def test_an_idempotency_key_makes_one_message(app: App) -> None:
    request = {"to": person(), "idempotency_key": "order-1", "body": "your order"}
    answers = await asyncio.gather(*(app.post("message_create", request) for _ in range(5)))
    assert {status for status, _ in answers} == {201}
    assert len({message["id"] for _, message in answers}) == 1
    status, answer = await app.post("message_create", {**request, "body": "other"})
    assert (status, answer["error"]["code"]) == (409, "conflict")
    assert "idempotency_key" in answer["error"]["message"]


async def test_a_list_comes_in_pages(app: App) -> None:
    to = person()
    day = datetime.now(UTC) + timedelta(days=100)
    ids = [(await made(app, to=to, send_at=stamp(day + timedelta(minutes=n))))["id"] for n in range(5)]
    found: list[str] = []
    token = ""
    for _ in range(3):
        until = stamp(day + timedelta(hours=1))  # other tests' messages wait too
        query = f"state=pending&due_after={stamp(day)}&due_before={until}&limit=2&token={token}"
        status, page = await app.get("message_list", query)
        assert status == 200
        found += [each["id"] for each in page["messages"]]
        token = page["token"] or ""
    assert (found, token) == (ids, "")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("limit=%D9%A1", "limit"),
        ("state=sleeping", "state"),
        ("due_after=yesterday", "due_after"),
        ("due_before=2030-01-01", "due_before"),
        ("token=%27%20or%201", "token"),
    ],
)
async def test_a_wrong_query_is_named(app: App, query: str, field: str) -> None:
    status, answer = await app.get("message_list", query)
    assert (status, answer["error"]["field"]) == (422, field)


@pytest.mark.parametrize("message_id", ["0" * 32, "x", "it's", "a/b", "é", "x" * 2000, "00", "|", "%", "#?"])
@pytest.mark.parametrize("function", ["message_get", "message_edit", "message_cancel", "message_resend"])
async def test_what_is_not_there_is_404(app: App, function: str, message_id: str) -> None:
    result = await app.send(function, "POST", {"body": "new"}, id=message_id)
    assert result.answer is not None
    assert (result.answer.status, result.answer.json()["error"]["code"]) == (404, "not_found")


async def edited(app: App, message: dict[str, Any], **changes: object) -> tuple[int, Any]:
    result = await app.send("message_edit", "PATCH", changes, id=message["id"])
    assert result.answer is not None
    return result.answer.status, result.answer.json()


async def due(app: App, message: dict[str, Any], at: str) -> list[str]:
    """The ids that are due by then in the message's shard."""
    partition = message["id"][:2]
    rows = await app.stored.messages.due(partition, datetime.fromisoformat(at))
    return [row.key.rpartition("|")[2] for row in rows if row.key.split("|")[2] == "m"]


async def test_an_edit_moves_the_message_and_its_place_among_what_is_due(app: App) -> None:
    message, other = await made(app, to=person()), person()
    status, new = await edited(app, message, body="new words", send_at=LATER, to=other)
    assert (status, new["body"], new["send_at"], new["to"]) == (200, "new words", LATER, other)
    assert message["id"] not in await due(app, message, SOON)
    assert (await due(app, message, LATER)).count(message["id"]) == 1
    for recipient, expected in ((other, [message["id"]]), (message["to"], [])):
        page = await app.stored.messages.to(recipient)
        assert [each.id for each in page.items] == expected


async def test_a_message_that_moved_in_time_is_listed_once(app: App) -> None:
    message = await made(app, to=person())
    for at in (LATER, SOON, LATER):
        assert (await edited(app, message, send_at=at))[0] == 200
    assert [each.id for each in (await app.stored.messages.to(message["to"])).items] == [message["id"]]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, None),
        ({"from": "+12025550100"}, "from"),
        ({"idempotency_key": "x"}, "idempotency_key"),
        ({"state": "delivered"}, "state"),
        ({"to": "+442079460000"}, "to"),
        ({"body": ""}, "body"),
        ({"body": None}, "body"),
        ({"send_at": "2020-01-01T00:00:00Z"}, "send_at"),
        ({"send_at": "2030-01-01T00:00"}, "send_at"),
        ({"quiet_hours": "x"}, "quiet_hours"),
        ({"expires_after": -1}, "expires_after"),
    ],
)
async def test_a_wrong_edit_is_named_and_changes_nothing(
    app: App, changes: dict[str, Any], field: str
) -> None:
    message = await made(app, to="+12025550101")
    status, answer = await edited(app, message, **changes)
    assert (status, answer["error"]["field"]) == (422, field)
    assert (await app.get("message_get", id=message["id"]))[1] == message


async def test_a_message_keeps_its_picture_or_gets_words(app: App) -> None:
    picture = await made(app, to=person(), body=None, media_urls=["https://example.com/a.png"])
    status, answer = await edited(app, picture, media_urls=None)
    assert (status, answer["error"]["field"]) == (422, "body")
    status, new = await edited(app, picture, media_urls=None, body="words")
    assert (status, new["media_urls"], new["body"]) == (200, [], "words")


async def test_a_recipient_stays_on_the_channel_of_its_sender(app: App) -> None:
    message = await made(app, to="+12025550101", **{"from": "+12025550100"})
    status, answer = await edited(app, message, to="whatsapp:+12025550101")
    assert (status, answer["error"]["field"]) == (422, "to")


async def test_expiry_moves_with_the_time_it_counts_from(app: App) -> None:
    message = await made(app, to=person(), expires_after=600)
    _, new = await edited(app, message, send_at=LATER)
    assert new["expires_at"] == stamp(datetime.fromisoformat(LATER) + timedelta(minutes=10))
    fixed = await made(
        app, to=person(), expires_after=stamp(datetime.fromisoformat(SOON) + timedelta(minutes=5))
    )
    status, answer = await edited(app, fixed, send_at=LATER)
    assert (status, answer["error"]["field"]) == (422, "send_at")


async def canceled(app: App, message: dict[str, Any]) -> tuple[int, Any]:
    result = await app.send("message_cancel", "DELETE", id=message["id"])
    assert result.answer is not None
    return result.answer.status, result.answer.json()


async def test_a_canceled_message_is_due_no_more_and_stays_canceled(app: App) -> None:
    message = await made(app, to=person())
    status, new = await canceled(app, message)
    assert (status, new["state"]) == (200, "canceled")
    assert message["id"] not in await due(app, message, LATER)
    for status, answer in (await canceled(app, message), await edited(app, message, body="too late")):
        assert (status, answer["error"]["state"]) == (409, "canceled")


async def test_edits_and_a_cancel_at_once_end_canceled_with_nothing_due(app: App) -> None:
    message = await made(app, to=person())
    edits = [edited(app, message, body=f"words {n}") for n in range(4)]
    answers = await asyncio.gather(*edits, canceled(app, message))
    assert answers[-1][0] == 200
    assert {status for status, _ in answers[:-1]} <= {200, 409}
    assert (await app.get("message_get", id=message["id"]))[1]["state"] == "canceled"
    assert message["id"] not in await due(app, message, LATER)


async def kept(app: App, to: str, **changes: Any) -> Message:
    now = datetime.now(UTC)
    message = Message(id=new_id(to, now), to=to, body="hello", due=now, created=now)
    return await schedule.keep(replace(message, **changes), app.stored.messages)


async def test_a_person_resends_what_is_unresolved_and_nothing_else(app: App) -> None:
    lost = await kept(app, person(), state=State.UNRESOLVED, attempt="a1", attempts=1, looks=2)
    status, new = await app.post("message_resend", {}, id=lost.id)
    assert (status, new["state"], new["reason"]) == (200, "pending", "resent")
    assert lost.id in await due(app, new, stamp(datetime.now(UTC)))
    for state in (
        State.PENDING,
        State.POSTING,
        State.UNKNOWN,
        State.SUBMITTED,
        State.DELIVERED,
        State.FAILED,
    ):
        message = await kept(app, "+12025550101", state=state)
        status, answer = await app.post("message_resend", {}, id=message.id)
        assert (status, answer["error"]["state"]) == (409, state.value)


async def test_nothing_is_resent_to_who_has_opted_out(app: App) -> None:
    lost = await kept(app, person(), state=State.UNRESOLVED)
    await recipients.opt_out(app.stored.messages, lost.to, now=datetime.now(UTC), source="STOP")
    status, answer = await app.post("message_resend", {}, id=lost.id)
    assert (status, answer["error"]["code"]) == (409, "conflict")


async def test_a_message_to_who_has_opted_out_is_suppressed(app: App) -> None:
    to = person()
    await recipients.opt_out(app.stored.messages, to, now=datetime.now(UTC), source="STOP")
    message = await made(app, to=to)
    assert (message["state"], message["reason"]) == ("suppressed", "the recipient has opted out")
    assert message["id"] not in await due(app, message, LATER)
    other = await made(app, to=person())
    status, answer = await edited(app, other, to=to)
    assert (status, answer["error"]["state"]) == (409, "pending")
