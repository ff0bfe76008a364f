"""End a process at each step of a protocol, one after the other, and see what becomes of it afterwards."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.delivery.states import State
from shared.sms.message import Message
from shared.storage.partitions import shard
from tests.faults.audit import Verdict
from tests.faults.workers import CRASHED, Job, Worker
from tests.faults.world import UNSETTLED, World

MOST = 40
"""More steps than any of these protocols has."""


def person(side: str, number: int) -> str:
    """Somebody for each case."""
    return f"+12025550{(101 if side == 'before' else 141) + number}"


@dataclass
class Case:
    """One exit: where it was, and how the records compare once all is settled."""

    step: str
    verdict: Verdict
    messages: list[Message] = field(default_factory=list)


async def crashed_at(world: World, number: int, side: str, name: str, arguments: Mapping[str, Any]) -> str:
    """Run a job that ends itself there; "" once it has fewer steps than that."""
    ended = await Worker(Job(name, world.environ, world.clock.offset, arguments, (number, side))).ended()
    assert ended.exit_code == (CRASHED if ended.crashed_at else 0), ended
    return ended.crashed_at


async def settled(world: World, ids: list[str]) -> list[Message]:
    partitions = sorted({each[:2] for each in ids})

    async def all_settled() -> bool:
        return not any(message.state in UNSETTLED for message in await world.messages(ids))

    minutes = await world.settle(partitions=partitions, settled=all_settled)
    assert minutes < 30, "something is stuck"
    return await world.messages(ids)


async def exits_while_sending(world: World) -> AsyncIterator[Case]:
    """Three messages to one person, in a drain that dies at each step in turn.

    One is of a series; Twilio throttles one, and the answer to another is lost.
    """
    for side in ("before", "after"):
        for number in range(1, MOST):
            to = person(side, number)
            made = [await world.text(to, f"{side} {number} {text}") for text in "abc"]
            made.append(await world.text(to, f"{side} {number} daily", repeat="FREQ=DAILY"))
            ids = [message.id for message in made]
            world.emulator.plan(kind="error", code=20429, to=to)
            world.emulator.plan(kind="lost", to=to)
            step = await crashed_at(world, number, side, "drain", {"partitions": [shard(to)]})
            messages = await settled(world, ids)
            series = [each for each in await world.messages() if each.to == to and each.series]
            assert len(series) == 1, "a series goes on once"
            if not step:
                break
            yield Case(step, await world.verdict(ids), messages)


async def exits_while_settling(world: World) -> AsyncIterator[Case]:
    """Messages whose drain died at the POST, and whose reconciler dies at each step in turn."""
    for side in ("before", "after"):
        for number in range(1, MOST):
            to = person(side, number)
            made = [await world.text(to, f"settle {side} {number} {text}") for text in "abc"]
            ids, where = [message.id for message in made], {"partitions": [shard(to)]}
            world.answers_callbacks = False
            assert await crashed_at(world, 3, "after", "drain", where) == "after the POST"
            world.answers_callbacks = True
            world.clock.forward(minutes=2)
            step = await crashed_at(world, number, side, "drain", where)
            if not step:
                # the lease is settled, the look-ups come next
                world.clock.forward(minutes=2)
                step = await crashed_at(world, max(1, number - 2), side, "drain", where)
            messages = await settled(world, ids)
            if not step:
                break
            yield Case(step, await world.verdict(ids), messages)


async def exits_while_creating(world: World) -> AsyncIterator[Case]:
    """POST messages with an idempotency key, dead at each step; the caller repeats the request."""
    for side in ("before", "after"):
        for number in range(1, MOST):
            to = person(side, number)
            request = {"to": to, "body": f"create {side} {number}", "idempotency_key": f"{side}{number}"}
            step = await crashed_at(world, number, side, "create", request)
            before = {message.id for message in await world.messages() if message.to == to}
            asked = {name: value for name, value in request.items() if name not in ("to", "body")}
            ids = [(await world.text(to, request["body"], **asked)).id]
            assert before <= set(ids), "the repeated request made another message"
            messages = await settled(world, ids)
            if not step:
                break
            yield Case(step, await world.verdict(ids), messages)


async def exits_while_editing(world: World) -> AsyncIterator[Case]:
    """PATCH messages/{id} with another recipient, dead at each step; both people have one message at most."""
    for side in ("before", "after"):
        for number in range(1, MOST):
            to, other = person(side, number), person(side, number + 20)
            made = await world.text(to, f"edit {side} {number}")
            changes = {"to": other, "send_at": world.clock.now().isoformat()}
            step = await crashed_at(world, number, side, "edit", {"id": made.id, "changes": changes})
            messages = await settled(world, [made.id])
            if not step:
                break
            yield Case(step, await world.verdict([made.id]), messages)


async def exits_while_opting_out(world: World) -> AsyncIterator[Case]:
    """STOP with messages waiting, dead at each step: once the STOP is on record, nobody is sent anything."""
    for side in ("before", "after"):
        for number in range(1, MOST):
            to = person(side, number)
            ids = [(await world.text(to, f"stop {side} {number} {text}")).id for text in "abc"]
            step = await crashed_at(world, number, side, "opt out", {"recipient": to})
            known = await world.store.opted_out(to)
            messages = await settled(world, ids)
            states = {message.state for message in messages}
            assert states == {State.SUPPRESSED if known else State.DELIVERED}, (step, states)
            if not step:
                break
            yield Case(step, await world.verdict(ids), messages)


async def exits_while_resending(world: World) -> AsyncIterator[Case]:
    """An unresolved message that a person resends, in a process that dies at each step."""
    for side in ("before", "after"):
        for number in range(1, MOST):
            to = person(side, number)
            made = await world.text(to, f"resend {side} {number}")
            where = {"partitions": [shard(to)]}
            assert await crashed_at(world, 2, "before", "drain", where) == "before the POST"
            (unresolved,) = await settled(world, [made.id])
            assert unresolved.state is State.UNRESOLVED
            step = await crashed_at(world, number, side, "resend", {"id": made.id})
            messages = await settled(world, [made.id])
            if not step:
                break
            yield Case(step, await world.verdict([made.id]), messages)


PROTOCOLS = {
    "sending": exits_while_sending,
    "settling": exits_while_settling,
    "creating": exits_while_creating,
    "editing": exits_while_editing,
    "STOP": exits_while_opting_out,
    "resending": exits_while_resending,
}
