"""The processes of the laptop edition: they are started, watched and stopped together."""

import asyncio
import re
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

WATCHDOG = Path(__file__).with_name("watchdog.py")
_LINES_KEPT = 20
_STOP_SECONDS = 20.0


class PartFailed(Exception):
    """One part ended, or did not become ready. lines: the last lines that it printed."""

    def __init__(self, name: str, problem: str, lines: Sequence[str]) -> None:
        self.name = name
        self.problem = problem
        self.lines = tuple(lines)
        super().__init__(f"{name} {problem}")


@dataclass(frozen=True, slots=True)
class Part:
    """What to run, and in which folder. ready: returns when the part answers; the caller sets the time limit.

    chatter: lines that match it are not shown.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(repr=False)
    folder: Path
    ready: Callable[[], Awaitable[None]]
    chatter: re.Pattern[str] = re.compile(r"(?!)")


class RunningPart:
    """The process of a part. show: called with the part's name and each line that it prints."""

    def __init__(
        self, part: Part, process: asyncio.subprocess.Process, show: Callable[[str, str], None]
    ) -> None:
        self.part = part
        self.lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._process = process
        self._show = show
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, part: Part, show: Callable[[str, str], None]) -> "RunningPart":
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(WATCHDOG), *part.command),
            env=dict(part.environ),
            cwd=part.folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=2**20,
            # Ctrl-C in the terminal reaches only the supervisor, which then stops the parts in order.
            start_new_session=True,
        )
        return cls(part, process, show)

    async def ended(self) -> PartFailed:
        """Wait until the process ends. Returns how it ended."""
        code = await self._process.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._reading), 2)
        return PartFailed(self.part.name, f"ended with code {code}", self.lines)

    async def stop(self) -> None:
        """Stop the process with SIGTERM, and with SIGKILL if it does not end in time."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
            except TimeoutError:
                self.kill()
                await self._process.wait()
        self._reading.cancel()
        await asyncio.wait([self._reading])

    def kill(self) -> None:
        """Kill the process and all that it started, at once (see watchdog.py)."""
        if self._process.stdin and self._process.returncode is None:
            self._process.stdin.write(b"K")

    async def _read(self) -> None:
        if self._process.stdout is None:
            return
        while line := await self._line(self._process.stdout):
            text = line.decode(errors="replace").rstrip()
            if not self.part.chatter.match(text):
                self.lines.append(text)
                self._show(self.part.name, text)

    async def _line(self, stream: asyncio.StreamReader) -> bytes:
        try:
            return await stream.readline()
        except ValueError:
            return b"(a line of more than a megabyte)\n"


class Parts:
    """All parts."""

    def __init__(self, show: Callable[[str, str], None]) -> None:
        self._show = show
        self._running: list[RunningPart] = []

    async def start(self, parts: Sequence[Part], time_limit: float) -> None:
        """Start all parts at once and wait until each is ready. Raises PartFailed; then call `stop`."""
        for part in parts:
            self._running.append(await RunningPart.start(part, self._show))
        waiting = {asyncio.ensure_future(each.part.ready()): each for each in self._running}
        failing = asyncio.ensure_future(self.failed())
        try:
            async with asyncio.timeout(time_limit):
                pending = set(waiting)
                while pending:
                    done, _ = await asyncio.wait({*pending, failing}, return_when=asyncio.FIRST_COMPLETED)
                    if failing in done:
                        raise failing.result()
                    for each in done:
                        each.result()
                    pending -= done
        except TimeoutError:
            late = next(waiting[each] for each in waiting if not each.done())
            problem = f"was not ready within {time_limit:g} s"
            raise PartFailed(late.part.name, problem, late.lines) from None
        finally:
            for each in (*waiting, failing):
                each.cancel()

    async def failed(self) -> PartFailed:
        """Wait until one part ends by itself. Returns how it ended."""
        ends = [asyncio.ensure_future(each.ended()) for each in self._running]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for each in ends:
                each.cancel()

    async def stop(self) -> None:
        """Stop the parts in the reverse order: a part that others rely on is stopped last."""
        for each in reversed(self._running):
            await each.stop()
        self._running.clear()

    def kill(self) -> None:
        """Kill all parts at once."""
        for each in self._running:
            each.kill()
