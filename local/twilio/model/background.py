"""Tasks and timers that are under way. A test can wait until the emulator has nothing left to do."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger("local.twilio")


class Background:
    """The tasks and timers of one running emulator, on one event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        self._idle.clear()
        task.add_done_callback(self._done)
        return task

    def later(self, seconds: float, action: Callable[..., None], *args: Any) -> None:
        """Call `action(*args)` after that many seconds."""

        def run() -> None:
            self._timers.discard(handle)
            try:
                action(*args)
            finally:
                self._check()

        handle = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(handle)
        self._idle.clear()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s", type(error).__name__, exc_info=error)
        self._check()

    def _check(self) -> None:
        if not self._tasks and not self._timers:
            self._idle.set()

    async def settled(self, timeout: float) -> None:
        """Wait until nothing is under way. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            await self._idle.wait()

    async def cancel(self) -> None:
        """Cancel all tasks and timers, and wait until the tasks have stopped."""
        for handle in self._timers:
            handle.cancel()
        self._timers.clear()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._check()
