"""local/launcher/orphans.py: whatever ends a process, nothing that it started goes on."""

import ast
import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from local.launcher.orphans import adopted
from tests.host.process import ROOT, environment
from tests.processes import command_line, environment_of, needs_proc
from tests.waiting import until

pytestmark = [needs_proc, pytest.mark.timeout(300)]
SIGNALS = [signal.SIGTERM, signal.SIGKILL]
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
PARENT = """
import subprocess, sys, time
from local.launcher.orphans import adopted

children = [subprocess.Popen([sys.executable, "-c", code], start_new_session=True) for code in sys.argv[1:]]
with adopted(children[0].pid), adopted(children[1].pid):
    time.sleep(600)
"""
A_TEST = """
import asyncio
from pathlib import Path

from tests.host.process import ROOT
from tests.laptop import running


async def test_for_ever(azurite: object, tmp_path: Path) -> None:
    async with running(ROOT, tmp_path / "data"):
        (Path(__file__).parent / "ready").touch()
        await asyncio.sleep(600)
"""


def started_in(path: Path) -> list[tuple[str, bool]]:
    """Each function of the module that starts a process and goes on; and whether it adopts the process."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            called = {
                ast.unparse(each.func).split(".")[-1] for each in ast.walk(node) if isinstance(each, ast.Call)
            }
            if called & {"Popen", "create_subprocess_exec", "create_subprocess_shell"}:
                found.append((f"{path.relative_to(ROOT)}: {node.name}", "adopted" in called))
    return found


def test_whatever_the_tests_and_the_bench_start_is_adopted() -> None:
    modules = [path for folder in ("tests", "bench") for path in (ROOT / folder).rglob("*.py")]
    found = dict(each for path in modules for each in started_in(path))
    assert len(found) > 10
    assert [name for name, is_adopted in found.items() if not is_adopted] == []


class Marked:
    """A process that was started with a mark in its environment, which all that it starts inherits."""

    def __init__(self, mark: str, process: asyncio.subprocess.Process) -> None:
        self._mark = mark
        self.process = process

    def all(self) -> dict[int, str]:
        """The command line of each process with the mark that has not ended, by its id."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if environment_of(int(folder.name)).get("STARTED_BY") == self._mark:
                    found[int(folder.name)] = command_line(int(folder.name))
            except OSError:  # it has ended, or is not ours
                continue
        return found

    def runs(self, *parts: str) -> bool:
        """Is there a process for each of these parts of a command line?"""
        assert self.process.returncode is None, "it ended before it was asked to"
        lines = self.all().values()
        return all(any(part in line for line in lines) for part in parts)

    async def is_left_alone(self) -> None:
        """Wait until nothing with the mark runs any more."""
        await self.process.wait()
        await until(lambda: not self.all())


@asynccontextmanager
async def marked(*arguments: str, cwd: Path = ROOT) -> AsyncIterator[Marked]:
    """`python ARGUMENTS`, not as a part of the test run that we are in."""
    mark = uuid4().hex
    environ = {name: value for name, value in environment().items() if not name.startswith("PYTEST_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        cwd=cwd,
        env={**environ, "STARTED_BY": mark},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    found = Marked(mark, process)
    with adopted(process.pid):
        try:
            yield found
        finally:
            for pid in found.all():
                os.kill(pid, signal.SIGKILL)
            await process.wait()


async def test_an_adopted_child_ends_with_us_even_if_it_ignores_sigterm() -> None:
    async with marked("-c", PARENT, STUBBORN, "import time; time.sleep(600)") as parent:
        await until(lambda: parent.runs("SIG_IGN", "-c import time", "orphans.py"))
        parent.process.terminate()
        await parent.is_left_alone()


async def test_a_child_that_was_let_go_lives_on() -> None:
    code = PARENT.replace("    time.sleep", "    pass\ntime.sleep")
    async with marked("-c", code, "import time; time.sleep(600)", "import time; time.sleep(600)") as parent:
        await until(lambda: parent.runs("-c import time", "orphans.py"))
        await until(lambda: len(parent.all()) == 4)
        parent.process.kill()
        await until(lambda: not any("orphans.py" in line for line in parent.all().values()))
        assert len(parent.all()) == 2


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_bench_that_is_ended_leaves_nothing_behind(number: signal.Signals) -> None:
    async with marked("-m", "bench", "--quick", "--only", "queue") as bench:
        await until(lambda: bench.runs("azurite", "local.emulator", "bench.queue_child"))
        bench.process.send_signal(number)
        await bench.is_left_alone()


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_fault_table_that_is_ended_leaves_nothing_behind(number: signal.Signals) -> None:
    async with marked("-m", "tests.faults") as faults:
        await until(lambda: faults.runs("azurite", "multiprocessing.forkserver"))
        faults.process.send_signal(number)
        await faults.is_left_alone()


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("workers", [0, 1])
async def test_a_test_run_that_is_ended_leaves_nothing_behind(
    number: signal.Signals, workers: int, tmp_path: Path
) -> None:
    """Its session's Azurite, and a whole laptop edition that a test has started."""
    (tmp_path / "test_for_ever.py").write_text(A_TEST)
    options = ["-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest", "-n", str(workers)]
    async with marked("-m", "pytest", *options, str(tmp_path)) as run:
        await until((tmp_path / "ready").exists)
        assert run.runs("azurite", "-m local ", "local.emulator", "local.host")
        run.process.send_signal(number)
        await run.is_left_alone()
