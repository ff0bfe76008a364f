"""The simulation of bench/scale.py, with service times as measured here, checked against real drains."""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import psutil

from bench import child, scale
from bench.environment import LATENCY_MS, Storage, control
from bench.results import Findings, Goal, Row, Side
from bench.scale import AZURE, RAISED, Run, World
from bench.stats import Spread
from bench.webhook_request import ENVIRON

TRUE_TO = 1.35
"""How far a prediction may be from what is."""


@dataclass(frozen=True, slots=True)
class Check:
    """So many processes on one Azurite: messages a second as they were, and as simulated."""

    processes: int
    real: float
    simulated: float


@dataclass(frozen=True, slots=True)
class Scale:
    """What the simulation found. usual, raised: with Twilio's usual concurrency, and without that limit."""

    cpu: float
    checks: Sequence[Check]
    usual: Sequence[Run]
    raised: Sequence[Run]
    shards: Sequence[tuple[int, Run]]

    @property
    def error(self) -> float:
        """The largest error of what was predicted, against the real drain, as a share."""
        return max(abs(each.simulated / each.real - 1) for each in self.checks[1:])


def measure(
    findings: Findings,
    storage: Storage,
    twilio: str,
    *,
    processes: Sequence[int],
    count: int,
    due: Sequence[int],
) -> Scale:
    """count: messages in each real drain, the first of which also measures the service times."""
    checks: list[Check] = []
    here: World | None = None
    cpu = 0.0
    for number in processes:
        seconds, used, azurite, emulator = _drain(storage, twilio, number, count)
        if here is None:
            cpu = used / count
            rows = count * (scale.CLAIM_ROWS + scale.OUTCOME_ROWS)
            here = scale.machine(
                World(),
                cores=len(os.sched_getaffinity(0))
                if hasattr(os, "sched_getaffinity")
                else os.cpu_count() or 1,
                cpu=cpu,
                azurite=azurite / rows,
                emulator=emulator / count,
            )
        run = scale.simulate(here, number, count, ticks=False)
        checks.append(Check(number, count / seconds, run.rate))
    predicted = checks[1:]  # with what the first one measured
    findings.add(
        Row(
            f"simulated over real drains, of {processes[1]} to {processes[-1]} processes",
            "messages/s",
            Side("simulated", [each.simulated for each in predicted]),
            limit=Side("real, on this machine", [each.real for each in predicted]),
            ratio=Spread.of(
                [max(each.simulated / each.real, each.real / each.simulated) for each in predicted]
            ),
            goal=Goal(TRUE_TO),
            note="the ratio is that of the larger to the smaller; each process has its part of the shards",
        )
    )
    usual, raised = replace(AZURE, cpu=cpu), replace(RAISED, cpu=cpu)
    return Scale(
        cpu,
        checks,
        scale.grid(usual, due=due),
        scale.grid(raised, due=due),
        scale.shard_counts(raised),
    )


def _drain(storage: Storage, twilio: str, number: int, count: int) -> tuple[float, float, float, float]:
    """Seconds that `number` processes took, and CPU seconds: theirs, Azurite's, the emulator's."""
    account = storage.fresh_account()
    environ = {**ENVIRON, "AzureWebJobsStorage": account, "TWILIO_BASE_URL": twilio}
    with ExitStack() as stack:
        drains = [
            stack.enter_context(child.running("bench.drain_child", environ=environ)) for _ in range(number)
        ]
        for each in drains:  # the imports
            warm = storage.fresh_account()
            each.ask("fill", storage=warm, count=8)
            each.ask("ours", storage=warm)
        control(twilio, "POST", "reset")
        control(twilio, "PUT", "faults", {"latency_ms": LATENCY_MS})
        drains[0].ask("fill", storage=account, count=count)
        before = _others(drains)
        began = time.perf_counter()
        for index, each in enumerate(drains):
            each.tell("ours", storage=account, part=index, parts=number)
        found = [each.answer() for each in drains]
        seconds = time.perf_counter() - began
        azurite, emulator = (after - was for after, was in zip(_others(drains), before, strict=True))
    sent = sum(each["count"] for each in found)
    accepted = control(twilio, "GET", "ledger")["messages"]
    assert isinstance(accepted, list)
    texts = {each["body"] for each in accepted}
    if not sent == len(accepted) == len(texts) == count:
        raise RuntimeError(f"{number} drains sent {sent} of {count}; Twilio has {len(accepted)}")
    return seconds, sum(each["cpu"] for each in found), azurite, emulator


def _others(drains: Sequence[child.Child]) -> tuple[float, float]:
    """CPU seconds of Azurite, and of the Twilio emulator, so far."""
    ours = {each.pid for each in drains}
    azurite = emulator = 0.0
    for process in psutil.Process().children(recursive=True):
        if process.pid in ours:
            continue
        used = sum(process.cpu_times()[:2])
        if "local.emulator" in process.cmdline():
            emulator += used
        else:
            azurite += used
    return azurite, emulator
