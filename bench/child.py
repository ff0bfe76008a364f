"""Processes that measure when they are asked to: a line of JSON in, a line of JSON out.

A worker can load one app in its life, so whatever is compared lives in processes of its own; asked in turns,
they meet the same noise.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from local.launcher.orphans import adopted

ROOT = Path(__file__).parent.parent
PATIENCE = 600.0
"""Seconds for one answer; the longest measure on a slow machine takes a quarter of them."""
type Handler = Callable[..., Awaitable[dict[str, Any]]]


class ChildFailed(Exception):
    """A measuring process died; its own words are on standard error."""


class Child:
    """One such process, from the side of who asks."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Have it do something and wait for what it found. Raises ChildFailed as `answer` does."""
        self.tell(command, **arguments)
        return self.answer()

    def tell(self, command: str, **arguments: Any) -> None:
        """Have it begin; `answer` waits."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as exc:
            raise ChildFailed(f"{self._process.args!r} has ended") from exc

    def answer(self, patience: float = PATIENCE) -> dict[str, Any]:
        """What it found. Raises ChildFailed where it died, or where it took longer than this many seconds."""
        assert self._process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(patience, give_up)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if late.is_set():
            raise ChildFailed(f"{self._process.args!r} gave no answer for {patience:g} s")
        if not line:
            raise ChildFailed(f"{self._process.args!r} ended with {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def running(module: str, *arguments: str, environ: Mapping[str, str] | None = None) -> Iterator[Child]:
    """`python -m module arguments`, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment(environ or {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with adopted(process.pid):
        try:
            yield Child(process)
        finally:
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a child, and `extra`.

    What is deployed has bytecode: a process that may write none would measure how long compiling takes.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHON_DOTENV_DISABLED": "1", **extra}


async def serve(handlers: Mapping[str, Handler]) -> None:
    """The child's side: answer until standard input ends. Whatever else is printed goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    while line := await asyncio.to_thread(sys.stdin.readline):
        request = json.loads(line)
        found = await handlers[request.pop("command")](**request)
        answers.write(json.dumps(found) + "\n")
        answers.flush()
