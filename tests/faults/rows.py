"""The fault table of the send-once scheduler: each row a fault, our record against Twilio's, and the plain
loop under the same fault.

Sizes: a row takes how many messages it is played with; the tests play it small, `make faults` in full.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shared import errors, timer
from shared.delivery.states import State
from shared.storage.partitions import PARTITIONS
from tests.faults import baseline, call_steps, steps
from tests.faults.audit import Verdict
from tests.faults.baseline import Plain
from tests.faults.lossy import lossy_storage
from tests.faults.workers import Worker
from tests.faults.world import World

LATENCY = 20
"""Milliseconds that Twilio takes to answer, where a row does not say otherwise."""


TICK = timedelta(minutes=11)
CHANGES = (
    ("Europe/Berlin", "2027-03-28T02:30:00", "2027-03-28T01:30:00Z"),  # skipped: half past three
    ("America/New_York", "2027-03-14T02:30:00", "2027-03-14T07:30:00Z"),
    ("Europe/Berlin", "2027-10-31T02:30:00", "2027-10-31T00:30:00Z"),  # twice: the first time
    ("America/New_York", "2027-11-07T01:30:00", "2027-11-07T05:30:00Z"),
)
"""A zone, what its clocks are to show, and the instant that is meant (RFC 5545, 3.3.5)."""


@dataclass
class Outcome:
    """One row: ours, the plain loop's, and what else there is to say."""

    ours: Verdict
    plain: Plain
    notes: dict[str, int] = field(default_factory=dict)


async def process_exits(world: World, size: int) -> Outcome:
    """One case for each step of each protocol; the loop has `size` exits between a POST and its mark."""
    total, exits = Verdict(), 0
    for protocol in steps.PROTOCOLS.values():
        await world.start()
        async for case in protocol(world):
            total += case.verdict
            exits += 1
    await world.start()
    await baseline.fill(world, size)
    for _ in range(size):
        await Worker(world.job("plain loop", ticks=1, dies_after_posts=2)).ended()
    await baseline.ticks(world, 2)
    return Outcome(total, await baseline.plainly(world, size), {"exits": exits})


async def kills(
    world: World, size: int, *, drainers: int = 4, every: float = 2.0, at_once: int = 64
) -> Outcome:
    """Drainers at work; one of them is killed every so often, and replaced at once."""
    await world.start(SEND_CONCURRENCY=str(at_once))
    world.emulator.faults(latency_ms=100)
    ids = await world.many(size)
    world.clock.forward(seconds=5)
    killed = await _killing(world, Work("drain for ever", {}), drainers, every, lambda: _all_claimed(world))
    minutes = await world.settle()
    ours = await world.verdict(ids)

    await world.start()
    world.emulator.faults(latency_ms=LATENCY)
    count = max(50, size // 20)
    await baseline.fill(world, count)

    async def done() -> bool:
        found = await baseline.plainly(world, count)
        return not found.not_sent

    await _killing(world, Work("plain loop", {"ticks": 10_000}), drainers, max(0.5, every), done)
    return Outcome(ours, await baseline.plainly(world, count), {"killed": killed, "minutes": minutes})


@dataclass(frozen=True)
class Work:
    name: str
    arguments: dict[str, object]


async def _killing(
    world: World, job: Work, drainers: int, every: float, done: Callable[[], Awaitable[bool]]
) -> int:
    workers = [Worker(world.job(job.name, **job.arguments)) for _ in range(drainers)]
    killed = 0
    try:
        while not await done():
            await asyncio.sleep(every)
            victim = workers.pop(0)
            victim.kill()
            killed += 1
            workers.append(Worker(world.job(job.name, **job.arguments)))
    finally:
        for worker in workers:
            worker.kill()
    return killed


async def _all_claimed(world: World) -> bool:
    """Is nothing due any more?"""
    for partition in PARTITIONS:
        rows = await world.store.due(partition, world.clock.now(), limit=1)
        if any(row.key.split("|")[2] == "m" for row in rows):
            return False
    return True


async def lost_answers(world: World, size: int) -> Outcome:
    faults = {"lost_answers": 0.05, "errors_5xx_after_acceptance": 0.02, "throttled": 0.05}
    await world.start()
    world.emulator.faults(latency_ms=LATENCY, callbacks_dark=True, **faults)
    ids = await world.many(size)
    await world.drain()
    in_doubt = sum(message.state is State.UNKNOWN for message in await world.messages())
    minutes = await world.settle()
    ours = await world.verdict(ids)

    await world.start()
    count = max(50, size // 10)
    await baseline.fill(world, count)
    world.emulator.faults(**faults)
    await baseline.ticks(world, count)
    return Outcome(ours, await baseline.plainly(world, count), {"in doubt": in_doubt, "minutes": minutes})


async def broken_callbacks(world: World, size: int) -> Outcome:
    faults = {
        "callbacks_dropped": 0.2,
        "callbacks_doubled": 0.1,
        "callbacks_reordered": 0.2,
        "callbacks_early": 0.1,
        "undelivered": 0.05,
    }
    await world.start()
    world.emulator.faults(latency_ms=LATENCY, **faults)
    ids = await world.many(size)
    minutes = await world.settle()
    ours = await world.verdict(ids)

    await world.start()
    count = max(50, size // 10)
    await baseline.fill(world, count)
    world.emulator.faults(**faults)
    await baseline.ticks(world, 2)
    await world.emulator.settle_async(30)
    return Outcome(ours, await baseline.plainly(world, count), {"minutes": minutes})


async def all_dark(world: World, size: int) -> Outcome:
    """Half of the answers are lost, and neither callbacks nor the list say more."""
    await world.start()
    world.emulator.faults(lost_answers=0.5, callbacks_dark=True, list_dark=True)
    ids = await world.many(size)
    await world.drain()
    minutes = await world.settle()
    ours = await world.verdict(ids)
    await world.start()
    await baseline.fill(world, size)
    world.emulator.faults(lost_answers=0.5)
    await baseline.ticks(world, size * 3)
    return Outcome(ours, await baseline.plainly(world, size), {"minutes": minutes})


async def two_at_once(world: World, size: int) -> Outcome:
    """Two timers at once, with every shard on the queue three times, for messages and for calls."""
    await world.start()
    world.emulator.faults(latency_ms=LATENCY)
    ids = await world.many(size)
    world.clock.forward(seconds=5)
    workers = [Worker(world.job("drain")) for _ in range(2)]
    shards = [
        timer.one_shard(partition.encode(), world.services.text_outbox, now=world.clock.now())
        for partition in PARTITIONS * 3
    ]
    await asyncio.gather(*shards)
    for worker in workers:
        assert (await worker.ended()).exit_code == 0
    await world.settle()
    ours = await world.verdict(ids)
    calls = [call_steps.queued(f"call-{n}", f"+12025550{101 + n}") for n in range(min(size, 30))]
    waiting = calls * 3
    while waiting:
        done = await asyncio.gather(*(call_steps.deliver(world, each) for each in waiting))
        waiting = [each for each, is_done in zip(waiting, done, strict=True) if not is_done]
    rung = [len(call_steps.rung(world, each["message_id"])) for each in calls]

    await world.start()
    world.emulator.faults(latency_ms=LATENCY)
    await baseline.fill(world, size)
    plain = [Worker(world.job("plain loop", ticks=2)) for _ in range(2)]
    for worker in plain:
        await worker.ended()
    notes = {"calls": len(calls), "rung once": rung.count(1), "rung twice": sum(n > 1 for n in rung)}
    return Outcome(ours, await baseline.plainly(world, size), notes)


async def lost_writes(world: World, size: int) -> Outcome:
    """Each write to the table in turn lands, and its answer is lost."""
    total, lost = Verdict(), 0
    async with lossy_storage(world.azurite) as lossy:
        await world.start(AzureWebJobsStorage=lossy.account)
        for number in range(1, size):
            to = steps.person("before", number)
            lossy.reset(lambda write, number=number: write == number)  # type: ignore[misc]
            asked = {"idempotency_key": f"lost {number}"}
            try:
                first = await world.text(to, f"Lost {number}", **asked)
            except errors.StorageAway:
                # Its key's answer was lost; the caller repeats the request.
                first = await world.text(to, f"Lost {number}", **asked)
            second = await world.text(to, f"Lost {number} too")
            ids = [first.id, second.id]
            for _ in range(3):
                with suppress(errors.StorageAway):
                    await world.drain([first.partition])
            await world.emulator.settle_async(30)
            before = lossy.lost
            lossy.reset(lambda _: False)
            await steps.settled(world, ids)
            total += await world.verdict(ids)
            lost += before
        # The loop's mark is the one write that it makes.
        await world.start(AzureWebJobsStorage=lossy.account)
        lossy.reset(lambda _: False)
        await baseline.fill(world, 20)
        lossy.reset(lambda write: write % 2 == 1)
        await baseline.ticks(world, 40)
        return Outcome(total, await baseline.plainly(world, 20), {"answers lost": lost})


async def clocks(world: World, size: int) -> Outcome:
    """Twilio's clock five minutes off ours, either way, with answers lost: look-ups still find them."""
    total = Verdict()
    for minutes in (5, -5):
        await world.start()
        world.clock.skew = timedelta(minutes=minutes)
        world.emulator.faults(lost_answers=0.3, callbacks_dark=True)
        ids = await world.many(size)
        await world.settle()
        total += await world.verdict(ids)
    await world.start()
    await baseline.fill(world, size)
    world.emulator.faults(lost_answers=0.3)
    await baseline.ticks(world, size * 2)
    return Outcome(total, await baseline.plainly(world, size))


async def six_hours_down(world: World, size: int) -> Outcome:
    """Half of the messages may leave late, half may not."""
    await world.start()
    lasting = await world.many(size)
    short = [
        (await world.text("+12025550101", f"Within the hour {n}", expires_after=3600)).id for n in range(size)
    ]
    world.clock.forward(hours=6)
    await world.drain()
    await world.drain()
    await world.settle()
    ours = await world.verdict([*lasting, *short])
    await world.start()
    await baseline.fill(world, size * 2)
    world.clock.forward(hours=6)
    await baseline.ticks(world, 2)
    plain = await baseline.plainly(world, size * 2)
    plain.too_late = size
    return Outcome(ours, plain, {"expired": ours.states["expired"]})


async def credentials_refused(world: World, size: int) -> Outcome:
    """A tick every half minute for ten minutes in which Twilio refuses the credentials."""
    await world.start(DAILY_LIMIT="1000")
    ids = await world.many(size)
    world.emulator.faults(credentials_refused=True)
    for _ in range(20):
        await world.drain()
        world.clock.forward(seconds=30)
    burned = sum(message.attempts for message in await world.messages())
    world.emulator.faults(credentials_refused=False)
    await world.settle()
    ours = await world.verdict(ids)
    await world.start()
    await baseline.fill(world, size)
    world.emulator.faults(credentials_refused=True)
    await baseline.ticks(world, 20)
    world.emulator.faults(credentials_refused=False)
    await baseline.ticks(world, 2)
    return Outcome(ours, await baseline.plainly(world, size), {"attempts burned": burned})


async def clock_changes(world: World, size: int) -> Outcome:
    """At the hours that clocks skip, or show twice: `size` messages to each, a tick every ten minutes.

    The plain loop keeps the wall clock's time as it was given, and compares it with the wall clock.
    """
    total, plain, late = Verdict(), Plain(), 0
    for zone, wall, instant in CHANGES:
        due = datetime.fromisoformat(instant)
        await world.start()
        world.clock.offset += due - timedelta(hours=2) - world.clock.now()
        asked = {"send_at": wall, "time_zone": zone}
        ids = [(await world.text("+12025550101", f"Wall {n}", **asked)).id for n in range(size)]
        for _ in range(24):
            await world.drain([ids[0][:2]])
            await world.emulator.settle_async(30)
            world.clock.forward(minutes=10)
        late += sum(not due <= each.posted < due + TICK for each in await world.messages() if each.posted)
        total += await world.verdict(ids)
        await world.start()
        world.clock.offset += due - timedelta(hours=2) - world.clock.now()
        await baseline.fill(world, size, due=datetime.fromisoformat(wall).replace(tzinfo=UTC))
        early_or_late = 0
        for _ in range(24):
            before = len(world.emulator.ledger()["messages"])
            wall_clock = world.clock.now().astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
            await baseline.ticks(world, 1, now=wall_clock)
            if not due <= world.clock.now() < due + TICK:
                early_or_late += len(world.emulator.ledger()["messages"]) - before
            world.clock.forward(minutes=10)
        await world.emulator.settle_async(30)
        result = await baseline.plainly(world, size)
        result.too_late = early_or_late
        plain += result
    return Outcome(total, plain, {"not at the documented instant": late})
