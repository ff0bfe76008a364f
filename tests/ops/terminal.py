"""A command of ops on a pseudo-terminal, as a person has it."""

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from local.launcher.orphans import adopted
from tests.host.process import ROOT, environment

APP_AND_ACCOUNT = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "SWITCHBOARD_URL")


@dataclass
class Terminal:
    """shown: all that the command has printed so far, its echo of what is typed too."""

    process: asyncio.subprocess.Process
    fd: int
    shown: str = ""

    async def until(self, text: str) -> None:
        """Read on until this is shown, or the command has ended."""
        while text not in self.shown and (more := await self._read()):
            self.shown += more

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    async def code(self) -> int:
        """Read to the end: the exit code."""
        while more := await self._read():
            self.shown += more
        return await self.process.wait()

    async def _read(self) -> str:
        """What is printed next; "" at its end."""
        try:
            return (await asyncio.to_thread(os.read, self.fd, 4096)).decode(errors="replace")
        except OSError:  # how Linux ends a terminal that nobody writes to any more
            return ""


@asynccontextmanager
async def on_a_terminal(*arguments: str, root: Path, environ: Mapping[str, str]) -> AsyncIterator[Terminal]:
    """A command of ops that looks for azd's files in root. App and account are those of environ only."""
    inherited = {name: value for name, value in environment().items() if name not in APP_AND_ACCOUNT}
    ours, theirs = pty.openpty()
    elsewhere = f"from pathlib import Path; from ops import client; client.ROOT = Path({str(root)!r})"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{elsewhere}; from ops.commands import app; app()"),
        *arguments,
        env={**inherited, "COLUMNS": "200", "PYTHONPATH": str(ROOT), **environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        with adopted(process.pid):
            yield Terminal(process, ours)
    finally:
        os.close(ours)
