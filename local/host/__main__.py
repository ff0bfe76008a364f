"""`python -m local.host`: serve a function app on 127.0.0.1."""

import asyncio
import socket
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from local.host import console
from local.host.console import log
from local.host.reload import run_reloading
from local.host.settings import RESPONSE_LIMIT


def main(
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
) -> None:
    """Serve a Python function app the way Azure Functions would, on this machine alone.

    HTTP, storage queue and timer triggers, with host.json obeyed. Settings come from the environment and
    from the app's .env.
    """
    console.set_up(verbose=verbose)
    app_dir, data = app_dir.resolve(), data.resolve()
    try:
        listening = _listen(port)
    except OSError as exc:
        log.error("cannot listen on 127.0.0.1:%d: %s; choose another with --port", port, exc.strerror)
        raise typer.Exit(1) from exc
    if reload:
        listening.set_inheritable(True)
        arguments = [
            *("--app-dir", str(app_dir), "--data", str(data), "--grace", str(grace)),
            *("--response-limit", str(response_limit), "--fd", str(listening.fileno())),
            *(["--auth"] if auth else []),
            *(["--verbose"] if verbose else []),
        ]
        command = [sys.executable, "-m", "local.host.process", *arguments]
        raise typer.Exit(asyncio.run(run_reloading(command, listening.fileno(), app_dir, grace)))
    # Imported here because the process that watches the code does not need them, and starts faster without.
    from local.host.host import HostOptions
    from local.host.process import serve

    limit = timedelta(seconds=response_limit)
    options = HostOptions(app_dir=app_dir, data=data, auth=auth, grace=grace, response_limit=limit)
    raise typer.Exit(asyncio.run(serve(options, listening, has_parent=False, hold=False)))


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(128)
    return listening


if __name__ == "__main__":
    typer.run(main)
