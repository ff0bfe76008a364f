"""`python -m local.host`: serve a function app on 127.0.0.1."""

import asyncio
import socket
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from local.host import console
from local.host.console import log
from local.host.reload import own_command, run_reloading
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
    # Only now: the process that merely watches the code needs none of it, and starts the sooner.
    from local.host.host import HostOptions
    from local.host.process import serve

    options = HostOptions(
        app_dir=app_dir,
        data=data,
        auth=auth,
        grace=grace,
        response_limit=timedelta(seconds=response_limit),
    )
    raise typer.Exit(asyncio.run(serve(options, listening, has_parent=fd is not None, hold=hold)))


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(128)
    return listening


if __name__ == "__main__":
    typer.run(main)
