"""`calls`: place, list and watch calls."""

from typing import Annotated
from urllib.parse import quote

import typer

from ops.client import Api, AsJson, Key, Url, find
from ops.console import EXIT_CODES, Commands, console, print_json
from ops.messages import follow, listed, show

app = typer.Typer(cls=Commands, help="Calls: place, list, watch.", epilog=EXIT_CODES, no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="As `calls list` shows it.")]
ENDED = {"completed", "busy", "no-answer", "failed", "canceled", "suppressed", "unresolved"}


@app.command(epilog=EXIT_CODES)
def place(
    to: Annotated[str, typer.Argument(help="E.164.")],
    say: Annotated[str | None, typer.Option(help="What a voice says.")] = None,
    twiml_url: Annotated[str | None, typer.Option(help="Where Twilio fetches TwiML instead.")] = None,
    twiml: Annotated[str | None, typer.Option(help="TwiML instead.")] = None,
    call_id: Annotated[str | None, typer.Option("--id", help="The same id rings once.")] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Put a call on the queue: one of --say, --twiml-url and --twiml."""
    given = {"to": to, "say": say, "url": twiml_url, "twiml": twiml, "id": call_id}
    made = Api(find(url, key)).post(
        "calls", {name: value for name, value in given.items() if value is not None}
    )
    if as_json:
        print_json(made)
    else:
        console.print(f"call {made['id']} is on the queue")


@app.command("list", epilog=EXIT_CODES)
def show_all(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List them as they came."""
    show(list(listed(Api(find(url, key)), "calls", limit)), as_json=as_json)


@app.command(epilog=EXIT_CODES)
def watch(
    call_id: Id,
    seconds: Annotated[float, typer.Option(help="Give up after this long.")] = 300,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show one as it changes, until it has ended."""
    follow(Api(find(url, key)), f"calls/{quote(call_id, safe='')}", ENDED, seconds, as_json=as_json)
