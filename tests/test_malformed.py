"""A row that somebody spoilt keeps no other from being sent or settled, and is settled once it is mended."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from local.twilio import Double
from shared import calls, drain
from shared.call_ledger import PARTITION, Call
from shared.rows import Insert, Merge, stamp
from shared.services import Services
from shared.states import State
from tests.sending import NOW, drained, keep, person, waiting

SPOILT = {"due": "tomorrow"}


async def test_a_due_row_that_cannot_be_read_keeps_no_other_from_leaving(
    services: Services, double: Double, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = await keep(services, 2, to=person(1))
    place = f"q|{stamp(bad.due)}|m|{bad.id}"
    await services.messages.table.commit(bad.partition, [Merge(place, SPOILT)])
    caplog.set_level(logging.INFO)
    await drained(services)
    assert [each["body"] for each in double.ledger()["messages"]] == [good.body]
    assert await waiting(services, bad)
    assert f"the row of message {bad.id} cannot be read" in caplog.text
    assert "2025550101" not in caplog.text

    await services.messages.table.commit(bad.partition, [Merge(place, {"due": stamp(bad.due)})])
    await drained(services)
    assert [each["body"] for each in double.ledger()["messages"]] == [good.body, bad.body]


async def test_a_lease_stays_while_a_message_of_it_cannot_be_read(services: Services, double: Double) -> None:
    bad, other = await keep(services, 2, to=person(1))
    store, partition = services.messages, bad.partition
    rows = await store.agenda(partition, NOW)
    await store.claim(partition, rows, "dead", now=NOW, lease=NOW + drain.LEASE)
    await store.table.commit(partition, [Merge(f"m|{bad.id}", SPOILT)])
    late = NOW + drain.LEASE + timedelta(seconds=1)
    await drained(services, late)
    assert (await store.get(other.id)).state is State.POSTING

    await store.table.commit(partition, [Merge(f"m|{bad.id}", {"due": stamp(bad.due)})])
    await drained(services, late)
    assert {(await store.get(each.id)).state for each in (bad, other)} == {State.UNKNOWN}
    assert double.ledger()["messages"] == []


async def test_a_look_up_stays_while_its_message_cannot_be_read(services: Services) -> None:
    store = services.messages
    (bad,) = await keep(services)
    unknown = replace(bad, state=State.UNKNOWN, posted=NOW, attempt="a")
    await store.change(await store.get(bad.id), unknown)
    await store.table.commit(
        bad.partition,
        [Insert(f"q|{stamp(NOW)}|u|{bad.id}", {"to": bad.to}), Merge(f"m|{bad.id}", SPOILT)],
    )
    for minutes in (10, 20):
        await drained(services, NOW + timedelta(minutes=minutes))
    await store.table.commit(bad.partition, [Merge(f"m|{bad.id}", {"due": stamp(bad.due)})])
    for minutes in (30, 40):
        await drained(services, NOW + timedelta(minutes=minutes))
    assert (await store.get(bad.id)).state is State.UNRESOLVED


async def test_a_call_that_cannot_be_read_keeps_no_other_from_being_settled(services: Services) -> None:
    ledger = services.calls
    for name in ("bad", "good"):
        call = Call(id=name, to=person(1), created=NOW, state=State.POSTING, posted=NOW, attempt=name)
        await ledger.add(call, Insert(f"q|{stamp(NOW)}|{name}", {"attempt": name, "to": call.to}))
    table = services.tables.table("calls")
    await table.commit(PARTITION, [Merge("c|bad", {"created": "today"})])
    for minutes in (10, 20):
        await calls.reconcile(ledger, services.twilio, now=NOW + timedelta(minutes=minutes))
    assert (await ledger.get("good")).state is State.UNRESOLVED

    await table.commit(PARTITION, [Merge("c|bad", {"created": stamp(NOW)})])
    for minutes in (30, 40):
        await calls.reconcile(ledger, services.twilio, now=NOW + timedelta(minutes=minutes))
    assert (await ledger.get("bad")).state is State.UNRESOLVED
