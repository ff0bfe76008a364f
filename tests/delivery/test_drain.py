"""drain.py and sender.py: what is due leaves once, and each answer of Twilio's ends as it shall."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from local.launcher.azurite import StoragePorts
from local.launcher.ports import free_ports
from local.twilio import Emulator
from shared import errors, timer
from shared.delivery import timings
from shared.delivery.drain import drain
from shared.delivery.sender import Report, Sender
from shared.delivery.states import State
from shared.delivery.store import Store, creation
from shared.services import Services
from shared.sms import opt_outs as recipients
from shared.sms import schedule
from shared.sms.message import Message, new_id
from shared.storage.partitions import PARTITIONS, shard
from shared.storage.rows import Row, Rows, Write
from tests.clock import NOW
from tests.front import Front
from tests.indexed import astray
from tests.sending import (
    LATER,
    as_twilio_says,
    drained,
    fates,
    keep,
    listen,
    person,
    sent_twice,
    states,
    waiting,
)
from tests.settings import settings
from tests.waiting import until


@pytest_asyncio.fixture(autouse=True)
async def indexed(services: Services) -> AsyncIterator[None]:
    """Whatever became of the messages, the index of rare ends says the same."""
    yield
    assert await astray(services.messages) == set()


@asynccontextmanager
async def with_settings(services: Services, **changes: str) -> AsyncIterator[Services]:
    """Services on the same storage and emulator, with other settings."""
    known = services.settings
    other = Services(
        settings(
            AzureWebJobsStorage=known.storage or "",
            TWILIO_BASE_URL=known.twilio_base_url or "",
            PUBLIC_BASE_URL=known.public_base_url,
            **changes,
        )
    )
    yield other
    await other.close()


async def test_what_is_due_is_sent_and_the_rest_is_left(services: Services, emulator: Emulator) -> None:
    now, later = await keep(services, 3), await keep(services, 2, due=NOW + timedelta(seconds=1))
    report = await drained(services)
    assert (report.states, report.stopped, report.to_do) == ({"submitted": 3}, "", [])
    assert await states(services) == {"submitted": 3, "pending": 2}
    assert {each["body"] for each in emulator.ledger()["messages"]} == {each.body for each in now}
    await as_twilio_says(services, emulator)
    assert str(await drained(services)) == "nothing due"
    assert [await waiting(services, each, LATER) for each in [*now, *later]] == [False] * 3 + [True] * 2


async def test_a_status_callback_carries_the_message_and_its_attempt(
    services: Services, emulator: Emulator
) -> None:
    await keep(services)
    await drained(services)
    (message,) = (await services.messages.page()).items
    callback = f"{services.settings.public_base_url}/api/sms/status?id={message.id}&attempt={message.attempt}"
    await emulator.settle_async()
    assert {each["url"] for each in emulator.deliveries(message.sid)} == {callback}


async def test_drains_at_once_send_each_message_once(services: Services, emulator: Emulator) -> None:
    await keep(services, 60)
    async with with_settings(services) as other:
        reports = await asyncio.gather(*(drained(each) for each in (services, other, services, other)))
    assert sum(report.states["submitted"] for report in reports) == 60
    assert await states(services) == {"submitted": 60}
    await as_twilio_says(services, emulator)


async def test_what_does_not_fit_into_the_time_is_named_for_other_instances(
    services: Services, emulator: Emulator
) -> None:
    kept = await keep(services, 40)
    report = await drained(services, seconds=0)
    assert emulator.ledger()["messages"] == []
    assert report.to_do == sorted({message.partition for message in kept})
    for name in report.to_do:
        await timer.one_shard(name.encode(), services.text_outbox, now=NOW)
    assert await states(services) == {"submitted": 40}


async def test_a_tick_leaves_its_backlog_to_other_instances_by_shard(
    services: Services, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timer, "TICK_SECONDS", 0)
    kept = [*await keep(services, 15, to=person(1)), *await keep(services, 15, to=person(2))]
    report = await timer.tick(services.text_outbox, services.call_outbox, now=NOW)
    assert report.to_do == sorted({each.partition for each in kept})
    first = await timer.one_shard(report.to_do[0].encode(), services.text_outbox, now=NOW)
    sent = {each["body"] for each in emulator.ledger()["messages"]}
    assert sent == {each.body for each in kept if each.partition == report.to_do[0]}
    assert first.to_do == []
    for name in report.to_do[1:]:
        await timer.one_shard(name.encode(), services.text_outbox, now=NOW)
    assert await states(services) == {"submitted": 30}
    await as_twilio_says(services, emulator)


async def test_one_shard_by_two_instances_at_once_sends_each_message_once_and_keeps_to_a_stop(
    services: Services, emulator: Emulator
) -> None:
    await keep(services, 20, to=person(1))
    late = await keep(services, 20, to=person(2), due=NOW + timedelta(minutes=1))
    await recipients.opt_out(services.messages, person(2), now=NOW, source="STOP")
    now, names = NOW + timedelta(minutes=2), [shard(person(1)), shard(person(2))] * 2
    await asyncio.gather(*(timer.one_shard(name.encode(), services.text_outbox, now=now) for name in names))
    assert await states(services) == {"submitted": 20, "suppressed": len(late)}
    await as_twilio_says(services, emulator)


async def test_what_is_left_of_a_shard_goes_back_on_its_queue(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timer, "SHARD_SECONDS", 0)
    (first, *_) = await keep(services, 20, to=person(1))
    report = await timer.one_shard(first.partition.encode(), services.text_outbox, now=NOW)
    assert report.to_do == [first.partition]


@pytest.mark.parametrize("name", ["", "zz", "0a/0", "0a/", "10", "/0", "0"])
async def test_a_message_that_names_no_shard_does_nothing(
    services: Services, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    await keep(services, 3)
    report = await timer.one_shard(name.encode(), services.text_outbox, now=NOW)
    assert (report.states, report.to_do) == ({}, [])
    assert "names no shard" in caplog.text


# DESIGN: Twilio outcomes


FINAL = {21211: "failed", 21612: "failed", 21614: "failed", 21608: "failed", 21617: "failed", 63007: "failed"}
FINAL |= {21610: "suppressed"}
HELD = (21212, 21606, 21609, 21659, 21660, 21661, 21703, 21408, 63038)


async def test_what_is_refused_for_good_ends(services: Services, emulator: Emulator) -> None:
    for number, code in enumerate(FINAL, 1):
        emulator.plan(kind="error", code=code, to=person(number))
    await keep(services, len(FINAL) + 1)
    await drained(services)
    page = await services.messages.page()
    assert {each.code: each.state for each in page.items} == {**FINAL, 0: "submitted"}
    assert all(each.attempts == 1 for each in page.items)
    assert all(each.reason for each in page.items if each.code)
    await drained(services, NOW + timedelta(days=1))
    posts = [each for each in emulator.rest_requests() if each.method == "POST"]
    assert len(posts) == len(FINAL) + 1


async def test_what_is_our_own_fault_is_held_and_sent_once_it_is_mended(
    services: Services, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    for number, code in enumerate(HELD, 1):
        emulator.plan(kind="error", code=code, status=429 if code == 63038 else 400, to=person(number))
    await keep(services, len(HELD))
    while (await states(services))[
        "pending"
    ]:  # a few at a time: each drain tries a wrong sender but so often
        await drained(services)
    page = await services.messages.page(state=State.HELD)
    assert {each.code for each in page.items} == set(HELD)
    assert all(f"Twilio error {code}" in caplog.text for code in HELD)
    assert emulator.ledger()["messages"] == []
    await drained(services, NOW + timedelta(minutes=14))
    assert await states(services) == {"held": len(HELD)}
    await drained(services, LATER)
    page = await services.messages.page()
    assert {(each.state, each.code, each.reason, each.retry) for each in page.items} == {
        ("submitted", 0, "", None)
    }
    await as_twilio_says(services, emulator)


async def test_one_wrong_sender_does_not_hold_up_the_others(services: Services, emulator: Emulator) -> None:
    await keep(services, 5, sender="+12025550199")
    await keep(services, 5)
    await drained(services)
    found = await states(services)
    assert found["submitted"] == 5
    assert found["held"] + found["pending"] == 5
    assert len(emulator.ledger()["messages"]) == 5


async def test_refused_credentials_stop_the_drain_and_burn_no_attempt(
    services: Services, emulator: Emulator
) -> None:
    emulator.faults(credentials_refused=True)
    await keep(services, 20)
    report = await drained(services)
    assert "credentials" in report.stopped
    assert report.to_do == []
    page = await services.messages.page(limit=100)
    assert {(each.state, each.attempts) for each in page.items} == {("pending", 0)}
    emulator.faults(credentials_refused=False)
    await drained(services, NOW + timedelta(minutes=10))
    assert await states(services) == {"submitted": 20}
    await as_twilio_says(services, emulator)


async def test_a_throttled_message_waits_and_leaves_once(services: Services, emulator: Emulator) -> None:
    emulator.plan(kind="error", code=20429, times=3)
    await keep(services, 10)
    assert (await drained(services)).states == {"submitted": 7, "pending": 3}
    page = await services.messages.page(state=State.PENDING)
    assert all(each.retry and each.retry > NOW for each in page.items)
    await drained(services, LATER)
    assert await fates(services) == {"left": 10}
    await as_twilio_says(services, emulator)


async def test_a_twilio_that_cannot_be_reached_keeps_every_message(
    services: Services, emulator: Emulator
) -> None:
    await keep(services, 10)
    with emulator.away():
        report = await drained(services)
    assert report.stopped == "Twilio cannot be reached"
    assert await states(services) == {"pending": 10}
    await drained(services, LATER)
    assert await fates(services) == {"left": 10}
    await as_twilio_says(services, emulator)


# In doubt


async def look(services: Services, after: timedelta) -> None:
    await drained(services, datetime.now(UTC) + after)


@pytest.mark.parametrize("kind", ["lost", "reset", "server_error", "timeout"])
async def test_a_lost_answer_is_settled_by_the_list_and_never_repeated(
    services: Services, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("shared.twilio_client.TIMEOUT", 0.3)
    emulator.pace(step=60)
    emulator.plan(kind=kind)
    (first,) = await keep(services, due=datetime.now(UTC))
    await look(services, timedelta())
    message = await services.messages.get(first.id)
    assert (message.state, message.sid) == ("unknown", "")
    monkeypatch.setattr("shared.twilio_client.TIMEOUT", 15)
    await look(services, timedelta(seconds=30))
    assert await states(services) == {"unknown": 1}
    await look(services, timedelta(seconds=62))
    assert await states(services) == {"submitted": 1}
    await as_twilio_says(services, emulator)


async def test_a_lost_answer_is_settled_by_the_callback(
    services: Services, emulator: Emulator, front: Front
) -> None:
    listen(front, services)
    emulator.plan(kind="lost")
    await keep(services)
    await drained(services)
    await emulator.settle_async()
    (message,) = (await services.messages.page()).items
    assert (message.state, message.reason) == ("delivered", "")
    await as_twilio_says(services, emulator)
    before = len(emulator.rest_requests())
    await drained(services, LATER)
    assert len(emulator.rest_requests()) == before


async def test_what_twilio_never_lists_is_unresolved_after_two_looks(
    services: Services, emulator: Emulator
) -> None:
    emulator.plan(kind="lost", accepted=False)
    emulator.faults(list_dark=True)
    (first,) = await keep(services, due=datetime.now(UTC))
    seen = []
    for minutes in (0, 2, 4, 6, 60, 1000):
        await look(services, timedelta(minutes=minutes))
        seen.append((await services.messages.get(first.id)).state.value)
    assert seen == ["unknown", "unknown", "unknown", "unresolved", "unresolved", "unresolved"]
    assert sum(each.method == "POST" for each in emulator.rest_requests()) == 1
    await schedule.resend(first.id, services.messages, now=datetime.now(UTC))
    emulator.faults(list_dark=False)
    await look(services, timedelta(seconds=1))
    assert await states(services) == {"submitted": 1}


async def test_while_twilio_cannot_be_asked_nothing_is_given_up_within_the_hour(
    services: Services, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.plan(kind="lost", accepted=False, times=3)
    await keep(services, 3, due=datetime.now(UTC))
    await look(services, timedelta())
    emulator.faults(credentials_refused=True)
    for minutes in (2, 10, 59):
        await look(services, timedelta(minutes=minutes))
        assert await states(services) == {"unknown": 3}
    assert "cannot be looked up" in caplog.text
    await look(services, timedelta(minutes=62))
    assert await states(services) == {"unresolved": 3}


async def test_twins_are_told_apart_one_sid_each(services: Services, emulator: Emulator) -> None:
    """Two messages with the same words to one person, of which Twilio took one."""
    emulator.pace(step=60)
    emulator.plan(kind="lost")
    emulator.plan(kind="lost", accepted=False)
    now = datetime.now(UTC)
    await keep(services, due=now, body="again")
    await keep(services, due=now, body="again", to=person(1))
    await look(services, timedelta())
    assert await states(services) == {"unknown": 2}
    await look(services, timedelta(minutes=2))
    assert await states(services) == {"unknown": 1, "submitted": 1}
    await look(services, timedelta(minutes=7))
    assert await states(services) == {"unresolved": 1, "submitted": 1}


async def test_a_sender_that_died_leaves_nothing_that_is_sent_again(
    services: Services, emulator: Emulator
) -> None:
    """A claim is written, and then nothing: the request may have left."""
    now = datetime.now(UTC)
    (first,) = await keep(services, due=now)
    rows = await services.messages.due(first.partition, now)
    lease = now + timings.LEASE
    await services.messages.claim(first.partition, rows, "dead", now=now, lease=lease)
    await look(services, timedelta(seconds=60))
    assert await states(services) == {"posting": 1}
    await look(services, timedelta(seconds=91))
    looked_up = await services.messages.get(first.id)
    assert (looked_up.state, looked_up.looks, looked_up.reason) == ("unknown", 1, "Twilio does not list it")
    for minutes in (3, 5, 9):
        await look(services, timedelta(minutes=minutes))
    assert await states(services) == {"unresolved": 1}
    assert emulator.ledger()["messages"] == []
    assert await services.messages.due(first.partition, now + timedelta(days=1)) == []
    assert await services.messages.housekeeping(first.partition, now + timedelta(days=1)) == []


async def test_many_lost_answers_in_a_row_end_a_drain(services: Services, emulator: Emulator) -> None:
    emulator.faults(errors_5xx_before_acceptance=1.0)
    async with with_settings(services, SEND_CONCURRENCY="4") as slow:
        await keep(slow, 40)
        report = await drained(slow)
    assert "answers are lost" in report.stopped
    found = await states(services)
    assert 10 <= found["unknown"] < 20
    assert found["pending"] == 40 - found["unknown"]


# Races


async def test_a_cancel_or_an_edit_that_races_with_a_drain_either_counts_or_is_too_late(
    services: Services, emulator: Emulator
) -> None:
    kept = await keep(services, 40)

    async def cancel(message: Message) -> bool:
        try:
            await schedule.cancel(message.id, services.messages, now=NOW)
        except errors.Conflict:
            return False
        return True

    async def edit(message: Message) -> bool:
        try:
            await schedule.edit(
                message.id, {"body": f"{message.body} edited"}, services.messages, services.settings, now=NOW
            )
        except errors.Conflict:
            return False
        return True

    (_, *answers) = await asyncio.gather(drained(services), *map(cancel, kept[:20]), *map(edit, kept[20:]))
    await drained(services)
    canceled, changed = answers[:20], answers[20:]
    gone = canceled.count(True)
    assert (await states(services))["canceled"] == gone
    assert (await states(services))["submitted"] == 40 - gone
    bodies = {each["body"] for each in emulator.ledger()["messages"]}
    wanted = {each.body for each, gone in zip(kept[:20], canceled, strict=True) if not gone}
    wanted |= {
        f"{each.body} edited" if new else each.body for each, new in zip(kept[20:], changed, strict=True)
    }
    assert bodies == wanted
    assert sent_twice(emulator) == []


async def test_after_a_stop_nothing_more_leaves(services: Services, emulator: Emulator) -> None:
    kept = await keep(services, 12, to=person(1))
    await asyncio.gather(
        drained(services), recipients.opt_out(services.messages, person(1), now=NOW, source="STOP")
    )
    before = len(emulator.ledger()["messages"])
    await drained(services, NOW + timedelta(minutes=1))
    await drained(services, NOW + timedelta(minutes=11))
    found = await states(services)
    assert found == {"submitted": before, "suppressed": 12 - before} or before in {0, 12}
    assert len(emulator.ledger()["messages"]) == before
    assert len(kept) == sum(found.values())


async def test_a_message_created_while_a_stop_came_in_does_not_slip_through(
    services: Services, emulator: Emulator
) -> None:
    """Its creation had looked for an opt-out before there was one, and is written after."""
    store = services.messages
    await recipients.opt_out(store, person(1), now=NOW, source="STOP")
    late = Message(id="", to=person(1), body="late", due=NOW, created=NOW)
    late = replace(late, id=new_id(person(1), NOW))
    await store.table.commit(shard(person(1)), creation(late))
    await drained(services, NOW + timedelta(seconds=5))
    assert (await store.get(late.id)).state == "suppressed"
    assert emulator.ledger()["messages"] == []


async def test_twilio_saying_opted_out_does_what_stop_does(services: Services, emulator: Emulator) -> None:
    emulator.plan(kind="error", code=21610)
    await keep(services, to=person(1))
    await keep(services, 2, to=person(1), due=LATER)
    await drained(services)
    assert await states(services) == {"suppressed": 3}
    assert await services.messages.opted_out(person(1))
    assert emulator.ledger()["messages"] == []


# Callbacks


@pytest.mark.parametrize(
    "faults",
    [
        {"callbacks_early": 1.0},
        {"callbacks_doubled": 1.0},
        {"callbacks_reordered": 1.0},
        {"callbacks_early": 0.5, "callbacks_doubled": 0.5, "callbacks_reordered": 0.5, "lost_answers": 0.3},
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
    emulator.plan(kind="outcome", outcome="undelivered", code=30005, to=person(1))
    await keep(services, 15)
    await drained(services)
    await emulator.settle_async()
    assert await states(services) == {"delivered": 14, "undelivered": 1}
    (lost,) = (await services.messages.page(state=State.UNDELIVERED)).items
    assert (lost.code, lost.reason) == (30005, "the number is unknown, or no longer in service")
    await as_twilio_says(services, emulator)
    assert "two SIDs" not in caplog.text
    assert "keeps changing" not in caplog.text
    await drained(services, NOW + timedelta(days=1))
    assert len(emulator.ledger()["messages"]) == 15


async def test_the_price_is_shown_once_twilio_knows_it(
    services: Services, emulator: Emulator, front: Front
) -> None:
    listen(front, services)
    (first,) = await keep(services)
    await drained(services)
    await emulator.settle_async()
    assert (
        await schedule.show(first.id, services.messages, services.twilio, now=NOW)
    ).price == "-0.00790 USD"


# When it may leave


async def test_what_has_expired_is_not_sent(services: Services, emulator: Emulator) -> None:
    (first,) = await keep(services, expires=NOW + timedelta(minutes=5))
    await drained(services, NOW + timedelta(hours=6))
    message = await services.messages.get(first.id)
    assert (message.state, message.reason) == ("expired", "its time to be sent has passed")
    assert emulator.ledger()["messages"] == []


async def test_in_quiet_hours_a_message_is_deferred_to_their_end(
    services: Services, emulator: Emulator
) -> None:
    (first,) = await keep(services, quiet_hours="21:00-08:00", time_zone="Asia/Tokyo")  # it is 21:00 there
    await drained(services)
    message = await services.messages.get(first.id)
    morning = datetime(2009, 11, 23, 23, tzinfo=UTC)
    assert (message.state, message.due, message.reason) == ("deferred", morning, "quiet hours")
    await drained(services, morning - timedelta(seconds=1))
    assert await states(services) == {"deferred": 1}
    await drained(services, morning)
    assert await states(services) == {"submitted": 1}
    assert len(emulator.ledger()["messages"]) == 1


async def test_what_quiet_hours_moved_can_be_canceled_and_is_found_by_a_stop(services: Services) -> None:
    first, second = [
        (await keep(services, to=person(1), quiet_hours="11:00-13:00", retry=NOW, state=State.HELD))[0]
        for _ in range(2)
    ]
    await drained(services)
    assert await states(services) == {"deferred": 2}
    assert (await schedule.cancel(first.id, services.messages, now=NOW)).state == "canceled"
    page = await services.messages.to(person(1))
    assert {each.id for each in page.items} == {first.id, second.id}
    await recipients.opt_out(services.messages, person(1), now=NOW, source="STOP")
    assert (await services.messages.get(second.id)).state == "suppressed"


async def test_the_quiet_hours_of_the_settings_hold_unless_a_message_says_off(services: Services) -> None:
    await keep(services, 1)
    await keep(services, 1, quiet_hours="off")
    async with with_settings(services, QUIET_HOURS="11:00-13:00", TIME_ZONE="UTC") as quiet:
        await drained(quiet)
    assert await states(services) == {"deferred": 1, "submitted": 1}


async def test_in_the_night_in_which_the_hour_comes_twice_quiet_hours_end_once(
    services: Services, emulator: Emulator
) -> None:
    night = datetime(2026, 11, 1, 5, 10, tzinfo=UTC)  # 01:10 in New York, for the first time
    await keep(services, due=night, quiet_hours="22:00-01:30", time_zone="America/New_York")
    for minutes in (0, 10, 20, 60, 70, 80):
        await drained(services, night + timedelta(minutes=minutes))
    assert await fates(services) == {"left": 1}
    assert len(emulator.ledger()["messages"]) == 1


async def series(services: Services) -> list[datetime]:
    page = await services.messages.page(limit=100)
    return sorted(each.due for each in page.items)


async def test_a_series_goes_on_at_the_same_hour_through_dst(services: Services, emulator: Emulator) -> None:
    first = datetime(2026, 10, 31, 13, tzinfo=UTC)  # 9:00 in New York, the day before the clocks go back
    await keep(services, due=first, repeat="FREQ=DAILY;COUNT=3", first=first, time_zone="America/New_York")
    for _ in range(4):
        for due in await series(services):
            await drained(services, due)
            await drained(services, due)
    days = [datetime(2026, 10, 31, 13, tzinfo=UTC), datetime(2026, 11, 1, 14, tzinfo=UTC)]
    assert await series(services) == [*days, datetime(2026, 11, 2, 14, tzinfo=UTC)]
    assert await fates(services) == {"left": 3}
    assert len(emulator.ledger()["messages"]) == 3


async def test_a_series_that_was_down_is_caught_up_once(services: Services, emulator: Emulator) -> None:
    await keep(services, repeat="FREQ=HOURLY", first=NOW)
    await drained(services, NOW + timedelta(hours=6, minutes=10))
    assert await series(services) == [NOW, NOW + timedelta(hours=7)]
    assert len(emulator.ledger()["messages"]) == 1


async def test_canceling_one_of_a_series_ends_it(services: Services, emulator: Emulator) -> None:
    (first,) = await keep(services, repeat="FREQ=DAILY", first=NOW)
    await schedule.cancel(first.id, services.messages, now=NOW)
    await drained(services, NOW + timedelta(days=3))
    assert await states(services) == {"canceled": 1}
    assert emulator.ledger()["messages"] == []


# How fast, and how it ends


async def test_a_pace_is_kept_and_nothing_is_left_claimed(services: Services, emulator: Emulator) -> None:
    await keep(services, 30)
    async with with_settings(services, MAX_PER_SECOND="5") as slow:
        report = await drained(slow, seconds=1)
    found = await states(services)
    assert set(found) == {"submitted", "pending"}
    assert 1 <= found["submitted"] <= 15
    assert report.to_do == []  # other instances would keep a pace of their own
    await as_twilio_says(services, emulator)


async def test_a_canceled_drain_puts_back_what_has_not_left(services: Services, emulator: Emulator) -> None:
    await keep(services, 40)
    emulator.faults(latency_ms=200)
    async with with_settings(services, SEND_CONCURRENCY="8") as slow:
        running = asyncio.create_task(drained(slow))
        await until(lambda: emulator.ledger()["messages"])
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    found = await states(services)
    assert set(found) == {"submitted", "pending"}
    assert found["submitted"] < 40
    await as_twilio_says(services, emulator)
    emulator.faults(latency_ms=0)
    await drained(services)
    assert await states(services) == {"submitted": 40}
    await as_twilio_says(services, emulator)


async def test_a_claim_that_stalled_past_its_lease_does_not_leave_any_more(
    services: Services, emulator: Emulator
) -> None:
    (first,) = await keep(services)
    store = services.messages
    rows = await store.due(first.partition, NOW)
    taken = await store.claim(first.partition, rows, "a1", now=NOW, lease=NOW + timings.LEASE)
    thawed = NOW + timedelta(seconds=70)
    sender = Sender(services.text_outbox, lambda: thawed)
    await sender.slots.take(1)
    sender.start(first.partition, taken, NOW + timings.LEASE)
    await sender.finish()
    assert emulator.rest_requests() == []
    assert await states(services) == {"pending": 1}
    await drained(services, thawed)
    assert await states(services) == {"submitted": 1}


async def test_an_opt_out_that_cannot_be_kept_loses_no_outcome(
    services: Services, emulator: Emulator
) -> None:
    emulator.plan(kind="error", code=21610)
    await keep(services)
    await drained_over(services, Flaky(services.messages.table, "done", "away"))
    assert await states(services) == {"suppressed": 1}


class Flaky:
    """A table whose commits meet a fate each, in turn: done, lost (done, but the answer is) or away."""

    def __init__(self, table: Rows, *fates: str) -> None:
        self.table = table
        self.fates = list(fates)

    async def get(self, partition: str, key: str) -> Row | None:
        return await self.table.get(partition, key)

    async def read(self, partition: str, low: str, high: str, **options: Any) -> list[Row]:
        return await self.table.read(partition, low, high, **options)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        fate = self.fates.pop(0) if self.fates else "done"
        if fate == "away":
            raise errors.StorageAway("table storage does not answer")
        etags = await self.table.commit(partition, writes)
        if fate == "lost":
            # What the SDK makes of it: it repeats the write, which then meets what it wrote itself.
            return await self.table.commit(partition, writes)
        return etags


async def drained_over(services: Services, table: Flaky, now: datetime = NOW) -> Report:
    outbox = replace(services.text_outbox, store=Store(table, Message))
    return await drain(outbox, now=now, seconds=60)


async def test_a_write_whose_answer_is_lost_sends_once(services: Services, emulator: Emulator) -> None:
    for lost in (1, 2, 3, 9):
        await keep(services, 3, body=f"round {lost}")
        await drained_over(services, Flaky(services.messages.table, *["lost"] * lost))
    assert await states(services) == {"submitted": 12}
    await as_twilio_says(services, emulator)


async def test_storage_that_goes_away_while_sends_are_under_way_loses_nothing(
    services: Services, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    await keep(services, 5, to=person(1))
    table = Flaky(services.messages.table, "done", *["away"] * 8)
    await drained_over(services, table)
    assert (await states(services), table.fates) == ({"submitted": 5}, [])
    assert "cannot be written yet" in caplog.text
    await as_twilio_says(services, emulator)


async def test_storage_that_stays_away_ends_the_drain_and_the_list_settles_the_rest(
    services: Services, emulator: Emulator
) -> None:
    now = datetime.now(UTC)
    emulator.pace(step=60)
    await keep(services, 5, due=now, to=person(1))
    async with asyncio.timeout(60):
        await drained_over(services, Flaky(services.messages.table, "done", *["away"] * 1000), now)
    assert await states(services) == {"posting": 5}
    await look(services, timedelta(seconds=95))
    await look(services, timedelta(seconds=99))
    assert await states(services) == {"submitted": 5}
    await as_twilio_says(services, emulator)


async def test_a_claim_that_storage_does_not_answer_sends_nothing(
    services: Services, emulator: Emulator
) -> None:
    await keep(services, 5)
    report = await drained_over(services, Flaky(services.messages.table, *["away"] * 5))
    assert (report.stopped, emulator.rest_requests()) == ("table storage does not answer", [])
    assert await states(services) == {"pending": 5}


async def test_storage_that_is_away_is_one_clear_line(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.storage.tables.TIMEOUTS", {"retry_total": 0})
    away = StoragePorts(*free_ports(3)).connection_string()
    broken = Services(settings(AzureWebJobsStorage=away, TWILIO_BASE_URL=emulator.url))
    report = await timer.tick(broken.text_outbox, broken.call_outbox, now=NOW)
    await broken.close()
    assert report.stopped == "table storage does not answer"
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1
    assert emulator.rest_requests() == []


async def test_a_tick_reads_what_is_due_and_not_what_waits(services: Services) -> None:
    """Its cost follows what is due: of a partition it reads what is due, and the housekeeping."""

    class Counting(Flaky):
        reads = 0
        rows = 0

        async def read(self, partition: str, low: str, high: str, **options: Any) -> list[Row]:
            found = await super().read(partition, low, high, **options)
            self.reads, self.rows = self.reads + 1, self.rows + len(found)
            return found

    await keep(services, 50, due=NOW + timedelta(days=1))
    counting = Counting(services.messages.table)
    await drained_over(services, counting)
    assert (counting.reads, counting.rows) == (2 * len(PARTITIONS), 0)
