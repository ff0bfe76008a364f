"""daily_count.py: how much one recipient gets in a day, whoever counts and wherever the message lies."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from local.twilio import Emulator
from shared import errors
from shared.calls import placing, replay
from shared.calls.call import Call
from shared.calls.dead_letters import DeadLetter
from shared.delivery import daily_count
from shared.delivery.states import State
from shared.delivery.store import Store
from shared.recipients import erasure
from shared.services import Services
from shared.sms import schedule
from shared.sms.message import Message
from shared.storage.partitions import shard
from shared.storage.rows import Insert, Row, Write
from shared.storage.tables import Table
from tests.azurite import Azurite
from tests.clock import NOW
from tests.front import Front
from tests.sending import drained, keep, person, states
from tests.settings import settings

BOB = person(1)
STRANGERS = [each for each in map(person, range(2, 60)) if shard(each) != shard(BOB)]
NEIGHBOUR = next(each for each in map(person, range(2, 90)) if shard(each) == shard(BOB))
TOMORROW = NOW + timedelta(days=1)


class Hooked(Table):
    """A table that remembers what it is asked, and dies at a commit of a key with `dies_at` in it."""

    def __init__(self, table: Table) -> None:
        super().__init__(table._client, table._layout)
        self.commits: list[tuple[str, Sequence[Write]]] = []
        self.gets: list[str] = []
        self.dies_at = ""
        self._hooks: dict[str, Callable[[], Awaitable[object]]] = {}

    def before(self, key: str, hook: Callable[[], Awaitable[object]]) -> None:
        """Do this, once, before the next commit that writes this row."""
        self._hooks[key] = hook

    async def get(self, partition: str, key: str) -> Row | None:
        self.gets.append(key)
        return await super().get(partition, key)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        for key in [write.key for write in writes if write.key in self._hooks]:
            await self._hooks.pop(key)()
        if self.dies_at and any(self.dies_at in write.key for write in writes):
            raise errors.StorageAway("the process died here")
        self.commits.append((partition, writes))
        return await super().commit(partition, writes)


@pytest_asyncio.fixture
async def limited(azurite: Azurite, emulator: Emulator, front: Front) -> AsyncIterator[Services]:
    """At most two texts and two calls a day."""
    made = Services(
        settings(
            AzureWebJobsStorage=azurite.fresh_account(),
            TWILIO_BASE_URL=emulator.url,
            PUBLIC_BASE_URL=front.url,
            DAILY_LIMIT="2",
            DAILY_CALL_LIMIT="2",
        )
    )
    yield made
    await made.close()


@pytest.fixture
def table(limited: Services) -> Hooked:
    """The messages' table, with hooks."""
    hooked = Hooked(limited.tables.table("messages"))
    limited.messages = Store(hooked, Message)
    return hooked


async def moved(services: Services, former: str, to: str = BOB, **changes: Any) -> Message:
    """A message to somebody that was edited to go to another."""
    (kept,) = await keep(services, to=former, **changes)
    edited = await schedule.edit(kept.id, {"to": to}, services.messages, services.settings, now=NOW)
    assert edited.to == to
    return edited


def texts_to(emulator: Emulator) -> int:
    return sum(each["to"] == BOB for each in emulator.ledger()["messages"])


# Messages


async def test_what_is_over_the_limit_is_held_until_tomorrow(limited: Services, emulator: Emulator) -> None:
    await keep(limited, to=BOB)
    await keep(limited, to=BOB)
    (late,) = await keep(limited, to=BOB, due=NOW + timedelta(minutes=1))
    await drained(limited, NOW + timedelta(minutes=2))
    held = await limited.messages.get(late.id)
    assert (texts_to(emulator), held.state) == (2, State.HELD)
    assert held.reason == "the recipient has had 2 messages today (DAILY_LIMIT)"
    assert held.retry == late.due + timedelta(days=1)
    await drained(limited, TOMORROW + timedelta(minutes=2))
    assert texts_to(emulator) == 3


async def test_a_count_that_changes_under_a_claim_lets_its_message_leave_in_the_same_tick(
    limited: Services, emulator: Emulator, table: Hooked
) -> None:
    await keep(limited, to=BOB)
    counted = f"n|{BOB}|{NOW:%Y-%m-%d}"
    table.before(counted, lambda: table.commit(shard(BOB), [Insert(counted, {"count": 1})]))
    await drained(limited)
    row = await table.get(shard(BOB), counted)
    assert row is not None
    assert (texts_to(emulator), row.values["count"]) == (1, 2)


async def test_what_is_left_of_a_claim_is_claimed_whatever_its_order(
    limited: Services, emulator: Emulator, table: Hooked
) -> None:
    """An edited message is admitted last, and may be due first."""
    edited = await moved(limited, NEIGHBOUR, STRANGERS[0], due=NOW - timedelta(minutes=10))
    own = [(await keep(limited, to=NEIGHBOUR, due=NOW - timedelta(minutes=n)))[0] for n in (5, 4)]
    counted = f"n|{NEIGHBOUR}|{NOW:%Y-%m-%d}"
    table.before(counted, lambda: table.commit(shard(NEIGHBOUR), [Insert(counted, {"count": 0})]))
    await drained(limited)
    sent = {each["to"] for each in emulator.ledger()["messages"]}
    assert (len(emulator.ledger()["messages"]), sent) == (3, {edited.to, own[0].to})


async def test_an_edited_recipient_does_not_evade_the_limit(limited: Services, emulator: Emulator) -> None:
    for _ in range(2):
        await keep(limited, to=BOB)
    await drained(limited)
    edited = await moved(limited, STRANGERS[0])
    assert edited.partition != shard(BOB)
    await drained(limited)
    held = await limited.messages.get(edited.id)
    assert (texts_to(emulator), held.state) == (2, State.HELD)
    assert "DAILY_LIMIT" in held.reason
    await drained(limited, TOMORROW)
    assert texts_to(emulator) == 3


async def test_a_message_from_another_partition_counts_for_the_recipients_own(
    limited: Services, emulator: Emulator
) -> None:
    for stranger in STRANGERS[:2]:
        await moved(limited, stranger)
    await drained(limited)
    (own,) = await keep(limited, to=BOB)
    await drained(limited)
    assert (await limited.messages.get(own.id)).state is State.HELD
    assert texts_to(emulator) == 2


async def test_several_of_one_batch_do_not_exceed_it_together(limited: Services, emulator: Emulator) -> None:
    for _ in range(5):
        await moved(limited, STRANGERS[0])
    await drained(limited)
    assert await states(limited) == {"submitted": 2, "held": 3}
    assert texts_to(emulator) == 2


async def test_drains_at_once_do_not_exceed_it_together(limited: Services, emulator: Emulator) -> None:
    for stranger in STRANGERS[:8]:
        await moved(limited, stranger)
    for _ in range(4):
        await keep(limited, to=BOB)
    other = Services(limited.settings)
    for _ in range(3):  # one that met another at the count waits for the next
        await asyncio.gather(*(drained(each) for each in (limited, other, limited, other)))
    await other.close()
    assert texts_to(emulator) == 2
    assert await states(limited) == {"submitted": 2, "held": 10}


async def test_a_message_that_comes_back_unsent_counts_once(limited: Services, emulator: Emulator) -> None:
    await moved(limited, STRANGERS[0])
    await keep(limited, to=BOB)
    emulator.faults(credentials_refused=True)
    for minutes in range(4):
        await drained(limited, NOW + timedelta(minutes=minutes))
    assert (await states(limited), texts_to(emulator)) == ({"pending": 2}, 0)
    emulator.faults(credentials_refused=False)
    await drained(limited, NOW + timedelta(minutes=9))
    assert await states(limited) == {"submitted": 2}


@pytest.mark.parametrize("former", [NEIGHBOUR, STRANGERS[0]])
async def test_what_came_back_unsent_counts_for_whom_it_is_edited_to(
    limited: Services, emulator: Emulator, former: str
) -> None:
    (kept,) = await keep(limited, to=former)
    emulator.faults(credentials_refused=True)
    await drained(limited)
    emulator.faults(credentials_refused=False)
    assert (await limited.messages.get(kept.id)).posted
    later = NOW + timedelta(hours=1)
    change = {"to": BOB, "send_at": later.isoformat()}
    await schedule.edit(kept.id, change, limited.messages, limited.settings, now=NOW)
    for _ in range(2):
        await keep(limited, to=BOB)
    await drained(limited)
    assert texts_to(emulator) == 2
    await drained(limited, later)
    assert (await limited.messages.get(kept.id)).state is State.HELD
    assert texts_to(emulator) == 2


async def test_a_drain_that_dies_between_the_count_and_the_claim_counts_it_once(
    limited: Services, emulator: Emulator, table: Hooked
) -> None:
    edited = await moved(limited, STRANGERS[0])
    table.dies_at = "|l|"
    report = await drained(limited)
    assert report.stopped == "the process died here"
    assert (await states(limited), emulator.rest_requests()) == ({"pending": 1}, [])
    day = f"n|{BOB}|2009-11-23"
    row = await table.get(shard(BOB), day)
    assert row is not None
    assert row.values["count"] == 1
    assert await table.get(shard(BOB), f"{day}|{edited.id}")
    table.dies_at = ""
    await drained(limited)
    (own,) = await keep(limited, to=BOB)
    await drained(limited)
    assert (await limited.messages.get(own.id)).state is State.SUBMITTED
    row = await table.get(shard(BOB), day)
    assert row is not None
    assert row.values["count"] == 2
    assert texts_to(emulator) == 2


async def test_the_count_is_written_before_the_claim(limited: Services, table: Hooked) -> None:
    edited = await moved(limited, STRANGERS[0])
    table.commits.clear()
    await drained(limited)
    counted = [n for n, (_, writes) in enumerate(table.commits) if any("n|" in w.key[:2] for w in writes)]
    claimed = [n for n, (_, writes) in enumerate(table.commits) if any("|l|" in w.key for w in writes)]
    assert counted == [0]
    assert counted < claimed
    partition, writes = table.commits[0]
    assert partition == shard(BOB) != edited.partition
    assert isinstance(writes[0], Insert)  # conditional: it fails where another has counted meanwhile


async def test_a_count_that_keeps_changing_leaves_the_message_due(
    limited: Services, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = await moved(limited, STRANGERS[0])
    monkeypatch.setattr(daily_count, "TRIES", 0)
    await drained(limited)
    assert (await limited.messages.get(edited.id)).state is State.PENDING
    monkeypatch.undo()
    await drained(limited)
    assert texts_to(emulator) == 1


async def test_without_a_limit_nothing_is_counted(services: Services, emulator: Emulator) -> None:
    hooked = Hooked(services.tables.table("messages"))
    services.messages = Store(hooked, Message)
    for stranger in STRANGERS[:3]:
        await moved(services, stranger)
    await drained(services)
    assert texts_to(emulator) == 3
    assert not [write for _, writes in hooked.commits for write in writes if write.key.startswith("n|")]


# Calls


PLACED = datetime(2009, 11, 23, 23, 59, 59, tzinfo=UTC)
NEXT_DAY = PLACED + timedelta(seconds=1)


async def deliver(services: Services, raw: str, queue_id: str, now: datetime = PLACED) -> None:
    """The queue brings this message."""
    await placing.place(raw.encode(), queue_id, services.call_outbox, services.dead_letters, now=now)


async def place(services: Services, call_id: str, now: datetime = PLACED, to: str = BOB) -> None:
    await deliver(services, json.dumps({"to": to, "say": "hello", "id": call_id}), f"queue-{call_id}", now)


async def letters(services: Services) -> list[DeadLetter]:
    page = await services.dead_letters.page(limit=100)
    return [await services.dead_letters.get(each["id"]) for each in page["dead_letters"]]


async def replayed(services: Services, letter: DeadLetter, now: datetime) -> None:
    raw = await replay.replay(letter.id, services.calls, services.dead_letters, now=now)
    await deliver(services, raw, f"replay-{letter.id}", now)


def rung(emulator: Emulator) -> int:
    return len(emulator.ledger()["calls"])


async def test_a_call_over_the_limit_is_a_dead_letter_at_once(limited: Services, emulator: Emulator) -> None:
    for call_id in ("a", "b", "c"):
        await place(limited, call_id)
    await place(limited, "d", to=STRANGERS[0])
    (letter,) = await letters(limited)
    call = await limited.calls.get("c")
    assert rung(emulator) == 3
    assert (letter.call_id, letter.queue, call.state, call.sid) == ("c", "outbound-calls", "failed", "")
    assert letter.reason == call.reason
    assert "has had 2 calls today, by UTC (DAILY_CALL_LIMIT): replay it tomorrow" in letter.reason
    assert BOB not in letter.reason
    assert (await limited.calls.get("d")).state == "submitted"


async def test_a_replay_goes_there_again_today_and_rings_tomorrow(
    limited: Services, emulator: Emulator
) -> None:
    for call_id in ("a", "b", "c"):
        await place(limited, call_id)
    (first,) = await letters(limited)
    await replayed(limited, first, PLACED + timedelta(milliseconds=100))
    again, _ = await letters(limited)
    assert (again.call_id, rung(emulator)) == ("c", 2)
    assert (await limited.calls.get("c")).state == "failed"
    await replayed(limited, again, NEXT_DAY)
    assert (rung(emulator), (await limited.calls.get("c")).state) == (3, "submitted")
    with pytest.raises(errors.Conflict, match="it may have left"):
        await replay.replay(first.id, limited.calls, limited.dead_letters, now=NEXT_DAY)
    await place(limited, "d", NEXT_DAY)
    await place(limited, "e", NEXT_DAY)
    assert rung(emulator) == 4


async def test_a_call_without_an_id_is_replayed_under_its_queue_messages_own(
    limited: Services, emulator: Emulator
) -> None:
    for queue_id in ("q1", "q2", "q3", "q3"):
        await deliver(limited, json.dumps({"to": BOB, "say": "hello"}), queue_id)
    (letter,) = await letters(limited)
    assert (letter.call_id, rung(emulator)) == ("q3", 2)
    await replayed(limited, letter, NEXT_DAY)
    assert (rung(emulator), (await limited.calls.get("q3")).state) == (3, "submitted")


async def test_placements_at_once_do_not_exceed_it_together(limited: Services, emulator: Emulator) -> None:
    other = Services(limited.settings)
    results = await asyncio.gather(
        *(place((limited, other)[n % 2], f"call-{n}") for n in range(12)), return_exceptions=True
    )
    await other.close()
    assert results == [None] * 12
    assert rung(emulator) == 2
    assert len(await letters(limited)) == 10


async def test_one_id_counts_once_however_often_it_is_delivered(
    limited: Services, emulator: Emulator
) -> None:
    for times in (1, 4):  # refused for now, and brought by the queue again
        emulator.plan(kind="error", code=20429, status=429, times=times)
        for _ in range(times):
            await place(limited, "a")
            assert (await limited.calls.get("a")).code == 20429
    await asyncio.gather(*(place(limited, "a") for _ in range(4)), return_exceptions=True)
    await place(limited, "a")
    await place(limited, "b")
    assert (rung(emulator), await letters(limited)) == (2, [])
    await place(limited, "c")
    assert rung(emulator) == 2


@pytest.mark.parametrize("call_id", ["a", ""])
async def test_a_late_delivery_of_a_call_that_has_rung_neither_counts_nor_is_given_up(
    limited: Services, emulator: Emulator, call_id: str
) -> None:
    first = json.dumps({"to": BOB, "say": "hello", **({"id": call_id} if call_id else {})})
    await deliver(limited, first, "q1")
    await place(limited, "b", NEXT_DAY)
    await deliver(limited, first, "q1", NEXT_DAY)
    await place(limited, "c", NEXT_DAY)
    await deliver(limited, first, "q1", NEXT_DAY)
    assert (rung(emulator), await letters(limited)) == (3, [])


async def test_a_placement_that_dies_after_its_count_counts_once(
    limited: Services, emulator: Emulator
) -> None:
    limit = limited.settings.daily_call_limit or 0
    assert await daily_count.count_once(limited.call_outbox, BOB, ["a"], limit, now=PLACED) == {"a"}
    await place(limited, "a")
    await place(limited, "b")
    assert (rung(emulator), await letters(limited)) == (2, [])


async def test_a_refusal_that_dies_halfway_is_not_lost(limited: Services, emulator: Emulator) -> None:
    hooked = Hooked(limited.tables.table("calls"))
    limited.calls = Store(hooked, Call)
    await place(limited, "a")
    await place(limited, "b")
    hooked.dies_at = "m|c"
    with pytest.raises(errors.StorageAway):
        await place(limited, "c")
    (letter,) = await letters(limited)
    hooked.dies_at = ""
    await place(limited, "c", PLACED + timedelta(milliseconds=500))  # the queue brings it again
    assert (await limited.calls.get("c")).state == "failed"
    await replayed(limited, letter, NEXT_DAY)
    assert (rung(emulator), (await limited.calls.get("c")).state) == (3, "submitted")


async def test_an_accepted_call_over_the_limit_does_not_stay_pending(
    limited: Services, emulator: Emulator
) -> None:
    await place(limited, "a")
    await place(limited, "b")
    request = {"to": BOB, "say": "hello"}
    accepted = await placing.accept(request, limited.calls, limited.settings, now=PLACED)
    await deliver(limited, accepted.to_json(), "q")
    assert (await limited.calls.get(accepted.id)).state == "failed"
    assert rung(emulator) == 2


async def test_calls_and_texts_count_apart(limited: Services, emulator: Emulator) -> None:
    for n in range(2):
        await keep(limited, to=BOB)
        await place(limited, f"call-{n}", NOW)
    await drained(limited)
    assert (texts_to(emulator), rung(emulator)) == (2, 2)


async def test_a_call_costs_no_request_more_without_the_limit(services: Services) -> None:
    texts, calls = Hooked(services.tables.table("messages")), Hooked(services.tables.table("calls"))
    services.messages, services.calls = Store(texts, Message), Store(calls, Call)
    request = json.dumps({"to": BOB, "say": "hello"})
    await deliver(services, request, "q1")  # makes the table
    calls.gets.clear()
    calls.commits.clear()
    await deliver(services, request, "q2")
    assert (texts.commits, calls.gets, len(calls.commits)) == ([], [], 2)
    assert not [write for _, writes in calls.commits for write in writes if write.key.startswith("n|")]


async def test_an_erased_number_leaves_no_count(azurite: Azurite, emulator: Emulator, front: Front) -> None:
    made = Services(
        settings(
            AzureWebJobsStorage=azurite.fresh_account(),
            TWILIO_BASE_URL=emulator.url,
            PUBLIC_BASE_URL=front.url,
            DAILY_LIMIT="2",
            DAILY_CALL_LIMIT="2",
            ERASURE_KEY="a secret of its own",
        )
    )
    await moved(made, STRANGERS[0])
    await drained(made)
    await place(made, "a", NOW)
    stores: tuple[Store[Any], ...] = (made.messages, made.calls)

    async def counted(store: Store[Any]) -> list[str]:
        """What is left of counts, wherever it lies: a count and its mark for each of the two."""
        rows = [await store.table.read(each, "n|", "n|~", limit=100) for each in store.partitions]
        return [row.key for found in rows for row in found]

    assert [len(await counted(each)) for each in stores] == [2, 2]
    await erasure.erase(BOB, made.places, made.settings.erasure_key, now=NOW)
    assert [await counted(each) for each in stores] == [[], []]
    await made.close()
