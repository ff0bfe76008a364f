"""Worker processes, forked from a server that has everything imported, and ended at any step or killed.

The steps of a protocol are its table writes and its requests to Twilio. A crash is `os._exit` before or
after one of them: nothing is flushed, no `finally` runs, as if the machine had gone.
"""

import asyncio
import logging
import multiprocessing
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any

import twilio.rest.api  # noqa: F401  what a worker needs is imported before the fork

from shared.calls import placing
from shared.calls.call import Call
from shared.config import Settings
from shared.delivery import drain, keys
from shared.delivery.outbox import Outbox
from shared.delivery.store import Store
from shared.services import Services
from shared.sms import opt_outs as recipients
from shared.sms import schedule
from shared.sms.message import Message
from shared.storage.rows import Put, Write
from shared.storage.tables import Table
from shared.twilio_helper import Sent, Twilio

CRASHED = 9
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.faults.workers", "tests.faults.baseline", "__main__"])


@dataclass(frozen=True)
class Job:
    """What a worker shall do, at what time, and at which step it dies ("before" or "after" it)."""

    name: str
    environ: Mapping[str, str]
    offset: timedelta
    arguments: Mapping[str, Any] = field(default_factory=dict)
    crash: tuple[int, str] = (0, "")


@dataclass(frozen=True)
class Ended:
    """crashed_at: the step at which it ended itself, or "" where it came to its end."""

    crashed_at: str
    exit_code: int


class Steps:
    """Counts the steps, and ends the process at one of them."""

    def __init__(self, crash: tuple[int, str], pipe: Connection) -> None:
        self._at, self._side = crash
        self._pipe = pipe
        self._count = 0

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        self._count += 1
        here = self._count == self._at
        if here and self._side == "before":
            self._end(f"before {name}")
        try:
            yield
        finally:
            if here:
                self._end(f"after {name}")

    def _end(self, name: str) -> None:
        self._pipe.send(name)
        os._exit(CRASHED)


class SteppedTable(Table):
    def __init__(self, table: Table, steps: Steps) -> None:
        super().__init__(table._client, table._layout)
        self._steps = steps

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        async with self._steps.step(_named(writes)):
            return await super().commit(partition, writes)


class SteppedTwilio(Twilio):
    def __init__(self, settings: Settings, steps: Steps) -> None:
        super().__init__(settings)
        self._steps = steps

    async def send_sms(self, **arguments: Any) -> Sent:
        async with self._steps.step("the POST"):
            return await super().send_sms(**arguments)

    async def place_call(self, **arguments: Any) -> Sent:
        async with self._steps.step("the POST"):
            return await super().place_call(**arguments)


def _named(writes: Sequence[Write]) -> str:
    """What a transaction does, for a person who reads the table of steps."""
    if any(isinstance(write, Put) and keys.kind(write.key) == keys.LEASE for write in writes):
        return "the claim"
    kinds = {
        keys.kind(write.key) if write.key[:2] in (keys.DUE, keys.HOUSEKEEPING) else write.key[0]
        for write in writes
    }
    return f"the write of {', '.join(sorted(kinds))}"


# What workers do


async def _drain(services: Services, now: datetime, arguments: Mapping[str, Any]) -> None:
    await drain.drain(services.text_outbox, now=now, seconds=60, **arguments)


async def _drain_calls(services: Services, now: datetime, arguments: Mapping[str, Any]) -> None:
    await drain.drain(services.call_outbox, now=now, seconds=60, **arguments)


async def _drain_for_ever(services: Services, now: datetime, arguments: Mapping[str, Any]) -> None:
    """As the timer does, one tick after the other, until somebody kills it."""
    outbox: Outbox[Any] = services.call_outbox if arguments["rings"] else services.text_outbox
    began = datetime.now(UTC)
    while True:
        at = now + (datetime.now(UTC) - began)
        await drain.drain(outbox, now=at, seconds=10)
        await asyncio.sleep(0.05)


async def _create(services: Services, now: datetime, arguments: Mapping[str, Any]) -> None:
    await schedule.create(arguments, services.messages, services.settings, now=now)


async def _edit(services: Services, now: datetime, arguments: Mapping[str, Any]) -> None:
    await schedule.edit(arguments["id"], arguments["changes"], services.messages, services.settings, now=now)


async def _cancel(services: Services, now: datetime, arguments: Mapping[str, Any]) -> None:
    await schedule.cancel(arguments["id"], services.messages, now=now)


async def _resend(services: Services, now: datetime, arguments: Mapping[str, Any]) -> None:
    await schedule.resend(arguments["id"], services.messages, now=now)


async def _opt_out(services: Services, now: datetime, arguments: Mapping[str, Any]) -> None:
    await recipients.opt_out(services.messages, arguments["recipient"], now=now, source="STOP")


async def _place(services: Services, now: datetime, arguments: Mapping[str, Any]) -> None:
    await placing.place(
        arguments["raw"], arguments["message_id"], services.call_outbox, services.dead_letters, now=now
    )


JOBS: dict[str, Callable[[Services, datetime, Mapping[str, Any]], Awaitable[None]]] = {
    "drain": _drain,
    "drain calls": _drain_calls,
    "drain for ever": _drain_for_ever,
    "create": _create,
    "edit": _edit,
    "cancel": _cancel,
    "resend": _resend,
    "opt out": _opt_out,
    "place": _place,
}


type Task = Callable[..., Awaitable[None]]
_TASKS: dict[str, Task] = {}


def task(name: str) -> Callable[[Task], Task]:
    """A job that needs no services: it is called with the environment, the time and its arguments."""

    def register(work: Task) -> Task:
        _TASKS[name] = work
        return work

    return register


async def _work(job: Job, pipe: Connection) -> None:
    if job.name in _TASKS:
        await _TASKS[job.name](job.environ, datetime.now(UTC) + job.offset, **job.arguments)
        return
    services = Services(Settings.from_env(job.environ))
    steps = Steps(job.crash, pipe)
    services.messages = Store(SteppedTable(services.tables.table("messages"), steps), Message)
    services.calls = Store(SteppedTable(services.tables.table("calls"), steps), Call)
    services.twilio = SteppedTwilio(services.settings, steps)
    try:
        await JOBS[job.name](services, datetime.now(UTC) + job.offset, job.arguments)
    finally:
        await services.close()


def _end_with_our_parent() -> None:
    """Where the tests themselves are killed, nobody is left to stop a worker that drains for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(CRASHED)


def _main(job: Job, pipe: Connection) -> None:
    threading.Thread(target=_end_with_our_parent, daemon=True).start()
    logging.disable(logging.CRITICAL)  # what goes wrong here goes wrong on purpose
    asyncio.run(_work(job, pipe))


class Worker:
    """One process at its job."""

    def __init__(self, job: Job) -> None:
        self._ours, theirs = _SERVER.Pipe()
        self._process = _SERVER.Process(target=_main, args=(job, theirs), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.join()

    async def ended(self) -> Ended:
        await asyncio.to_thread(self._process.join)
        try:
            named = self._ours.recv()
        except EOFError:
            named = ""  # it had nothing to say
        self._ours.close()
        return Ended(named, self._process.exitcode or 0)
