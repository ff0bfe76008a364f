"""Lists of messages: in order, by ranges, with a bound on what a page reads; a bad row hides no other."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any

import pytest

from local.twilio import Emulator
from shared.calls.call import Call
from shared.delivery import paging, timings
from shared.delivery.states import RARE, State
from shared.delivery.store import Page, Store, creation
from shared.errors import Malformed, NotFound
from shared.services import Services
from shared.sms import opt_outs as recipients
from shared.sms import schedule
from shared.sms.message import Message, new_id
from shared.sms.stats import Stats
from shared.storage.partitions import PARTITIONS
from shared.storage.rows import Merge, Put, Row, Rows, Write, stamp
from shared.twilio_helper import Sent
from tests.clock import NOW
from tests.front import Front
from tests.indexed import astray
from tests.sending import LATER, drained, keep, listen, person


class Counted:
    """A table that counts the rows read from it."""

    def __init__(self, table: Rows) -> None:
        self._table = table
        self.rows = 0

    async def get(self, partition: str, key: str) -> Row | None:
        row = await self._table.get(partition, key)
        self.rows += row is not None
        return row

    async def read(self, partition: str, low: str, high: str, **options: Any) -> list[Row]:
        rows = await self._table.read(partition, low, high, **options)
        self.rows += len(rows)
        return rows

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        return await self._table.commit(partition, writes)


async def store_many(services: Services, count: int, state: State, *, since: datetime) -> list[Message]:
    """So many in this state, a second apart, to people of all partitions."""
    made = []
    for number in range(count):
        to, due = person(number % 97), since + timedelta(seconds=number)
        made.append(Message(id=new_id(to, due), to=to, body="hello", due=due, created=due, state=state))
    for partition in PARTITIONS:
        for batch in batched((each for each in made if each.partition == partition), 25, strict=False):
            writes = [write for each in batch for write in creation(each)]
            await services.messages.table.commit(partition, writes)
    return made


async def pages(
    store: Store[Message], state: State | None, *, limit: int, **bounds: Any
) -> list[Page[Message]]:
    """Every page of a list."""
    found = [await store.page(state=state, limit=limit, **bounds)]
    while found[-1].token:
        found.append(await store.page(state=state, limit=limit, token=found[-1].token, **bounds))
    return found


def ids(found: Sequence[Page[Message]]) -> list[str]:
    return [message.id for page in found for message in page.items]


async def test_five_that_failed_among_two_thousand_deliveries_are_ten_rows(services: Services) -> None:
    await store_many(services, 2000, State.DELIVERED, since=NOW)
    failed = await store_many(services, 5, State.FAILED, since=NOW + timedelta(minutes=20))
    counted = Counted(services.messages.table)
    page = await Store(counted, Message).page(state=State.FAILED)
    assert [each.id for each in page.items] == [each.id for each in failed]
    assert page.token == ""
    assert counted.rows == 10  # of each its place in the index, and itself


@pytest.mark.parametrize("state", sorted(RARE))
async def test_rare_ends_come_in_order_page_by_page(services: Services, state: State) -> None:
    ended = [each.id for each in await store_many(services, 50, state, since=NOW)]
    for other in RARE - {state}:
        await store_many(services, 3, other, since=NOW)
    found = await pages(services.messages, state, limit=7)
    assert ids(found) == ended
    assert [len(page.items) for page in found] == [7] * 7 + [1]
    some = {"after": NOW + timedelta(seconds=10), "before": NOW + timedelta(seconds=40)}
    assert ids(await pages(services.messages, state, limit=7, **some)) == ended[10:40]


async def test_a_place_in_the_index_that_leads_nowhere_is_not_shown(services: Services) -> None:
    failed = await store_many(services, 4, State.FAILED, since=NOW)
    (late,) = await store_many(services, 1, State.DELIVERED, since=NOW + timedelta(seconds=1))
    gone = new_id(person(1), NOW)
    for each in (late.id, gone):
        stale = Put(f"x|failed|{each}", {"state": "failed"})
        await services.messages.table.commit(each[:2], [stale])
    found = await pages(services.messages, State.FAILED, limit=3)
    assert ids(found) == [each.id for each in failed]
    assert len(found) == 2


async def test_a_page_reads_no_more_than_so_much_and_leads_on(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MOST", 10)
    read = await store_many(services, 1, State.READ, since=NOW)
    await store_many(services, 400, State.DELIVERED, since=NOW + timedelta(seconds=1))
    read += await store_many(services, 2, State.READ, since=NOW + timedelta(hours=1))
    counted, found, token = Counted(services.messages.table), list[Page[Message]](), ""
    while not found or token:
        counted.rows = 0
        found.append(await Store(counted, Message).page(state=State.READ, limit=5, token=token))
        assert counted.rows <= 16 * 10 + 5
        token = found[-1].token
    assert ids(found) == [each.id for each in read]
    assert [] in [list(page.items) for page in found]
    assert len(found) < 40


async def test_messages_of_common_states_come_in_order_and_whole(services: Services) -> None:
    one = await store_many(services, 60, State.DELIVERED, since=NOW)
    other = await store_many(services, 60, State.SENT, since=NOW)
    waiting = await store_many(services, 60, State.PENDING, since=NOW)
    store = services.messages
    assert ids(await pages(store, State.DELIVERED, limit=7)) == [each.id for each in one]
    assert ids(await pages(store, State.SENT, limit=60)) == [each.id for each in other]
    found = await pages(store, State.PENDING, limit=7)
    assert ids(found) == [each.id for each in waiting]
    assert found[0].items[0].body == "hello"
    everything = sorted((each.id for each in [*one, *other, *waiting]), key=lambda each: each[2:])
    assert ids(await pages(store, None, limit=25)) == everything


async def test_no_token_holds_a_number(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MOST", 4)
    for number in range(60):
        at = NOW + timedelta(seconds=number)
        await recipients.opt_out(services.messages, person(number), now=at, source="STOP")
    held = await store_many(services, 40, State.HELD, since=NOW)
    found = await pages(services.messages, State.HELD, limit=2)
    assert ids(found) == [each.id for each in held]
    of_stops = [page.token for page in found if "|s|" in page.token]
    assert of_stops
    assert all(token.endswith("Z|s||") for token in of_stops)
    assert not any("+" in page.token for page in found)


# Calls


async def call_pages(
    store: Store[Call], state: State | None, *, limit: int, **bounds: Any
) -> list[Page[Call]]:
    found = [await store.page(state=state, limit=limit, **bounds)]
    while found[-1].token:
        found.append(await store.page(state=state, limit=limit, token=found[-1].token, **bounds))
    return found


async def test_calls_come_page_by_page_the_last_accepted_first(services: Services) -> None:
    store, states = services.calls, [State.COMPLETED, State.FAILED, State.PENDING]
    made: list[Call] = []
    for number in range(30):
        at = NOW + timedelta(seconds=number)
        call = Call(
            id=f"{number * 7 % 30:02}", to=person(number), due=at, created=at, state=states[number % 3]
        )
        made.insert(0, await store.add(call))

    async def listed(state: State | None, **bounds: datetime) -> list[str]:
        return [each.id for page in await call_pages(store, state, limit=4, **bounds) for each in page.items]

    assert len({each.partition for each in made}) == len(store.partitions)
    assert await listed(None) == [each.id for each in made]
    assert await listed(None, after=NOW + timedelta(seconds=20)) == [each.id for each in made[:9]]
    assert await listed(State.COMPLETED) == [each.id for each in made if each.state is State.COMPLETED]
    assert await listed(State.PENDING) == [each.id for each in reversed(made) if each.state is State.PENDING]
    assert sorted(await listed(State.FAILED)) == sorted(
        each.id for each in made if each.state is State.FAILED
    )


# Into and out of the index


async def test_every_way_to_a_rare_end_enters_it_and_every_way_back_leaves_it(
    services: Services, emulator: Emulator, front: Front
) -> None:
    store = services.messages
    canceled, expired, refused, lost, stopped, kept = await keep(services, 6)
    await schedule.cancel(canceled.id, store, now=NOW)
    await store.change(expired, replace(expired, expires=NOW - timedelta(seconds=1)))
    emulator.plan(kind="error", resource="messages", code=21211, to=refused.to)
    emulator.plan(kind="outcome", outcome="undelivered", code=30003, to=lost.to)
    await recipients.opt_out(store, stopped.to, now=NOW, source="STOP")
    listen(front, services)
    await drained(services)
    await emulator.settle_async()
    late = await schedule.keep(replace(kept, id=new_id(stopped.to, NOW), to=stopped.to), store)
    for state, message in (
        (State.CANCELED, canceled),
        (State.EXPIRED, expired),
        (State.FAILED, refused),
        (State.UNDELIVERED, lost),
        (State.SUPPRESSED, stopped),
        (State.SUPPRESSED, late),
    ):
        assert message.id in ids([await store.page(state=state)])
    assert await astray(store) == set()
    present = await store.get(lost.id)
    await store.change(present, replace(present, state=State.DELIVERED))
    assert (await store.page(state=State.UNDELIVERED)).items == ()
    assert await astray(store) == set()


async def test_what_is_unresolved_leaves_the_index_once_it_is_resent_or_settled(services: Services) -> None:
    store = services.messages
    one, other = await keep(services, 2, state=State.UNRESOLVED, attempt="a", posted=NOW)
    assert len((await store.page(state=State.UNRESOLVED)).items) == 2
    await schedule.resend(one.id, store, now=NOW)
    assert ids([await store.page(state=State.UNRESOLVED)]) == [other.id]
    found = replace(other, state=State.UNDELIVERED, sid="SM" + "1" * 32)
    await store.table.commit(other.partition, store.put(other, found))
    assert ids([await store.page(state=State.UNDELIVERED)]) == [other.id]
    assert await astray(store) == set()


async def test_what_the_carrier_failed_is_found_by_asking_and_entered(
    services: Services, emulator: Emulator
) -> None:
    (message,) = await keep(services)
    emulator.plan(kind="outcome", outcome="undelivered", code=30005, to=message.to)
    await drained(services)
    await emulator.settle_async()
    await drained(services, LATER)
    assert timings.ASK_AFTER[0] < LATER - NOW
    assert ids([await services.messages.page(state=State.UNDELIVERED)]) == [message.id]
    assert await astray(services.messages) == set()


@pytest.mark.parametrize(
    ("code", "end"), [(0, State.SUBMITTED), (21211, State.FAILED), (20003, State.PENDING)]
)
async def test_a_sender_that_comes_late_to_what_is_unresolved_takes_it_out(
    services: Services, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, code: int, end: State
) -> None:
    posting, go = asyncio.Event(), asyncio.Event()
    real = services.twilio.send_sms

    async def late(*given: Any, **named: Any) -> Sent:
        posting.set()
        await go.wait()
        return await real(*given, **named)

    monkeypatch.setattr(services.twilio, "send_sms", late)
    (message,) = await keep(services)
    if code:
        emulator.plan(kind="error", resource="messages", code=code, to=message.to)
    draining = asyncio.create_task(drained(services))
    await posting.wait()
    present = await services.messages.get(message.id)
    assert present.state is State.POSTING
    await services.messages.change(present, replace(present, state=State.UNRESOLVED))
    go.set()
    await draining
    assert (await services.messages.get(message.id)).state is end
    assert (await services.messages.page(state=State.UNRESOLVED)).items == ()
    assert await astray(services.messages) == set()


# Rows that are not as we write them

WRONG: list[tuple[str, dict[str, Any]]] = [
    ("due", {"due": "tomorrow"}),
    ("due", {"due": "2026-11-23T12:00:00"}),
    ("due", {"due": 7}),
    ("due", {"due": ""}),
    ("to", {"to": ""}),
    ("to", {"to": 2025550101}),
    ("state", {"state": "+12025550101"}),
    ("state", {"state": 1}),
    ("media_urls", {"media_urls": "https://example.com/a.png"}),
    ("media_urls", {"media_urls": '{"a": 1}'}),
    ("media_urls", {"media_urls": "[1]"}),
    ("body", {"body": 12025550101.5}),
    ("attempts", {"attempts": "three"}),
    ("code", {"code": "30003"}),
    ("followed", {"followed": "yes"}),
]


@pytest.mark.parametrize(("column", "values"), WRONG)
async def test_a_row_that_cannot_be_read_hides_no_other(
    services: Services, caplog: pytest.LogCaptureFixture, column: str, values: dict[str, Any]
) -> None:
    to, now = person(1), datetime.now(UTC)
    good, bad = await keep(services, 2, to=to, due=now, state=State.FAILED)
    store = services.messages
    await store.table.commit(bad.partition, [Merge(f"m|{bad.id}", values)])
    caplog.set_level(logging.INFO)
    assert ids([await store.page()]) == [good.id]
    assert ids([await store.page(state=State.FAILED)]) == [good.id]
    assert ids([await store.to(to)]) == [good.id]
    assert [each.id for each in await store.readable([bad.id, good.id])] == [good.id]
    shown = await services.timeline.view(to, {}, now=now)
    assert [each["id"] for each in shown["entries"]] == [good.id]
    assert (await Stats(store.table).view(now=now + timedelta(minutes=1)))["past"]
    assert f"the row of message {bad.id} cannot be read: its column {column} " in caplog.text
    assert "2025550101" not in caplog.text
    with pytest.raises(Malformed) as caught:
        await store.get(bad.id)
    assert (caught.value.id, caught.value.column, caught.value.__cause__) == (bad.id, column, None)


@pytest.mark.parametrize("key", ["", "+12025550101", "z" * 20])
async def test_a_row_whose_key_is_wrong_hides_no_other(
    services: Services, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    now = datetime.now(UTC)
    made = await keep(services, 2, due=now - timedelta(hours=2), state=State.FAILED)
    store, wrong = services.messages, f"{made[0].id[:12]}{key}"
    await store.table.commit(wrong[:2], [Put(f"m|{wrong}", made[0].columns())])
    assert set(ids([await store.page()])) == {each.id for each in made}
    with pytest.raises(NotFound):
        await store.get(wrong)
    counts = (await Stats(store.table).view(now=now))["past"]
    assert counts == {f"{stamp(made[0].due)[:13]}:00Z": {"failed": 2}}
    assert "2025550101" not in caplog.text
    assert "the row of message ? cannot be read: its key is wrong" in caplog.text


async def test_a_call_that_cannot_be_read_hides_no_other(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    calls, now = services.calls, datetime.now(UTC)
    for name in ("good", "bad"):
        await calls.add(Call(id=name, to=person(1), due=now, created=now))
    await calls.table.commit(Call.partition_of("bad"), [Merge("m|bad", {"created": "today"})])
    assert [each.id for each in (await calls.page()).items] == ["good"]
    shown = await services.timeline.view(person(1), {}, now=now)
    assert [each["id"] for each in shown["entries"]] == ["good"]
    assert "the row of call bad cannot be read: its column created is missing or wrong" in caplog.text
