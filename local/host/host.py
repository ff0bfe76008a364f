"""The whole host: it indexes the app, listens, and stops cleanly."""

import asyncio
import os
import socket
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from local.host import settings as host_json
from local.host.access import Gate, Keys, must_enforce
from local.host.console import log
from local.host.errors import HostError
from local.host.invoker import Invoker
from local.host.queues import QueueListener
from local.host.server import Server
from local.host.settings import RESPONSE_LIMIT, QueueSettings
from local.host.storage import QueueStorage
from local.host.timer_status import TimerStatuses
from local.host.timers import TimerLoop, WallClock
from local.host.triggers import App, QueueTrigger, TimerTrigger, describe
from local.host.worker import QueuedMessage, Result, Worker

_PATIENCE_WITH_STORAGE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """data: the folder for keys and timer statuses. grace: seconds that running functions get at the end."""

    app_dir: Path
    data: Path
    auth: bool = False
    grace: float = 10.0
    response_limit: timedelta = RESPONSE_LIMIT


class Host:
    """Serves one app. Call `start`, later `stop`."""

    def __init__(self, options: HostOptions, environ: Mapping[str, str] = os.environ) -> None:
        self._options = options
        self._environ = environ
        self._tasks: list[asyncio.Task[None]] = []
        self._listeners: list[QueueListener] = []
        self._timers: list[TimerLoop] = []
        self._runner: web.AppRunner | None = None

    async def start(self, listening: socket.socket) -> None:
        """Serve on this socket. Raises NotIndexed or HostError; then nothing is running."""
        options = self._options
        settings = host_json.read(options.app_dir, self._environ)
        worker = await Worker.start(options.app_dir)
        app = describe(worker.functions, settings.http.route_prefix, self._environ)
        self._storage = QueueStorage(self._environ, settings.queues.message_encoding)
        app = self._listen(app, settings.queues)
        for error in app.errors:
            log.error("%s", error)
        self._worker = worker
        self._invoker = Invoker(worker, app, self._storage)
        gate = self._gate()
        server = Server(app, self._invoker, gate, settings.http, response_limit=options.response_limit)
        self._runner = web.AppRunner(
            server.application(),
            access_log=None,
            handle_signals=False,
            # Functions get a compressed body as it was sent.
            auto_decompress=False,
            max_line_size=16_384,
            max_field_size=32_768,
            shutdown_timeout=options.grace,
        )
        await self._runner.setup()
        self._run(*(each.listen() for each in self._listeners))
        # Wait for storage first: a timer that is past due runs at once, and would fail without it.
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_WITH_STORAGE):
                await asyncio.gather(*(each.has_looked.wait() for each in self._listeners))
        statuses = TimerStatuses(options.data / "timers")
        self._timers = [TimerLoop(each, statuses, self._on_time, WallClock()) for each in app.timers]
        self._run(*(each.run() for each in self._timers))
        await web.SockSite(self._runner, listening).start()
        port = listening.getsockname()[1]
        log.info(
            "%d functions (%d HTTP, %d queue, %d timer) on http://localhost:%d",
            *(len(app.functions), len(app.http), len(app.queues), len(app.timers), port),
        )

    async def stop(self) -> None:
        """Accept nothing new, give running functions the grace period to finish, then end."""
        for timer in self._timers:
            timer.stop()
        for listener in self._listeners:
            listener.stop()
        serving = asyncio.create_task(self._runner.cleanup()) if self._runner else None
        if late := await self._invoker.finish(self._options.grace):
            log.warning("%d functions did not finish within %g s and were cut off", late, self._options.grace)
        if serving:
            await serving
        # A batch that was being fetched at the stop has arrived by now, unless storage is away.
        await asyncio.wait(self._tasks, timeout=5) if self._tasks else None
        await self._invoker.finish(self._options.grace)
        for listener in self._listeners:
            await listener.finish()
        await self._storage.close()
        await self._worker.stop()

    def _run(self, *loops: Coroutine[None, None, None]) -> None:
        for loop in loops:
            task = asyncio.create_task(loop)
            task.add_done_callback(_complain)
            self._tasks.append(task)

    def _listen(self, app: App, settings: QueueSettings) -> App:
        """Create a listener for each queue. Leave out a function whose connection setting is missing."""
        queues, errors = [], list(app.errors)
        for trigger in app.queues:
            try:
                self._listeners.append(QueueListener(trigger, self._storage, settings, self._on_message))
                queues.append(trigger)
            except HostError as exc:
                errors.append(f"{trigger.function.name} is left out: {exc}")
        return replace(app, queues=tuple(queues), errors=tuple(errors))

    def _gate(self) -> Gate:
        keys = Keys.kept_in(self._options.data)
        reason = must_enforce(self._environ)
        enforced = self._options.auth or reason is not None
        if enforced:
            log.info("function keys are on%s", f", because {reason}" if reason else "")
            log.info("function key (x-functions-key, or ?code=): %s", keys.default)
            log.info("master key: %s", keys.master)
        public = urlsplit(self._environ.get("PUBLIC_BASE_URL", "")).hostname or ""
        return Gate(keys, enforced, public)

    async def _on_message(self, trigger: QueueTrigger, message: QueuedMessage, what: str) -> Result:
        function = trigger.function
        return await self._invoker.start(function, lambda: self._worker.queue(function.name, message), what)

    async def _on_time(
        self, trigger: TimerTrigger, past_due: bool, status: Mapping[str, str] | None
    ) -> Result:
        function = trigger.function
        what = "timer, past due" if past_due else "timer"
        return await self._invoker.start(
            function, lambda: self._worker.timer(function.name, past_due, status), what
        )


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("a listener ended: %r", error, exc_info=error)
