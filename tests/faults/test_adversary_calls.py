"""Scenarios made up to ring a person twice, or to lose a call."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence

import pytest

from shared import errors
from shared.calls import replay
from shared.calls.call import Call
from shared.delivery.states import State
from shared.delivery.store import Store
from shared.sms import opt_outs
from shared.storage.rows import Write
from tests.faults import call_steps, steps
from tests.faults.call_steps import deliver, queued, rung, settled
from tests.faults.test_adversary import Hooked
from tests.faults.world import PEOPLE, World
from tests.waiting import until

ANNA = PEOPLE[0]


@pytest.fixture
def table(world: World) -> Hooked:
    """The calls' table, with hooks."""
    hooked = Hooked(world.services.tables.table("calls"))
    world.services.calls = Store(hooked, Call)
    return hooked


def first(work: Callable[[], Awaitable[None]], table: Hooked) -> Callable[[Sequence[Write]], Awaitable[None]]:
    """A hook that is used up by its first use."""

    async def once(_: Sequence[Write]) -> None:
        table.before = table.after = None
        await work()

    return once


async def lose() -> None:
    raise errors.StorageAway("the answer is lost")


async def test_a_claim_that_landed_and_whose_answer_was_lost_rings_once(world: World, table: Hooked) -> None:
    table.after = first(lose, table)
    assert await deliver(world, queued("call", ANNA))
    assert await settled(world, "call") is State.COMPLETED
    assert len(rung(world, "call")) == 1


async def test_an_outcome_that_landed_and_whose_answer_was_lost_rings_once(
    world: World, table: Hooked
) -> None:
    async def lose_the_next() -> None:
        table.after = first(lose, table)

    table.after = first(lose_the_next, table)
    message = queued("call", ANNA)
    assert not await deliver(world, message)
    assert await deliver(world, message)
    assert await settled(world, "call") is State.COMPLETED
    assert len(rung(world, "call")) == 1


async def test_every_queue_message_three_times_at_once_rings_once(world: World) -> None:
    message = queued("call", ANNA)
    done = await asyncio.gather(*(deliver(world, message) for _ in range(3)))
    while not all(done):
        done = await asyncio.gather(*(deliver(world, message) for _ in range(done.count(False))))
    assert len(rung(world, "call")) == 1


async def test_a_look_up_does_not_take_the_sid_of_a_call_that_is_just_being_placed(world: World) -> None:
    """Two calls to one person: the first never left, the second is at Twilio, its outcome not written."""
    world.answers_callbacks = False
    assert await steps.crashed_at(world, 2, "before", "place", queued("first", ANNA)) == "before the POST"
    world.clock.forward(seconds=85)
    world.emulator.faults(latency_ms=1500)
    placing = asyncio.create_task(deliver(world, queued("second", ANNA)))
    await until(lambda: rung(world, "second"))
    world.emulator.faults(latency_ms=0)
    world.clock.forward(seconds=10)
    for _ in range(2):
        await world.drain_calls()
    await placing
    assert await settled(world, "first") is State.UNRESOLVED
    assert await settled(world, "second") is State.COMPLETED


async def test_a_look_up_does_not_take_the_sid_of_a_call_that_a_callback_reported_first(
    world: World, table: Hooked
) -> None:
    assert await steps.crashed_at(world, 2, "before", "place", queued("first", ANNA)) == "before the POST"

    async def wait_for_the_callback() -> None:
        await world.emulator.settle_async(30)

    async def hold_the_outcome() -> None:
        table.before = first(wait_for_the_callback, table)

    table.after = first(hold_the_outcome, table)
    assert await deliver(world, queued("second", ANNA))
    assert await settled(world, "first") is State.UNRESOLVED
    assert await settled(world, "second") is State.COMPLETED


async def test_a_call_whose_last_callback_was_dropped_still_gets_its_end(world: World) -> None:
    world.answers_callbacks = False
    assert await deliver(world, queued("call", ANNA))
    assert await settled(world, "call") is State.COMPLETED


async def test_an_outcome_after_the_lease_was_settled_by_another_is_still_written(
    world: World, table: Hooked
) -> None:
    async def settle() -> None:
        world.answers_callbacks = False
        world.emulator.faults(list_dark=True)
        world.clock.forward(minutes=2)
        await world.drain_calls()
        assert (await world.services.calls.get("call")).state is State.UNKNOWN

    async def hold_the_outcome() -> None:
        table.before = first(settle, table)

    table.after = first(hold_the_outcome, table)
    assert await deliver(world, queued("call", ANNA))
    call = await world.services.calls.get("call")
    assert call.sid == rung(world, "call")[0]


async def test_a_call_that_the_queue_gives_up_does_not_stay_pending(world: World) -> None:
    world.emulator.faults(throttled=1.0)
    message = queued("call", ANNA)
    assert await deliver(world, message)
    assert (await world.services.calls.get("call")).state is State.PENDING
    await replay.bury(
        message["raw"], "call", world.services.calls, world.services.dead_letters, now=world.clock.now()
    )
    assert (await world.services.calls.get("call")).state is State.FAILED
    world.emulator.faults(throttled=0.0)
    world.clock.forward(minutes=11)
    await world.drain_calls()
    assert rung(world, "call") == []
    await replay.reopen("call", world.services.calls, now=world.clock.now())
    assert await deliver(world, message)
    assert await call_steps.settled(world, "call") is State.COMPLETED
    assert len(rung(world, "call")) == 1


async def test_a_message_that_comes_again_for_who_has_opted_out_is_no_dead_letter(world: World) -> None:
    """It names no id, so the second delivery is not known to be one."""
    await opt_outs.opt_out(world.store, ANNA, now=world.clock.now(), source="STOP")
    raw = json.dumps({"to": ANNA, "say": "Hello"}).encode()
    for _ in range(2):
        assert await deliver(world, {"raw": raw, "message_id": "q1"})
    assert (await world.services.calls.get("q1")).state is State.SUPPRESSED
    assert (await world.services.dead_letters.page())["dead_letters"] == []
    assert rung(world, "q1") == []


async def test_lost_answers_of_calls_are_settled_by_the_list_and_none_rings_twice(world: World) -> None:
    world.answers_callbacks = False
    world.emulator.faults(lost_answers=0.5)
    for number in range(12):
        message = queued(f"call-{number}", PEOPLE[number % 6])
        while not await deliver(world, message):
            pass
    for number in range(12):
        assert await settled(world, f"call-{number}") is State.COMPLETED
        assert len(rung(world, f"call-{number}")) == 1
    found = [await world.services.calls.get(f"call-{number}") for number in range(12)]
    assert {each.sid for each in found} == {each["sid"] for each in world.emulator.ledger()["calls"]}
