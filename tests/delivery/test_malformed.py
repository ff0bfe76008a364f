"""A row that somebody spoilt keeps no other from being sent or settled, and is settled once it is mended."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from local.twilio import Emulator
from shared import timer
from shared.calls.call import Call
from shared.delivery import keys, timings
from shared.delivery.drain import drain
from shared.delivery.states import State
from shared.services import Services
from shared.sms import opt_outs as recipients
from shared.storage.partitions import shard
from shared.storage.rows import Delete, Insert, Merge, stamp
from tests.clock import NOW
from tests.sending import drained, keep, person, waiting

SPOILT = {"due": "tomorrow"}


async def test_a_due_row_that_cannot_be_read_keeps_no_other_from_leaving(
    services: Services, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = await keep(services, 2, to=person(1))
    place = f"q|{stamp(bad.due)}|m|{bad.id}"
    await services.messages.table.commit(bad.partition, [Merge(place, SPOILT)])
    caplog.set_level(logging.INFO)
    await drained(services)
    assert [each["body"] for each in emulator.ledger()["messages"]] == [good.body]
    assert await waiting(services, bad)
    assert f"the row of message {bad.id} cannot be read" in caplog.text
    assert "2025550101" not in caplog.text

    await services.messages.table.commit(bad.partition, [Merge(place, {"due": stamp(bad.due)})])
    await drained(services)
    assert [each["body"] for each in emulator.ledger()["messages"]] == [good.body, bad.body]


async def test_a_lease_stays_while_a_message_of_it_cannot_be_read(
    services: Services, emulator: Emulator
) -> None:
    bad, other = await keep(services, 2, to=person(1))
    store, partition = services.messages, bad.partition
    rows = await store.due(partition, NOW)
    await store.claim(partition, rows, "dead", now=NOW, lease=NOW + timings.LEASE)
    await store.table.commit(partition, [Merge(f"m|{bad.id}", SPOILT)])
    late = NOW + timings.LEASE + timedelta(seconds=1)
    await drained(services, late)
    assert (await store.get(other.id)).state is State.POSTING

    await store.table.commit(partition, [Merge(f"m|{bad.id}", {"due": stamp(bad.due)})])
    await drained(services, late)
    assert {(await store.get(each.id)).state for each in (bad, other)} == {State.UNKNOWN}
    assert emulator.ledger()["messages"] == []


@pytest.mark.parametrize(
    "nonsense",
    [
        {"time_zone": "Mars/Phobos", "quiet_hours": "22:00-07:00"},
        {"repeat": "FREQ=SOMETIMES"},
        {"quiet_hours": "at night"},
    ],
)
async def test_a_row_that_makes_no_sense_keeps_no_other_from_leaving(
    services: Services, emulator: Emulator, caplog: pytest.LogCaptureFixture, nonsense: dict[str, str]
) -> None:
    bad, good = await keep(services, 2, to=person(1))
    place = f"q|{stamp(bad.due)}|m|{bad.id}"
    await services.messages.table.commit(bad.partition, [Merge(place, nonsense)])
    await timer.tick(services.text_outbox, services.call_outbox, now=NOW)
    assert [each["body"] for each in emulator.ledger()["messages"]] == [good.body]
    assert await waiting(services, bad)
    assert bad.id in caplog.text


async def test_a_count_that_is_none_ends_no_tick(
    services: Services, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    strangers = [each for each in map(person, range(2, 60)) if shard(each) != shard(person(1))]
    await keep(services, to=person(1))
    (other,) = await keep(services, to=strangers[0])
    count = Insert(f"n|{person(1)}|{NOW:%Y-%m-%d}", {"count": "many"})
    await services.messages.table.commit(shard(person(1)), [count])
    services.settings = replace(services.settings, daily_limit=5)
    await timer.tick(services.text_outbox, services.call_outbox, now=NOW)
    assert [each["to"] for each in emulator.ledger()["messages"]] == [other.to]
    assert "holds a row that cannot be read: ValueError" in caplog.text
    assert "many" not in caplog.text


@pytest.mark.parametrize("place_too", [False, True])
async def test_after_a_stop_a_message_whose_row_was_spoilt_does_not_leave(
    services: Services, emulator: Emulator, place_too: bool
) -> None:
    (bad,) = await keep(services, to=person(1), due=NOW + timedelta(hours=2))
    rows = [f"m|{bad.id}", *([f"q|{stamp(bad.due)}|m|{bad.id}"] if place_too else [])]
    table = services.messages.table
    await table.commit(bad.partition, [Merge(row, {"code": "30003"}) for row in rows])
    await recipients.opt_out(services.messages, bad.to, now=NOW, source="STOP")
    for minutes in (1, 30):
        await drained(services, NOW + timedelta(minutes=minutes))
    if place_too:
        await drained(services, NOW + timedelta(hours=3))
        await table.commit(bad.partition, [Merge(row, {"code": 0}) for row in rows])
    await drained(services, NOW + timedelta(hours=3))
    assert emulator.ledger()["messages"] == []
    assert (await services.messages.get(bad.id)).state is State.SUPPRESSED
    await drained(services, NOW + timedelta(hours=4))
    assert await services.messages.due(bad.partition, NOW + timedelta(days=1)) == []


async def test_a_look_up_gives_no_sid_away_that_a_row_nobody_can_read_may_have(
    services: Services, emulator: Emulator
) -> None:
    now = datetime.now(UTC)
    first, twin = await keep(services, 2, to=person(1), due=now, body="alike")
    store, table = services.messages, services.messages.table
    await table.commit(first.partition, [Delete(f"q|{stamp(now)}|m|{twin.id}")])
    await drained(services, now)
    (sent,) = emulator.ledger()["messages"]
    await table.commit(
        first.partition,
        [
            Merge(f"m|{first.id}", {"code": "none"}),
            Merge(f"m|{twin.id}", {"state": "unknown", "posted": stamp(now), "attempt": "a"}),
            Insert(keys.look_up(now, twin.id), {"to": twin.to}),
        ],
    )
    await drained(services, now + timedelta(minutes=2))
    assert (await store.get(twin.id)).sid == ""
    await table.commit(first.partition, [Merge(f"m|{first.id}", {"code": 0})])
    for minutes in (3, 4, 10):
        await drained(services, now + timedelta(minutes=minutes))
    assert (await store.get(first.id)).sid == sent["sid"]
    assert (await store.get(twin.id)).state is State.UNRESOLVED


async def test_a_look_up_stays_while_its_message_cannot_be_read(services: Services) -> None:
    store = services.messages
    (bad,) = await keep(services)
    unknown = replace(bad, state=State.UNKNOWN, posted=NOW, attempt="a")
    await store.change(await store.get(bad.id), unknown)
    await store.table.commit(
        bad.partition,
        [Insert(keys.look_up(NOW, bad.id), {"to": bad.to}), Merge(f"m|{bad.id}", SPOILT)],
    )
    for minutes in (10, 20):
        await drained(services, NOW + timedelta(minutes=minutes))
    await store.table.commit(bad.partition, [Merge(f"m|{bad.id}", {"due": stamp(bad.due)})])
    for minutes in (30, 40):
        await drained(services, NOW + timedelta(minutes=minutes))
    assert (await store.get(bad.id)).state is State.UNRESOLVED


async def test_a_call_that_cannot_be_read_keeps_no_other_from_being_settled(services: Services) -> None:
    store, settle = services.calls, services.call_outbox
    for name in ("bad", "good"):
        call = Call(id=name, to=person(1), due=NOW, created=NOW, say="hello")
        await store.claim_one(None, call, name, now=NOW, lease=NOW)
    partition = Call.partition_of("bad")
    assert partition == Call.partition_of("good")
    await store.table.commit(partition, [Merge("m|bad", {"created": "today"})])
    for minutes in (10, 20):
        await drain(settle, now=NOW + timedelta(minutes=minutes), seconds=60)
    assert (await store.get("good")).state is State.UNRESOLVED

    await store.table.commit(partition, [Merge("m|bad", {"created": stamp(NOW)})])
    for minutes in (30, 40):
        await drain(settle, now=NOW + timedelta(minutes=minutes), seconds=60)
    assert (await store.get("bad")).state is State.UNRESOLVED
