"""`python -m local.host`: serve a function app on 127.0.0.1."""

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
from local.host.console import log
from local.host.errors import HostError, NotIndexed
from local.host.host import Host, HostOptions
from local.host.reload import REFUSED, own_command, run_reloading
from local.host.server import RESPONSE_LIMIT


def serve(
    app_dir: Annotated[Path, typer.Option(help="The folder with function_app.py and host.json.")] = Path(),
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1; 0 takes a free one.", min=0)] = 7071,
    data: Annotated[Path, typer.Option(help="Where function keys and timer statuses are kept.")] = Path(
        ".local/host"
    ),
    auth: Annotated[bool, typer.Option("--auth", help="Enforce function keys, and print them.")] = False,
    reload: Annotated[bool, typer.Option(help="Load the app anew when its code changes.")] = True,
    grace: Annotated[float, typer.Option(help="Seconds for running functions at the end.", min=0)] = 10.0,
    response_limit: Annotated[
        float, typer.Option(help="Seconds until an HTTP function without an answer gets 504.", min=0.1)
    ] = RESPONSE_LIMIT.total_seconds(),
    verbose: Annotated[bool, typer.Option("--verbose", help="Show what the worker library logs.")] = False,
    fd: Annotated[int | None, typer.Option(hidden=True)] = None,
    hold: Annotated[bool, typer.Option("--hold", hidden=True)] = False,
) -> None:
    """Serve a Python function app the way Azure Functions would, on this machine alone.

    HTTP, storage queue and timer triggers, with host.json obeyed. Settings come from the environment and
    from the app's .env.
    """
    console.set_up(verbose=verbose)
    app_dir, data = app_dir.resolve(), data.resolve()
    try:
        listening = socket.socket(fileno=fd) if fd is not None else _listen(port)
    except OSError as exc:
        log.error("cannot listen on 127.0.0.1:%d: %s; choose another with --port", port, exc.strerror)
        raise typer.Exit(1) from exc
    if reload and fd is None:
        listening.set_inheritable(True)
        arguments = [
            *("--app-dir", str(app_dir), "--data", str(data), "--grace", str(grace)),
            *("--response-limit", str(response_limit), "--fd", str(listening.fileno())),
            *(["--auth"] if auth else []),
            *(["--verbose"] if verbose else []),
        ]
        code = asyncio.run(run_reloading(own_command(arguments), listening.fileno(), app_dir, grace))
        raise typer.Exit(code)
    options = HostOptions(
        app_dir=app_dir,
        data=data,
        auth=auth,
        grace=grace,
        response_limit=timedelta(seconds=response_limit),
    )
    raise typer.Exit(asyncio.run(_run(options, listening, has_parent=fd is not None, hold=hold)))


async def _run(options: HostOptions, listening: socket.socket, *, has_parent: bool, hold: bool) -> int:
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
    # As the real worker: relative paths in the app are relative to the app.
    os.chdir(options.app_dir)
    load_dotenv(options.app_dir / ".env")
    host = Host(options)
    try:
        await host.start(listening)
    except HostError as exc:
        for problem in exc.problems if isinstance(exc, NotIndexed) else (str(exc),):
            log.error("%s", console.shortened(problem))
        if not hold:
            return REFUSED
        log.info("waiting for a change")
        await _refuse_all(listening, stop)
        return 0
    await stop.wait()
    await host.stop()
    return 0


async def _refuse_all(listening: socket.socket, stop: asyncio.Event) -> None:
    """While the app does not load: say so to whoever asks."""

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        text = "The app does not load; the host's log says why.\n"
        return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=text)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.SockSite(runner, listening).start()
    await stop.wait()
    await runner.cleanup()


def _outlived(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Stop when standard input ends: the process that watches the code is gone."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    try:
        loop.call_soon_threadsafe(stop.set)
    except RuntimeError:
        return  # the loop has ended by itself


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(128)
    return listening


if __name__ == "__main__":
    typer.run(serve)
