"""One run of the host in this process, up to its exit code.

`python -m local.host` starts `python -m local.host.process` again whenever the code changes.
"""

import asyncio
import os
import signal
import socket
import sys
import threading
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import typer
from aiohttp import web
from dotenv import load_dotenv

from local.host import console
from local.host.console import log, shortened
from local.host.errors import HostError, NotIndexed
from local.host.host import Host, HostOptions
from local.host.reload import REFUSED


def main(
    app_dir: Annotated[Path, typer.Option()],
    data: Annotated[Path, typer.Option()],
    fd: Annotated[int, typer.Option()],
    grace: Annotated[float, typer.Option()],
    response_limit: Annotated[float, typer.Option()],
    auth: Annotated[bool, typer.Option("--auth")] = False,
    verbose: Annotated[bool, typer.Option("--verbose")] = False,
    hold: Annotated[bool, typer.Option("--hold")] = False,
) -> None:
    """Serve on the socket with this descriptor, which the parent process has opened."""
    console.set_up(verbose=verbose)
    limit = timedelta(seconds=response_limit)
    options = HostOptions(app_dir=app_dir, data=data, auth=auth, grace=grace, response_limit=limit)
    raise typer.Exit(asyncio.run(serve(options, socket.socket(fileno=fd), has_parent=True, hold=hold)))


async def serve(options: HostOptions, listening: socket.socket, *, has_parent: bool, hold: bool) -> int:
    """Serve until SIGINT or SIGTERM, and return the exit code 0.

    If the app does not load, return REFUSED; with `hold`, answer 503 to every request instead.
    has_parent: standard input is a pipe from the process that watches the code, and ends with that process.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    interrupts = 0

    def interrupt() -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            os._exit(130)
        stop.set()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if has_parent:
        threading.Thread(target=_outlived, args=(loop, stop), daemon=True).start()
    # As in the real worker, relative paths in the app start from the app's folder.
    os.chdir(options.app_dir)
    load_dotenv(options.app_dir / ".env")
    host = Host(options)
    try:
        await host.start(listening)
    except HostError as exc:
        for problem in exc.problems if isinstance(exc, NotIndexed) else (str(exc),):
            log.error("%s", shortened(problem))
        if not hold:
            return REFUSED
        log.info("waiting for a change")
        await _refuse_all(listening, stop)
        return 0
    await stop.wait()
    await host.stop()
    return 0


async def _refuse_all(listening: socket.socket, stop: asyncio.Event) -> None:
    """Answer 503 to every request, saying that the app does not load."""

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        text = "The app does not load; the host's log says why.\n"
        return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=text)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.SockSite(runner, listening).start()
    await stop.wait()
    await runner.cleanup()


def _outlived(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Stop when standard input ends, since the process that watches the code has ended then."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    try:
        loop.call_soon_threadsafe(stop.set)
    except RuntimeError:
        return  # The loop has ended already.


if __name__ == "__main__":
    typer.run(main)
