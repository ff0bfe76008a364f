"""The drain over many instances, simulated: which limit binds where, and how many shards that asks for.

A discrete-event simulation (simpy) of shared/delivery/drain.py's protocol: claims of up to 24 messages,
64 requests under way on an instance, outcomes written together. `python -m bench.scale` prints it;
`make bench` measures the service times first, and checks the simulation against real drains on this machine.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import simpy

from shared import timer
from shared.delivery import drain
from shared.delivery.throttle import READY
from shared.storage.partitions import SHARDS

type Steps = Generator[simpy.Event, Any]

INSTANCES = (1, 2, 4, 8, 16, 64, 250, 1000)
DUE = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
GROUP = 6
"""Requests that leave and come back as one, to have fewer events: a quarter of a claim."""
SIMULATED = 50_000
"""Messages simulated claim by claim; the rest of a larger backlog goes at the pace reached by then."""
STEADY = (0.4, 0.8)
"""The part of them that the pace is taken from, and what binds: neither the start nor the last few."""
ASSUMPTIONS = (
    "Twilio answers in 100 ms and takes 100 requests at once for an account, which it publishes "
    "nowhere: it is what people report. Beyond that it answers 429 and ours backs off; the simulation "
    "waits instead, so with many instances its pace is what Twilio lets through at the most.",
    "A transaction takes Azure 10 ms. Azure's limits are those it publishes (a storage account's "
    "20,000 requests a second, a partition's 2,000 rows, a queue's 2,000 messages); each row written "
    "counts as a request, though a transaction of a hundred is one. Reads of what is due are not "
    "counted (200 rows a request), nor are status callbacks, which come at the senders' pace.",
    "Instances stand ready and share the shards evenly. By itself Azure gives the queue's function "
    "one instance for `batchSize` messages: with host.json as it is, two; docs/operations.md says how "
    "to have more.",
)

CLAIM_ROWS = 2.0
"""Rows that a claim writes for each message: its place among what is due goes, its row is marked."""
OUTCOME_ROWS = 1.0
CLAIM_CPU, SEND_CPU, OUTCOME_CPU = 0.5, 0.2, 0.3
"""Where a message's CPU goes: by rows, two to one, beside what twilio-python takes (bench/README.md)."""
LEASE_ROWS = 2.0
"""Rows for each claim: its lease comes, and goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Service times in seconds, and limits. None is no limit.

    cpu: of ours, for each message. twilio: how long it takes to answer. requests: under way at Twilio, for
    the whole account. storage: how long a transaction takes. partition, account: rows a second. queue:
    messages a second. cores: shared by everything, where all of it runs on one machine; then also azurite,
    its CPU for each row, and emulator, its CPU for each message.
    """

    cpu: float = 0.0017
    slots: int = 64
    twilio: float = 0.1
    requests: int | None = None
    storage: float = 0.01
    partition: float | None = 2_000.0
    account: float | None = 20_000.0
    queue: float = 2_000.0
    poll: float = 2.0
    cold_start: float = 1.0
    cores: int | None = None
    azurite: float = 0.0
    emulator: float = 0.0


AZURE = World(requests=100)
"""Azure's "Scalability targets" for Table and Queue storage; see ASSUMPTIONS."""
RAISED = World()
"""The same where Twilio has raised the account's concurrency: what storage and instances then allow."""
SENDERS: Mapping[str, float] = {"one long code": 1.0, "one toll-free number": 3.0, "one short code": 100.0}
"""Messages a second that a sender hands on to carriers; Twilio queues what it accepts beyond that."""


@dataclass(frozen=True, slots=True)
class Run:
    """One backlog, drained. seconds: until the last message was accepted. lateness: of the median message."""

    instances: int
    due: int
    seconds: float
    rate: float
    lateness: float
    binds: str


class _Pace:
    """A server that lets so many through a second, first come first served."""

    def __init__(self, env: simpy.Environment, rate: float | None) -> None:
        self._env, self._rate = env, rate
        self._free = 0.0
        self.busy = 0.0

    def take(self, amount: float) -> simpy.Event:
        if self._rate is None:
            return self._env.timeout(0)
        took = amount / self._rate
        self._free = max(self._free, self._env.now) + took
        self.busy += took
        return self._env.timeout(self._free - self._env.now)


class _Room:
    """So many at once; how full it was, over time."""

    def __init__(self, env: simpy.Environment, size: int) -> None:
        self._env, self.size = env, size
        self._free = simpy.Container(env, capacity=size, init=size)
        self.busy = 0.0

    def enter(self, count: int) -> simpy.Event:
        return self._free.get(count)

    def leave(self, count: int, since: float) -> simpy.Event:
        self.busy += count / self.size * (self._env.now - since)
        return self._free.put(count)

    @property
    def free(self) -> int:
        return int(self._free.level)


@dataclass(slots=True)
class _Instance:
    """claims: room for what is claimed, more than requests are under way at once (slots)."""

    claims: _Room
    slots: _Room
    cpu: _Pace


class _Simulation:
    """shards: messages due in each; what is left of them as it goes on. accepted: when, and how many."""

    def __init__(self, world: World, instances: int, shards: list[int]) -> None:
        self.world, self.instances, self.shards = world, instances, shards
        self.env = env = simpy.Environment()
        self.accepted: list[tuple[float, int]] = []
        self.total, self.done = sum(shards), 0
        self.steady: list[tuple[float, dict[str, float]]] = []
        # On one machine, everything takes turns on its cores.
        self.machine = _Pace(env, world.cores) if world.cores else None
        claims = world.slots + world.slots // READY
        self.running = [
            _Instance(_Room(env, claims), _Room(env, world.slots), _Pace(env, 1.0))
            for _ in range(self.instances)
        ]
        self.partitions = [_Pace(env, world.partition) for _ in self.shards]
        self.account = _Pace(env, world.account)
        self.azurite = _Pace(env, 1.0)
        self.requests = _Room(env, world.requests) if world.requests else None

    def run(self, *, ticks: bool) -> None:
        """ticks: begin with the timer's own time on one instance; else all of them begin at once."""
        self.env.process(self._timer() if ticks else self._all_at_once())
        self.env.run()

    def _all_at_once(self) -> Steps:
        for number in range(len(self.shards)):
            self.env.process(self._shard(number, self.running[number % self.instances], None))
        yield self.env.timeout(0)

    def _timer(self) -> Steps:
        """One instance walks the shards, four at once; what it leaves goes on the queue, to all instances."""
        waiting = iter(range(len(self.shards)))

        def walk() -> Steps:
            for number in waiting:
                yield self.env.process(self._shard(number, self.running[0], timer.TICK_SECONDS))

        yield self.env.all_of([self.env.process(walk()) for _ in range(drain.WORKERS)])
        left = [number for number, count in enumerate(self.shards) if count]
        if not left:
            return
        yield self.env.timeout(len(left) / self.world.queue + self.world.poll + self.world.cold_start)
        for place, number in enumerate(left):
            self.env.process(self._shard(number, self.running[place % self.instances], None))

    def _shard(self, number: int, instance: _Instance, until: float | None) -> Steps:
        """Claim and send what is due in one shard; a queue message is for one instance alone."""
        while self.shards[number] and (until is None or self.env.now < until):
            wanted = min(drain.BATCH, self.shards[number])
            count = min(wanted, max(instance.claims.free, self.world.slots // READY))
            yield instance.claims.enter(count)
            since = self.env.now
            self.shards[number] -= count
            yield from self._compute(instance, count * CLAIM_CPU)
            yield from self._write(number, count * CLAIM_ROWS + LEASE_ROWS / 2)
            for part in _parts(count, GROUP):
                self.env.process(self._posts(number, instance, part, since))

    def _posts(self, number: int, instance: _Instance, count: int, since: float) -> Steps:
        yield instance.slots.enter(count)
        posting = self.env.now
        yield from self._compute(instance, count * SEND_CPU)
        began = self.env.now
        if self.requests:
            yield self.requests.enter(count)
            began = self.env.now
        if self.world.emulator and self.machine:
            yield self.machine.take(count * self.world.emulator)
        yield self.env.timeout(self.world.twilio)
        if self.requests:
            yield self.requests.leave(count, began)
        yield instance.slots.leave(count, posting)
        yield instance.claims.leave(count, since)
        self.accepted.append((self.env.now, count))
        self.done += count
        if len(self.steady) < len(STEADY) and self.done >= self.total * STEADY[len(self.steady)]:
            self.steady.append((self.env.now, self._busy()))
        yield from self._compute(instance, count * OUTCOME_CPU)
        yield from self._write(number, count * (OUTCOME_ROWS + LEASE_ROWS / 2 / drain.BATCH))

    def _compute(self, instance: _Instance, messages: float) -> Steps:
        seconds = messages * self.world.cpu
        if self.machine:
            yield self.env.all_of([instance.cpu.take(seconds), self.machine.take(seconds)])
        else:
            yield instance.cpu.take(seconds)

    def _write(self, number: int, rows: float) -> Steps:
        yield self.env.all_of([self.partitions[number].take(rows), self.account.take(rows)])
        if self.world.azurite and self.machine:
            seconds = rows * self.world.azurite
            yield self.env.all_of([self.azurite.take(seconds), self.machine.take(seconds)])
        yield self.env.timeout(self.world.storage)

    def _busy(self) -> dict[str, float]:
        """Seconds that each has been busy so far."""
        working = self._working
        return {
            "Twilio's requests at once": self.requests.busy if self.requests else 0.0,
            "the account's rows a second": self.account.busy,
            "a partition's rows a second": max(each.busy for each in self.partitions),
            "this machine's cores": self.machine.busy if self.machine else 0.0,
            "Azurite": self.azurite.busy,
            "our CPU": sum(each.cpu.busy for each in working) / len(working),
            f"{self.world.slots} requests an instance": sum(each.slots.busy for each in working)
            / len(working),
        }

    def binds(self) -> str:
        """What is busiest under way. What more share counts first: who waits for it is busy as well."""
        (began, before), (ended, after) = self.steady
        used = {name: busy - before[name] for name, busy in after.items()}
        most = max(used.values())
        if most < 0.5 * (ended - began):
            return "the tick's own rhythm"
        return next(name for name, busy in used.items() if busy > 0.85 * most)

    @property
    def _working(self) -> Sequence[_Instance]:
        return [each for each in self.running if each.cpu.busy] or self.running[:1]


def simulate(world: World, instances: int, due: int, *, shards: int = SHARDS, ticks: bool = True) -> Run:
    """Drain `due` messages, all due at once and spread over the shards."""
    simulated = min(due, SIMULATED)
    counts = [simulated // shards + (number < simulated % shards) for number in range(shards)]
    simulation = _Simulation(world, instances, counts)
    simulation.run(ticks=ticks)
    accepted = sorted(simulation.accepted)
    end = accepted[-1][0]
    rate = _steady(accepted)
    seconds = end + (due - simulated) / rate
    half = next(_reaching(accepted, simulated / 2)) if due == simulated else seconds / 2
    return Run(instances, due, seconds, due / seconds, half, simulation.binds())


def _steady(accepted: Sequence[tuple[float, int]]) -> float:
    """Messages a second once under way."""
    total = sum(count for _, count in accepted)
    low, high = (next(_reaching(accepted, total * part)) for part in STEADY)
    return total * (STEADY[1] - STEADY[0]) / max(high - low, 1e-9)


def _reaching(accepted: Sequence[tuple[float, int]], count: float) -> Iterator[float]:
    done = 0
    for at, some in accepted:
        done += some
        if done >= count:
            yield at


def _parts(count: int, size: int) -> Iterator[int]:
    while count > 0:
        yield min(count, size)
        count -= size


def grid(world: World, *, instances: Sequence[int] = INSTANCES, due: Sequence[int] = DUE) -> list[Run]:
    """Every number of instances with every backlog."""
    return [simulate(world, number, count) for number in instances for count in due]


def shard_counts(world: World, *, due: int = 50_000) -> list[tuple[int, Run]]:
    """The pace with as many instances as can be of use, for other numbers of shards."""
    return [
        (shards, simulate(world, 1000, due, shards=shards, ticks=False)) for shards in (1, 4, 8, 16, 32, 64)
    ]


def machine(world: World, *, cores: int, cpu: float, azurite: float, emulator: float) -> World:
    """The same protocol where instances, storage and Twilio share this machine."""
    return replace(
        world,
        requests=None,
        partition=None,
        account=None,
        storage=0.002,
        cores=cores,
        cpu=cpu,
        azurite=azurite,
        emulator=emulator,
    )


def main() -> None:
    """Print what the built-in service times lead to."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for title, world in (("Twilio's usual concurrency", AZURE), ("raised", RAISED)):
        table = Table("instances", "due", "seconds", "messages/s", "median late s", "what binds", title=title)
        for run in grid(world):
            cells = (
                run.instances,
                run.due,
                f"{run.seconds:,.0f}",
                f"{run.rate:,.0f}",
                f"{run.lateness:,.1f}",
            )
            table.add_row(*map(str, cells), run.binds)
        console.print(table)
    for shards, run in shard_counts(RAISED):
        console.print(f"{shards} shards: {run.rate:,.0f} messages/s, {run.binds}")


if __name__ == "__main__":
    main()
