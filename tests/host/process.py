"""Sample apps, and `python -m local.host` as a process: one app a process, as the worker library has it."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import aiohttp

from local.launcher.orphans import adopted

ROOT = Path(__file__).parent.parent.parent
HEADER = """\
import asyncio
import json
import logging
import os
import time
import typing

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
ANONYMOUS = func.AuthLevel.ANONYMOUS
"""
QUICK_QUEUES = {
    "batchSize": 4,
    "newBatchThreshold": 2,
    "maxDequeueCount": 3,
    "visibilityTimeout": "00:00:00",
    "maxPollingInterval": "00:00:00.2",
    "messageEncoding": "none",
}
_READY = re.compile(r"on http://localhost:(\d+)")


def write_app(folder: Path, code: str, host: Mapping[str, Any] | None = None) -> Path:
    """An app folder with these functions; the imports and `app` are there already."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "function_app.py").write_text(HEADER + dedent(code))
    document = host if host is not None else {"version": "2.0", "extensions": {"queues": QUICK_QUEUES}}
    (folder / "host.json").write_text(json.dumps(document))
    return folder


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without anything that Switchboard reads, and `extra`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TWILIO_", "SWITCHBOARD_", "AzureWebJobs", "PUBLIC_", "SMS_", "FORCE_COLOR"))
    }
    return {**kept, "PYTHON_DOTENV_DISABLED": "1", "NO_COLOR": "1", **(extra or {})}


class HostProcess:
    """A running host: its URL, its log so far, and requests to it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        session: aiohttp.ClientSession,
        app_dir: Path,
        environ: Mapping[str, str],
    ) -> None:
        self.process = process
        self.app_dir = app_dir
        self.environ = environ
        self.session = session
        self.log = ""
        self.url = ""
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def ready(self) -> None:
        """Raises AssertionError with the log if it ended instead."""
        self.url = f"http://127.0.0.1:{(await self.logged(_READY.pattern))[1]}"

    async def logged(self, pattern: str, *, times: int = 1) -> re.Match[str]:
        """Wait until the log has this many matches, and return the last of them."""
        while True:
            found = list(re.finditer(pattern, self.log))
            if len(found) >= times:
                return found[times - 1]
            assert not self._reading.done(), f"the host ended without {pattern!r}:\n{self.log}"
            self._changed.clear()
            waiting = asyncio.create_task(self._changed.wait())
            await asyncio.wait([waiting, self._reading], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()

    async def ended(self) -> int:
        """The exit code, once the whole log is read."""
        await self._reading
        return await self.process.wait()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended()

    async def request(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        async with self.session.request(method, self.url + path, **options) as response:
            return response.status, await response.text()

    async def get(self, path: str, **options: Any) -> tuple[int, str]:
        return await self.request("GET", path, **options)

    async def fire(self, name: str, text: str = "") -> None:
        """Run a timer or a queue function now."""
        status, _ = await self.request("POST", f"/admin/functions/{name}", json={"input": text})
        assert status == 202

    async def _read(self) -> None:
        assert self.process.stderr
        async for line in self.process.stderr:
            self.log += line.decode()
            self._changed.set()


@asynccontextmanager
async def started(
    app_dir: Path,
    environ: Mapping[str, str] | None = None,
    options: Sequence[str] = ("--no-reload",),
) -> AsyncIterator[HostProcess]:
    """The host as a process on a free port, which may not be ready yet; stopped at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "local.host", "--app-dir", str(app_dir), "--port", "0"),
        *("--data", str(app_dir / ".data"), *options),
        cwd=ROOT,
        env=environment(environ),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    with adopted(process.pid):
        async with aiohttp.ClientSession() as session:
            host = HostProcess(process, session, app_dir, environ or {})
            try:
                yield host
            finally:
                await host.stop()


@asynccontextmanager
async def serving(
    app_dir: Path,
    environ: Mapping[str, str] | None = None,
    options: Sequence[str] = ("--no-reload",),
) -> AsyncIterator[HostProcess]:
    """The same, once it is ready."""
    async with started(app_dir, environ, options) as host:
        await host.ready()
        yield host
