"""`python -m local` as a process, on ports of its own."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from local.launcher import ports
from local.launcher.azurite import StoragePorts
from local.launcher.orphans import adopted
from tests.host.process import ROOT, environment


@dataclass(frozen=True, slots=True)
class LaptopPorts:
    """The ports of one laptop edition."""

    port: int
    storage_port: int
    twilio_port: int
    phone_port: int

    @classmethod
    def free(cls) -> "LaptopPorts":
        storage = ports.free_port_run(3)
        others = [port for port in ports.free_ports(6) if not storage <= port < storage + 3]
        return cls(others[0], storage, others[1], others[2])

    @property
    def storage(self) -> StoragePorts:
        return StoragePorts.starting_at(self.storage_port)

    @property
    def all(self) -> tuple[int, ...]:
        return (self.port, self.twilio_port, self.phone_port, *self.storage.all())

    @property
    def options(self) -> list[str]:
        return [
            *("--port", str(self.port), "--storage-port", str(self.storage_port)),
            *("--twilio-port", str(self.twilio_port), "--phone-port", str(self.phone_port)),
        ]


class Laptop:
    """A laptop edition that starts or runs, and its output so far."""

    def __init__(self, process: asyncio.subprocess.Process, where: LaptopPorts, data: Path) -> None:
        self.process = process
        self.where = where
        self.data = data
        self.output = ""
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def printed(self, pattern: str) -> re.Match[str]:
        """Wait until the output matches. Raises AssertionError if the process ends before."""
        while True:
            if found := re.search(pattern, self.output):
                return found
            assert not self._reading.done(), f"it ended without {pattern!r}:\n{self.output}"
            self._changed.clear()
            waiting = asyncio.create_task(self._changed.wait())
            await asyncio.wait([waiting, self._reading], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()

    async def ready(self) -> None:
        await self.printed("Ctrl-C stops everything")

    async def ended(self) -> int:
        """Wait for the end and read the whole output. Returns the exit code."""
        await self._reading
        return await self.process.wait()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended()

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Run `python -m local ARGUMENTS` for this edition. Returns its exit code and its output."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "local", "--data", str(self.data), *arguments),
            cwd=ROOT,
            env=environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        with adopted(process.pid):
            output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    def nothing_listens(self) -> bool:
        return not any(ports.is_taken(port) for port in self.where.all)

    async def _read(self) -> None:
        assert self.process.stdout
        while data := await self.process.stdout.read(65_536):
            self.output += data.decode()
            self._changed.set()


@asynccontextmanager
async def started(
    app_dir: Path,
    data: Path,
    environ: Mapping[str, str] | None = None,
    options: Sequence[str] | None = None,
    where: LaptopPorts | None = None,
) -> AsyncIterator[Laptop]:
    """Start a laptop edition, and stop it at the end. options: by default those of the ports."""
    where = where or LaptopPorts.free()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local", "--data", str(data)),
        *(where.options if options is None else options),
        cwd=ROOT,
        env={**environment(environ), "SWITCHBOARD_APP_DIR": str(app_dir), "COLUMNS": "120"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    laptop = Laptop(process, where, data)
    with adopted(process.pid):
        try:
            yield laptop
        finally:
            await laptop.stop()


@asynccontextmanager
async def running(
    app_dir: Path,
    data: Path,
    environ: Mapping[str, str] | None = None,
    options: Sequence[str] | None = None,
    where: LaptopPorts | None = None,
) -> AsyncIterator[Laptop]:
    """Start a laptop edition and wait until it shows its banner."""
    async with started(app_dir, data, environ, options, where) as laptop:
        await laptop.ready()
        yield laptop
