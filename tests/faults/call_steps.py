"""End a process at each step of placing a call, and of settling one in doubt."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from shared import errors
from shared.calls import placing
from shared.delivery.states import State
from tests.faults.audit import accepted
from tests.faults.steps import MOST, crashed_at, person
from tests.faults.world import World

UNSETTLED = frozenset(
    {State.PENDING, State.POSTING, State.UNKNOWN, State.SUBMITTED, State.RINGING, State.IN_PROGRESS}
)


@dataclass
class Case:
    """One exit: where it was; the call's state once it is settled; what Twilio rang."""

    step: str
    state: State
    rung: list[str]


def queued(call_id: str, to: str) -> dict[str, Any]:
    """A message on the queue `outbound-calls`, as a job takes it."""
    return {"raw": json.dumps({"to": to, "say": "Hello", "id": call_id}).encode(), "message_id": call_id}


async def deliver(world: World, message: dict[str, Any]) -> bool:
    """The queue brings a message; False where it is to come again."""
    try:
        await placing.place(
            message["raw"],
            message["message_id"],
            world.services.call_outbox,
            world.services.dead_letters,
            now=world.clock.now(),
        )
    except (errors.Contended, errors.NotSent, errors.StorageAway):
        return False
    return True


async def settled(world: World, call_id: str) -> State:
    """Let ticks come until the call is settled; its state."""
    for _ in range(15):
        await world.drain_calls()
        await world.emulator.settle_async(30)
        call = await world.services.calls.get(call_id)
        if call.state not in UNSETTLED:
            return call.state
        world.clock.forward(minutes=2)
    raise AssertionError(f"call {call_id} is stuck: {call.state}")


def rung(world: World, call_id: str) -> list[str]:
    """The SIDs under which Twilio rang for this id."""
    return [each["sid"] for each in accepted(world.emulator.ledger()["calls"]).get(call_id, [])]


async def exits(world: World) -> AsyncIterator[Case]:
    """The placing dies at each step; the queue brings the message again until it is done with it."""
    for side in ("before", "after"):
        for number in range(1, MOST):
            call_id = f"{side}-{number}"
            message = queued(call_id, person(side, number))
            step = await crashed_at(world, number, side, "place", message)
            while not await deliver(world, message):
                world.clock.forward(seconds=40)
                await world.drain_calls()
            state = await settled(world, call_id)
            assert await deliver(world, message)
            if not step:
                break
            yield Case(step, state, rung(world, call_id))
    for side in ("before", "after"):
        for number in range(1, MOST):
            call_id = f"settling-{side}-{number}"
            message = queued(call_id, person(side, number + 20))
            world.answers_callbacks = False
            assert await crashed_at(world, 2, "after", "place", message) == "after the POST"
            world.answers_callbacks = True
            world.clock.forward(minutes=2)
            step = await crashed_at(world, number, side, "drain calls", {})
            state = await settled(world, call_id)
            if not step:
                break
            yield Case(f"{step}, settling", state, rung(world, call_id))
