"""Restart the host when the app's code changes, as `func start` does.

The worker library holds one app for each process, so a reload needs a new process. This process keeps the
listening socket: a request that comes during a reload waits, and is not refused.
"""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from watchfiles import Change, DefaultFilter, awatch

from local.host.console import log

_KINDS = (".py", ".json", ".html", ".js", ".css", ".toml")
_PAUSE_AFTER_CRASH = 1.0
# The exit code of a host whose app does not load.
REFUSED = 1


class AppFilter(DefaultFilter):
    """Lets through changes of the files that the app is made of: code, host.json, pages and .env."""

    def __call__(self, change: Change, path: str) -> bool:
        name = Path(path).name
        return super().__call__(change, path) and (name.endswith(_KINDS) or name == ".env")


def watched_folders(app_dir: Path) -> list[Path]:
    """The folders in the app's folder that are deployed with it: all but those that .funcignore names."""
    try:
        ignored = {line.strip().strip("/") for line in (app_dir / ".funcignore").read_text().splitlines()}
    except FileNotFoundError:
        ignored = set()
    return [
        each
        for each in sorted(app_dir.iterdir())
        if each.is_dir()
        and not each.name.startswith((".", "_"))
        and each.name != "node_modules"
        and each.name not in ignored
        and not (each / "pyvenv.cfg").exists()
    ]


async def run_reloading(command: Sequence[str], descriptor: int, app_dir: Path, grace: float) -> int:
    """Keep the command running until SIGINT or SIGTERM, then return 0.

    If the app does not load at the first start, return REFUSED. If it stops loading later, wait for the next
    change, so that a typo does not end the session. After a crash, restart the command.
    """
    loop = asyncio.get_running_loop()
    stop, changed = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    watching = asyncio.gather(
        _watch([app_dir], changed, stop, recursive=False),
        _watch(watched_folders(app_dir), changed, stop, recursive=True),
    )
    first = True
    try:
        while True:
            changed.clear()
            child = await asyncio.create_subprocess_exec(
                *command,
                *([] if first else ["--hold"]),
                # The child reads this pipe. It ends when this process ends, even if it is killed.
                stdin=asyncio.subprocess.PIPE,
                pass_fds=(descriptor,),
            )
            await _first_of(child.wait(), changed.wait(), stop.wait())
            if child.returncode is None:
                await _end(child, grace)
            elif not stop.is_set() and not changed.is_set():
                if first and child.returncode == REFUSED:
                    return REFUSED
                log.error("the host ended with code %d; starting it again", child.returncode)
                await _first_of(asyncio.sleep(_PAUSE_AFTER_CRASH), changed.wait(), stop.wait())
            if stop.is_set():
                return 0
            first = False
    finally:
        stop.set()
        await watching


async def _watch(
    folders: Sequence[Path], changed: asyncio.Event, stop: asyncio.Event, *, recursive: bool
) -> None:
    if not folders:
        return
    async for changes in awatch(
        *folders, watch_filter=AppFilter(), recursive=recursive, stop_event=stop, raise_interrupt=False
    ):
        names = ", ".join(sorted({Path(path).name for _, path in changes}))
        log.info("%s changed: loading the app anew", names)
        changed.set()


async def _first_of(*waiting: object) -> None:
    tasks = [asyncio.ensure_future(each) for each in waiting]  # type: ignore[call-overload]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def _end(child: asyncio.subprocess.Process, grace: float) -> None:
    child.terminate()
    try:
        # Longer than its own grace period, since it still has to settle its queue messages.
        await asyncio.wait_for(child.wait(), grace + 10)
    except TimeoutError:
        child.kill()
        await child.wait()
