"""`python -m local`: the laptop edition, and the commands that talk to it."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from local import commands, demo
from local.host.errors import HostError
from local.launcher.plan import CannotStart, Choices
from local.launcher.running_env import NotRunning, Running
from local.launcher.supervisor import supervise

_DATA = Path(".local")
_ROOT = Path(__file__).parent.parent
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    port: Annotated[
        int, typer.Option(envvar="SWITCHBOARD_PORT", help="The port of the Functions host.")
    ] = 7071,
    storage_port: Annotated[
        int,
        typer.Option(
            envvar="SWITCHBOARD_STORAGE_PORT",
            help="The first port of Azurite: blob. Queue and table have the next two.",
        ),
    ] = 10000,
    twilio_port: Annotated[
        int,
        typer.Option(envvar="SWITCHBOARD_TWILIO_PORT", help="The port of the Twilio emulator and its page."),
    ] = 4000,
    phone_port: Annotated[
        int, typer.Option(envvar="SWITCHBOARD_PHONE_PORT", help="The port of the phone on the screen.")
    ] = 7070,
    auth: Annotated[
        bool,
        typer.Option(
            "--auth",
            envvar="SWITCHBOARD_AUTH",
            help="Enforce function keys, as in Azure. Always on if Twilio or the public URL is elsewhere.",
        ),
    ] = False,
    data: Annotated[
        Path, typer.Option(envvar="SWITCHBOARD_DATA", help="The folder for what is kept between runs.")
    ] = _DATA,
    func: Annotated[
        bool,
        typer.Option("--func", envvar="SWITCHBOARD_FUNC", help="Use Core Tools (func start) as the host."),
    ] = False,
) -> None:
    """Run Switchboard whole on this machine: storage, Twilio and the Functions host, until Ctrl-C.

    If .env has a real Twilio account, the real Twilio is used, and PUBLIC_BASE_URL must be a public https
    address. Without a command, this starts everything; each command talks to what is running.
    """
    context.obj = data.resolve()
    if context.invoked_subcommand:
        return
    choices = Choices(
        # Tests run an app of their own.
        app_dir=Path(os.environ.get("SWITCHBOARD_APP_DIR") or _ROOT).resolve(),
        data=data.resolve(),
        port=port,
        storage_port=storage_port,
        twilio_port=twilio_port,
        phone_port=phone_port,
        auth=auth,
        func=func,
    )
    try:
        code = asyncio.run(supervise(choices, console))
    except CannotStart as exc:
        raise _failed(exc) from exc
    raise typer.Exit(code)


@app.command()
def twiml(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="A webhook: /api/voice, or a whole URL.")],
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Form fields, such as Digits=1.")
    ] = None,
) -> None:
    """Sign a request as Twilio would, and print the TwiML that comes back."""
    form: dict[str, str] = {}
    for each in fields or []:
        name, is_pair, value = each.partition("=")
        if not is_pair or not name:
            raise typer.BadParameter(f"{each!r} must be FIELD=VALUE, such as Digits=1")
        form[name] = value
    try:
        reply = asyncio.run(commands.twiml(Running.read(context.obj), url, form))
    except (NotRunning, commands.CommandFailed) as exc:
        raise _failed(exc) from exc
    if reply.status != 200:
        errors.print(Text(f"HTTP {reply.status}", style="red"))
    if reply.text.startswith("<"):
        syntax = Syntax(reply.text, "xml", theme="ansi_dark", background_color="default", word_wrap=False)
        console.print(syntax if console.is_terminal else reply.text, soft_wrap=True, markup=False)
    elif reply.text:
        console.print(reply.text, soft_wrap=True, markup=False)
    if reply.status != 200:
        raise typer.Exit(1)


@app.command()
def schedule(
    context: typer.Context,
    to: Annotated[str, typer.Argument(help="A number in E.164, such as +12025550101.")],
    body: Annotated[str, typer.Argument(help="What the SMS says.")],
    seconds: Annotated[float, typer.Option(help="How far ahead.", min=0)] = 10,
) -> None:
    """Schedule an SMS through the API, and print what was asked and answered."""
    try:
        asked, reply = asyncio.run(commands.schedule(Running.read(context.obj), to, body, seconds))
    except (NotRunning, commands.CommandFailed) as exc:
        raise _failed(exc) from exc
    console.print(f"POST /api/messages {asked}", markup=False, soft_wrap=True)
    console.print(f"{reply.status} {reply.text}", markup=False, soft_wrap=True)
    if reply.status >= 400:
        raise typer.Exit(1)


@app.command()
def queue_call(
    context: typer.Context,
    to: Annotated[str, typer.Argument(help="A number in E.164, such as +12025550101.")],
    say: Annotated[str | None, typer.Option(help="What the callee hears.")] = None,
    url: Annotated[str | None, typer.Option(help="Where the call's TwiML comes from.")] = None,
    twiml: Annotated[str | None, typer.Option(help="The call's TwiML itself.")] = None,
) -> None:
    """Put a call on the queue `outbound-calls`, as any program with the storage account could.

    Nothing is checked here: the queue function decides.
    """
    try:
        message = commands.queue_call(Running.read(context.obj), to, say=say, url=url, twiml=twiml)
    except (NotRunning, commands.CommandFailed) as exc:
        raise _failed(exc) from exc
    console.print(f"message {message} is on the queue {commands.QUEUE}")


@app.command()
def keys(
    context: typer.Context,
    storage: Annotated[
        str, typer.Option(help="The storage account's connection string; that of what runs, else Azurite's.")
    ] = "",
) -> None:
    """Print the function keys that `func start --enableAuth` keeps in its storage account."""
    try:
        found = asyncio.run(commands.function_keys(storage or _storage_of(context.obj)))
    except (commands.CommandFailed, HostError) as exc:
        raise _failed(exc) from exc
    for host_id, each in found.items():
        console.print(f"{host_id}\n  x-functions-key: {each.default}\n  master key:      {each.master}")


def _storage_of(data: Path) -> str:
    try:
        return Running.read(data).settings["AzureWebJobsStorage"]
    except NotRunning:
        return "UseDevelopmentStorage=true"


@app.command("demo")
def play_demo(context: typer.Context) -> None:
    """Play the main job on real input, and show what happens."""
    try:
        code = asyncio.run(demo.play(context.obj, console))
    except demo.DemoFailed as exc:
        raise _failed(exc) from exc
    raise typer.Exit(code)


def _failed(error: Exception) -> typer.Exit:
    errors.print(Text("Error: ", style="bold red") + Text(str(error), style="not bold"), soft_wrap=True)
    return typer.Exit(1)


if __name__ == "__main__":
    app()
