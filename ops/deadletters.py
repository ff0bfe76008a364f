"""`deadletters`: what was given up, with its reason; replay or discard it."""

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.table import Table
from rich.text import Text

from ops.client import Api, AsJson, Key, Url, find
from ops.console import EXIT_CODES, Commands, console, print_json
from ops.errors import OpsError

app = typer.Typer(
    cls=Commands, help="What was given up, with its reason.", epilog=EXIT_CODES, no_args_is_help=True
)

Id = Annotated[str, typer.Argument(metavar="ID", help="As `deadletters list` shows it.")]
PAGE = 200


def letters(api: Api) -> Iterator[dict[str, Any]]:
    """Every dead letter, newest first."""
    token = ""
    while True:
        page = api.get("deadletters", limit=PAGE, token=token)
        yield from page["dead_letters"]
        token = page["token"]
        if not token:
            return


@app.command("list", epilog=EXIT_CODES)
def show_all(
    url: Url = None,
    key: Key = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List them, newest first."""
    found = [each for each, _ in zip(letters(Api(find(url, key))), range(limit), strict=False)]
    if as_json:
        print_json(found)
        return
    if not found:
        console.print("There are no dead letters.")
        return
    table = Table("id", "died", "queue", "reason", "replayed", box=None, pad_edge=False)
    for each in found:
        table.add_row(
            each["id"], each["died_at"], each["queue"], Text(each["reason"]), each["replayed_at"] or ""
        )
    console.print(table)


@app.command("show", epilog=EXIT_CODES)
def show_one(letter_id: Id, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show one, with its queue message."""
    letter = _one(Api(find(url, key)), letter_id)
    if as_json:
        print_json(letter)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in letter.items():
        table.add_row(name, Text(str(value if value is not None else "")))
    console.print(table)


@app.command(epilog=EXIT_CODES)
def replay(letter_id: Id, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Put one back on its queue under its own id. Refused if the call may have left."""
    answer = Api(find(url, key)).post(f"deadletters/{quote(letter_id, safe='')}/replay")
    if as_json:
        print_json(answer)
    else:
        console.print(f"{letter_id} is on its queue again.")


@app.command(epilog=EXIT_CODES)
def discard(letter_id: Id, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Delete one for good."""
    Api(find(url, key)).post(f"deadletters/{quote(letter_id, safe='')}/discard")
    if as_json:
        print_json({"id": letter_id, "discarded": True})
    else:
        console.print(f"{letter_id} is forgotten.")


def _one(api: Api, letter_id: str) -> dict[str, Any]:
    for each in letters(api):
        if each["id"] == letter_id:
            return each
    raise OpsError(f"there is no dead letter {letter_id}")
