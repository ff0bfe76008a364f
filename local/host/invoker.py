"""Runs invocations: calls the function, writes its outputs, logs it, and keeps track of running ones."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from azure.core.exceptions import AzureError

from local.host.console import log, shortened
from local.host.errors import HostError, InvocationFailed
from local.host.storage import QueueStorage
from local.host.triggers import App
from local.host.worker import Function, Result, Worker


class Invoker:
    """Runs functions. As in Azure, outputs are written only after the function has succeeded."""

    def __init__(self, worker: Worker, app: App, storage: QueueStorage) -> None:
        self.worker = worker
        self._app = app
        self._storage = storage
        self._tasks: set[asyncio.Task[Result]] = set()

    def start(
        self, function: Function, call: Callable[[], Awaitable[Result]], what: str
    ) -> asyncio.Task[Result]:
        """Start an invocation, which goes on even if nobody waits for it.

        The task raises InvocationFailed when the function raised or an output could not be written.
        what: the event, for the log; never a body or a number.
        """
        task = asyncio.create_task(self._run(function, call, what))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    async def finish(self, grace: float) -> int:
        """Wait up to `grace` seconds for running invocations, cancel the rest, and return their number."""
        if not self._tasks:
            return 0
        _, late = await asyncio.wait(set(self._tasks), timeout=grace)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return len(late)

    def _forget(self, task: asyncio.Task[Result]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # It is logged already. Retrieving it keeps asyncio from complaining.

    async def _run(self, function: Function, call: Callable[[], Awaitable[Result]], what: str) -> Result:
        began = time.perf_counter()
        try:
            result = await call()
            await self._write(function, result)
        except InvocationFailed as exc:
            took = _milliseconds(began)
            extra = {"function": function.name, "trace": shortened(exc.trace)}
            log.error("%s failed, %s: %s", what, took, exc, extra=extra)
            raise
        outcome = f" {result.answer.status}" if result.answer else ""
        log.info("%s%s, %s", what, outcome, _milliseconds(began), extra={"function": function.name})
        return result

    async def _write(self, function: Function, result: Result) -> None:
        outputs = self._app.outputs[function.name]
        try:
            await asyncio.gather(
                *(
                    self._storage.send(outputs[name].connection, outputs[name].queue, text)
                    for name, texts in result.outputs.items()
                    for text in texts
                )
            )
        except (AzureError, HostError) as exc:
            reason = str(exc).partition("\n")[0]
            raise InvocationFailed(function.name, f"its output was not written: {reason}", "") from exc


def _milliseconds(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1000:.0f} ms"
