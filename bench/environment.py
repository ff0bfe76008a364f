"""What the measurements run against: an Azurite of their own, in memory, and a Twilio that takes its time."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import count

from bench.child import ROOT
from bench.webhook_request import ENVIRON
from local.launcher import azurite, ports
from local.launcher.orphans import adopted

LATENCY_MS = 100
"""What Twilio takes to answer, as reference measurements of its API have it."""
_ACCOUNTS = tuple(f"bench{number:03}" for number in range(200))


@dataclass(frozen=True, slots=True)
class Storage:
    """A running Azurite."""

    ports: azurite.StoragePorts
    _next: Iterator[int] = field(default_factory=count)

    def fresh_account(self) -> str:
        """The connection string of an account that is empty."""
        return self.ports.connection_string(_ACCOUNTS[next(self._next)])


@contextmanager
def running_storage() -> Iterator[Storage]:
    where = azurite.StoragePorts(*ports.free_ports(3))
    process = subprocess.Popen(
        azurite.command(where, folder=None),
        # With a hundred thousand rows in memory.
        env={
            **os.environ,
            "AZURITE_ACCOUNTS": azurite.accounts(_ACCOUNTS),
            "NODE_OPTIONS": "--max-old-space-size=4096",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with adopted(process.pid):
        try:
            asyncio.run(listening(process, *where.all()))
            yield Storage(where)
        finally:
            end(process)


@contextmanager
def running_twilio(latency_ms: int = LATENCY_MS) -> Iterator[str]:
    """Run the Twilio emulator as a process of its own; gives its URL. It sends no callbacks meanwhile."""
    (port,) = ports.free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "local.emulator", "--port", str(port), "--step", "86400"],
        cwd=ROOT,
        env={**os.environ, "TWILIO_AUTH_TOKEN": ENVIRON["TWILIO_AUTH_TOKEN"]},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    with adopted(process.pid):
        try:
            asyncio.run(listening(process, port))
            control(url, "PUT", "faults", {"latency_ms": latency_ms})
            yield url
        finally:
            end(process)


def control(url: str, method: str, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
    """Ask the emulator's control API something."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=30)
    try:
        text = json.dumps(body) if body is not None else None
        connection.request(method, f"/emulator/{path}", text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"the emulator answered {answer.status} to {method} {path}: {content!r}")
        found: dict[str, object] = json.loads(content or b"{}")
        return found
    finally:
        connection.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and insist: while Azurite collects garbage, it hears nothing."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def listening(process: subprocess.Popen[bytes], *where: int) -> None:
    """Wait until every port answers. Raises RuntimeError where the process has ended."""
    async with asyncio.timeout(60):
        waiting = asyncio.gather(*(ports.listening(port) for port in where))
        while not waiting.done():
            await asyncio.wait([waiting], timeout=0.2)
            if process.poll() is not None:
                raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
