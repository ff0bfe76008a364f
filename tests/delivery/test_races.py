"""What comes late, or between two writes: it sends nothing twice, and loses nothing that waits."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from local.twilio import Emulator
from shared import errors
from shared.calls import placing, replay
from shared.calls.call import Call
from shared.calls.calls import QUEUE
from shared.delivery import changes, keys, outcome, timings
from shared.delivery.callbacks import Callback, report
from shared.delivery.drain import drain
from shared.delivery.erasure import erase_all
from shared.delivery.states import State
from shared.delivery.store import Store
from shared.services import Services
from shared.sms import schedule
from shared.sms.message import Message
from shared.storage.partitions import shard
from shared.storage.rows import Insert, Merge, Put, Row, Rows, Write
from tests.clock import NOW
from tests.sending import drained, keep, person, states
from tests.settings import settings

ANNA = person(1)
STRANGER = next(each for each in map(person, range(2, 99)) if shard(each) != shard(ANNA))
NEIGHBOUR = next(each for each in map(person, range(2, 99)) if shard(each) == shard(ANNA))


class Hooked:
    """A table with something before a commit, which is told its writes."""

    def __init__(self, table: Rows, before: Callable[[Sequence[Write]], Awaitable[None]]) -> None:
        self.table, self.before = table, before

    async def get(self, partition: str, key: str) -> Row | None:
        return await self.table.get(partition, key)

    async def read(self, partition: str, low: str, high: str, **options: Any) -> list[Row]:
        return await self.table.read(partition, low, high, **options)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        await self.before(writes)
        return await self.table.commit(partition, writes)


async def claimed(services: Services, message: Message, attempt: str = "a1") -> Message:
    """The message as a drain leaves it that has claimed it and then stalled."""
    store = services.messages
    lease = NOW + timings.LEASE
    rows = await store.due(message.partition, NOW)
    return (await store.claim(message.partition, rows, attempt, now=NOW, lease=lease))[0]


async def resent(services: Services, taken: Message) -> Message:
    """It was looked up in vain, and a person had it sent again."""
    store = services.messages
    unresolved = replace(taken, state=State.UNRESOLVED)
    await store.change(await store.get(taken.id), unresolved)
    return await changes.resend(store, taken.id, opted_out=False, now=NOW)


@pytest.mark.parametrize("late", [State.SUBMITTED, State.HELD, State.PENDING, State.FAILED])
async def test_an_outcome_that_comes_after_a_resend_leaves_one_copy_among_what_is_due(
    services: Services, emulator: Emulator, late: State
) -> None:
    """Else the copy that stays behind is claimed, and a message that Twilio has is sent again."""
    (message,) = await keep(services)
    taken = await claimed(services, message)
    await resent(services, taken)
    sid = "SM" + "1" * 32 if late is State.SUBMITTED else ""
    retry = NOW + timedelta(minutes=1) if late in (State.HELD, State.PENDING) else None
    ended = replace(taken, state=late, sid=sid, retry=retry)
    assert await outcome.write_joined(services.messages, ended, now=NOW)
    waits = late in (State.HELD, State.PENDING)
    assert len(await services.messages.due(message.partition, NOW + timedelta(hours=1))) == waits
    await drained(services, NOW + timedelta(hours=1))
    assert len(emulator.ledger()["messages"]) == waits


async def test_a_late_outcome_does_not_undo_an_edit_of_what_was_resent(services: Services) -> None:
    (message,) = await keep(services)
    taken = await claimed(services, message)
    await resent(services, taken)
    later = NOW + timedelta(days=1)
    store = services.messages
    present = await store.get(message.id)
    await store.change(present, replace(present, due=later))
    held = replace(taken, state=State.HELD, retry=NOW + timings.HOLD)
    assert await outcome.write_joined(store, held, now=NOW)
    assert (await store.get(message.id)).next == later


async def test_a_late_callback_of_the_text_before_an_edit_does_not_end_the_new_one(
    services: Services, emulator: Emulator
) -> None:
    """A person had it resent, and changed to whom: that what was sent before arrives says nothing of it."""
    (message,) = await keep(services)
    taken = await claimed(services, message)
    await resent(services, taken)
    await schedule.edit(message.id, {"to": NEIGHBOUR}, services.messages, services.settings, now=NOW)
    told = Callback(message.id, "a1", "SM" + "1" * 32, State.DELIVERED, NOW)
    await report(services.text_outbox, told)
    await drained(services)
    (sent,) = emulator.ledger()["messages"]
    assert sent["to"] == NEIGHBOUR


async def test_a_person_finds_the_next_of_a_series_that_was_edited_and_expired(services: Services) -> None:
    """By that list an erasure finds what it has to cancel."""
    expires = NOW + timedelta(minutes=1)
    (message,) = await keep(services, repeat="FREQ=DAILY", first=NOW, expires=expires, expires_after=60)
    await schedule.edit(message.id, {"to": STRANGER}, services.messages, services.settings, now=NOW)
    await drained(services, NOW + timedelta(hours=1))
    assert await states(services) == {"expired": 1, "pending": 1}
    erased = await erase_all(services.messages, STRANGER, "-x", now=NOW)
    assert erased == (2, 0)
    assert await states(services) == {"expired": 1, "canceled": 1}


async def test_what_edits_at_once_give_together_is_in_the_conversation(services: Services) -> None:
    (message,) = await keep(services, due=NOW + timedelta(days=1))
    first: list[bool] = []

    async def edit_first(writes: Sequence[Write]) -> None:
        if not first and any(
            isinstance(each, Put) and each.key == keys.record(message.id) for each in writes
        ):
            first.append(True)
            await schedule.edit(message.id, {"to": STRANGER}, services.messages, services.settings, now=NOW)

    store = Store(Hooked(services.messages.table, edit_first), Message)
    await schedule.edit(message.id, {"send_at": "2010-01-01T00:00:00Z"}, store, services.settings, now=NOW)
    assert [each.id for each in (await services.messages.to(STRANGER)).items] == [message.id]


async def test_a_call_that_is_replayed_is_in_its_persons_conversation_at_its_new_time(
    services: Services,
) -> None:
    """Else a look-up of another call to this person takes its SID for free."""
    asked = {"to": ANNA, "say": "hello", "id": "call"}
    await placing.accept(asked, services.calls, services.settings, now=NOW)
    call = await services.calls.get("call")
    await services.calls.change(call, replace(call, state=State.FAILED))
    later = NOW + timedelta(days=9)
    await replay.reopen("call", services.calls, now=later)
    await drain(services.call_outbox, now=later + timedelta(minutes=2), seconds=60)
    kin = await services.calls.recent(ANNA, since=later)
    assert [(each.id, each.state) for each in kin] == [("call", State.SUBMITTED)]


async def test_what_cannot_be_erased_yet_is_not_said_to_be_erased(services: Services) -> None:
    await keep(services, due=NOW + timedelta(days=1))

    async def contend(writes: Sequence[Write]) -> None:
        if any(each.key.startswith(keys.RECORDS) for each in writes):
            raise errors.Contended("somebody changes it all the time")

    store = Store(Hooked(services.messages.table, contend), Message)
    assert await erase_all(store, ANNA, "-x", now=NOW) == (0, 1)
    assert await erase_all(services.messages, ANNA, "-x", now=NOW) == (1, 0)


async def test_housekeeping_has_its_time_however_much_is_due(services: Services) -> None:
    (stalled,) = await keep(services)
    await claimed(services, stalled)
    await keep(services, 30)
    report = await drained(services, NOW + timedelta(minutes=3), seconds=0)
    assert report.to_do
    assert (await services.messages.get(stalled.id)).state is State.UNKNOWN


async def test_a_callback_that_cannot_disown_is_not_noted_either(services: Services) -> None:
    """Its SID was given to another text: the next callback takes it away from that one."""
    sid = "SM" + "1" * 32
    owner, other = await keep(services, 2, to=ANNA, body="alike")
    store = services.messages
    posted: dict[str, Any] = {"posted": NOW, "looks": 1, "state": State.UNKNOWN}
    owner = await store.change(await store.get(owner.id), replace(owner, attempt="a1", **posted))
    taken: dict[str, Any] = {**posted, "state": State.SUBMITTED, "sid": sid, "looked_up": True}
    await store.change(await store.get(other.id), replace(other, attempt="a2", **taken))
    fates = [errors.StorageAway("away")]

    async def fail_once(writes: Sequence[Write]) -> None:
        about_other = any(each.key == keys.record(other.id) for each in writes)
        if fates and about_other:
            raise fates.pop()

    outbox = replace(services.text_outbox, store=Store(Hooked(store.table, fail_once), Message))
    with pytest.raises(errors.StorageAway):
        await report(outbox, Callback(owner.id, "a1", sid, State.SENT, NOW))
    await report(outbox, Callback(owner.id, "a1", sid, State.DELIVERED, NOW))
    assert (await store.get(other.id)).sid == ""
    assert (await store.get(owner.id)).state is State.DELIVERED


async def test_an_outcome_whose_row_cannot_be_read_keeps_no_other_from_being_written(
    services: Services, emulator: Emulator
) -> None:
    first, second = await keep(services, 2, to=ANNA)
    table, spoilt = services.messages.table, list[str]()

    async def spoil(writes: Sequence[Write]) -> None:
        if not spoilt and any(isinstance(each, Put) and each.key == keys.record(first.id) for each in writes):
            spoilt.append(first.id)
            await table.commit(first.partition, [Merge(keys.record(first.id), {"created": "today"})])

    outbox = replace(services.text_outbox, store=Store(Hooked(table, spoil), Message))
    await drain(outbox, now=NOW, seconds=60)
    assert len(emulator.ledger()["messages"]) == 2
    assert (await services.messages.get(second.id)).state is State.SUBMITTED


async def test_a_reservation_that_two_want_at_once_goes_to_one(services: Services) -> None:
    """The SID is reserved for a text that is gone: both take it over, and the second one is told so."""
    one, two = await keep(services, 2)
    sid = "SM" + "1" * 32
    partition, key = keys.sid(sid)
    table = services.messages.table
    await table.commit(partition, [Insert(key, {"id": "0" * 32})])
    quicker: list[bool] = []

    async def other_first(writes: Sequence[Write]) -> None:
        if not quicker and isinstance(writes[0], Put):
            quicker.append(await services.messages.reserve_sid(sid, two))

    store = Store(Hooked(table, other_first), Message)
    assert not await store.reserve_sid(sid, one)
    assert quicker == [True]


async def test_an_expired_call_is_one_dead_letter_however_often_its_end_is_tried(services: Services) -> None:
    await placing.accept({"to": ANNA, "say": "hi", "id": "call"}, services.calls, services.settings, now=NOW)
    fates = [errors.StorageAway("away")]

    async def fail_once(_: Sequence[Write]) -> None:
        if fates:
            raise fates.pop()

    outbox = replace(services.call_outbox, store=Store(Hooked(services.calls.table, fail_once), Call))
    for minutes in (61, 62):
        await drain(outbox, now=NOW + timedelta(minutes=minutes), seconds=60)
    assert (await services.calls.get("call")).state is State.EXPIRED
    assert len((await services.dead_letters.page())["dead_letters"]) == 1


async def test_a_call_does_not_expire_before_its_dead_letter_is_kept(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await placing.accept({"to": ANNA, "say": "hi", "id": "call"}, services.calls, services.settings, now=NOW)

    async def away(*_: object, **__: object) -> None:
        raise errors.StorageAway("away")

    with monkeypatch.context() as patched:
        patched.setattr(services.dead_letters, "add", away)
        await drain(services.call_outbox, now=NOW + timedelta(minutes=61), seconds=60)
    await drain(services.call_outbox, now=NOW + timedelta(minutes=62), seconds=60)
    assert len((await services.dead_letters.page())["dead_letters"]) == 1


async def test_a_call_that_the_limit_holds_is_a_dead_letter_after_its_hour(services: Services) -> None:
    known = services.settings
    limited = Services(
        settings(
            AzureWebJobsStorage=known.storage or "",
            TWILIO_BASE_URL=known.twilio_base_url or "",
            PUBLIC_BASE_URL=known.public_base_url,
            DAILY_CALL_LIMIT="1",
        )
    )
    for name in ("one", "two"):
        asked = {"to": ANNA, "say": "hi", "id": name}
        await placing.accept(asked, limited.calls, limited.settings, now=NOW)
    for minutes in (2, 62):
        await drain(limited.call_outbox, now=NOW + timedelta(minutes=minutes), seconds=60)
    found = {(await limited.calls.get(name)).state for name in ("one", "two")}
    (letter,) = (await limited.dead_letters.page())["dead_letters"]
    await limited.close()
    assert found == {State.EXPIRED, State.COMPLETED}
    assert "DAILY_CALL_LIMIT" in letter["reason"]


async def test_a_call_is_buried_under_the_id_that_it_was_placed_with(
    services: Services, emulator: Emulator
) -> None:
    """Else its dead letter, replayed, rings a second time."""
    emulator.plan(kind="error", code=20003, status=401)
    raw = json.dumps({"to": ANNA, "say": "hello", "id": None}).encode()
    await placing.place(raw, "q1", services.call_outbox, services.dead_letters, now=NOW)
    (call,) = (await services.calls.page()).items
    await replay.bury(raw, "q1", services.calls, services.dead_letters, now=NOW)
    (letter,) = (await services.dead_letters.page())["dead_letters"]
    assert letter["call_id"] == call.id
    assert (await services.calls.get(call.id)).state is State.FAILED


async def test_poison_of_a_call_that_cannot_be_read_is_kept_all_the_same(services: Services) -> None:
    asked = {"to": ANNA, "say": "hello", "id": "call"}
    await placing.accept(asked, services.calls, services.settings, now=NOW)
    partition = Call.partition_of("call")
    await services.calls.table.commit(partition, [Merge(keys.record("call"), {"created": "today"})])
    await replay.bury(json.dumps(asked).encode(), "q1", services.calls, services.dead_letters, now=NOW)
    (letter,) = (await services.dead_letters.page())["dead_letters"]
    assert (letter["call_id"], letter["queue"]) == ("call", QUEUE)


async def test_a_lease_stays_until_everything_of_it_is_settled(services: Services) -> None:
    """Its sender writes an outcome just as the lease is settled: Twilio is asked after it all the same."""
    (message,) = await keep(services)
    taken = await claimed(services, message)
    late: list[bool] = []

    async def outcome_first(writes: Sequence[Write]) -> None:
        if not late and any(each.key == keys.record(message.id) for each in writes):
            sent = outcome.sent(taken, "SM" + "1" * 32, NOW)
            late.append(await outcome.write_joined(services.messages, sent, now=NOW))

    outbox = replace(
        services.text_outbox, store=Store(Hooked(services.messages.table, outcome_first), Message)
    )
    now = NOW + timings.LEASE + timedelta(seconds=1)
    for _ in range(2):
        await drain(outbox, now=now, seconds=60)
    rows = await services.messages.housekeeping(message.partition, now + timedelta(days=1))
    assert [keys.kind(row.key) for row in rows] == [keys.ASK_AFTER]


async def test_a_call_that_waits_keeps_what_is_known_of_it_when_the_queue_brings_it_again(
    services: Services, emulator: Emulator
) -> None:
    """And an erasure finds it by the number that rang, though the id was another's before."""
    asked = {"to": ANNA, "say": "hello", "id": "call"}
    await placing.accept(asked, services.calls, services.settings, now=NOW)
    emulator.plan(kind="error", code=20429, status=429)
    emulator.plan(kind="error", code=20429, status=429)
    for to in (ANNA, STRANGER):
        raw = json.dumps({**asked, "to": to}).encode()
        await placing.place(raw, "q", services.call_outbox, services.dead_letters, now=NOW)
    call = await services.calls.get("call")
    assert (call.to, call.attempts, call.created) == (STRANGER, 2, NOW)
    assert await erase_all(services.calls, STRANGER, "-x", now=NOW) == (1, 0)
