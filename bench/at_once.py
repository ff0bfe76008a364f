"""Signed voice webhooks from many callers at once, over HTTP, on one host with one worker.

This is what perInstanceConcurrency in infra/app.bicep was chosen by. The client runs in this process, on the
same cores, so its time is in every number. The host is ours. Microsoft's own, with the same worker library,
was measured once on two cores: p50 and p99 of 2 and 5 ms for one caller, 7 and 17 for 8, 15 and 26 for 16,
31 and 69 for 32, 63 and 102 for 64; 460 webhooks a second with one caller, about 1,000 from 8 on.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp

from bench import webhook_request
from bench.child import ROOT, environment
from bench.environment import Storage, end, listening
from bench.results import Findings, Goal, Row, Side
from bench.stats import Spread, percentile, ratios
from local.launcher import ports
from local.launcher.orphans import adopted

AT_ONCE = (1, 8, 16, 32, 64)
PER_INSTANCE = 16
"""perInstanceConcurrency in infra/app.bicep."""
A_SECOND = 1000.0
"""In ms. A caller hears more than this as silence."""


@dataclass(frozen=True, slots=True)
class Turn:
    """times: seconds from a request to its answer. errors: those that were answered with anything but 200."""

    times: list[float]
    seconds: float
    errors: int


def measure(findings: Findings, storage: Storage, *, rounds: int, count: int) -> None:
    """rounds: turns that each number of callers gets. count: webhooks in a turn.

    Raises RuntimeError where one is not answered with 200: the time of a refusal is no result.
    """
    found: dict[int, list[Turn]] = {callers: [] for callers in AT_ONCE}
    with _running_host(storage) as url:
        asyncio.run(_turn(url, count=200, callers=8))
        for _ in range(rounds):
            for callers, turns in found.items():
                turns.append(asyncio.run(_turn(url, count=count, callers=callers)))
    for callers, turns in found.items():
        if errors := sum(turn.errors for turn in turns):
            raise RuntimeError(f"{errors} of {rounds * count} webhooks, {callers} at once, were not answered")
        findings.add(_row(callers, turns, count))


def _row(callers: int, turns: list[Turn], count: int) -> Row:
    p50 = Spread.of([percentile(turn.times, 50) * 1e3 for turn in turns]).median
    rate = Spread.of([count / turn.seconds for turn in turns]).median
    p99 = [percentile(turn.times, 99) * 1e3 for turn in turns]
    what = f"{callers} signed webhook{'s' * (callers > 1)} at once on one worker, p99"
    note = f"p50 {p50:.0f} ms, {rate:,.0f} a second, no errors"
    if callers != PER_INSTANCE:
        return Row(what, "ms", Side("ours", p99), note=note)
    second = [A_SECOND] * len(turns)
    return Row(
        what,
        "ms",
        Side("ours", p99),
        limit=Side("a second, which a caller hears as silence", second),
        key="webhooks_at_once",
        ratio=ratios(p99, second),
        goal=Goal(0.25),
        note=note,
    )


async def _turn(url: str, *, count: int, callers: int) -> Turn:
    """`count` webhooks from so many callers, each of whom waits for an answer before the next request."""
    times: list[float] = []
    errors = 0
    headers = webhook_request.headers()

    async def caller(number: int) -> None:
        nonlocal errors
        for _ in range(number, count, callers):
            start = time.perf_counter()
            async with session.post(url, data=webhook_request.BODY, headers=headers) as answer:
                await answer.read()
            times.append(time.perf_counter() - start)
            errors += answer.status != 200

    connector = aiohttp.TCPConnector(limit=callers)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        start = time.perf_counter()
        await asyncio.gather(*(caller(number) for number in range(callers)))
        return Turn(times, time.perf_counter() - start, errors)


@contextmanager
def _running_host(storage: Storage) -> Iterator[str]:
    """Our host with the app, in a process of its own; the URL of the voice webhook."""
    (port,) = ports.free_ports(1)
    environ = {**webhook_request.ENVIRON, "AzureWebJobsStorage": storage.fresh_account()}
    with tempfile.TemporaryDirectory() as data:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.host", "--port", str(port), "--data", data, "--no-reload"],
            cwd=ROOT,
            env=environment(environ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with adopted(process.pid):
            try:
                asyncio.run(listening(process, port))
                yield f"http://127.0.0.1:{port}/api/voice"
            finally:
                end(process)
