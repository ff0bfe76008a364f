"""`messages`: schedule, list, cancel, resend and watch SMS; load many from a file."""

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ops.client import Api, AsJson, Key, Url, find
from ops.console import EXIT_CODES, Commands, console, print_json
from ops.errors import OpsError

app = typer.Typer(
    cls=Commands, help="SMS: schedule, list, cancel, watch.", epilog=EXIT_CODES, no_args_is_help=True
)

Id = Annotated[str, typer.Argument(metavar="ID", help="As `messages list` shows it.")]
LoadId = Annotated[str, typer.Argument(metavar="ID", help="As `messages loads` shows it.")]
PAGE = 200
EVERY = 1.0
"""Seconds between two looks, while watching."""
ENDED = {"delivered", "undelivered", "read", "failed", "canceled", "expired", "suppressed", "unresolved"}
LOAD_ENDED = {"done", "failed", "stopped", "discarded"}
CLOCKS_DIFFER = timedelta(minutes=1)
"""This machine's and the deployment's, at most."""
KINDS = {".csv": "text/csv", ".ndjson": "application/x-ndjson", ".jsonl": "application/x-ndjson"}


def listed(api: Api, path: str, limit: int, **params: str | int) -> Iterator[dict[str, Any]]:
    """Up to `limit` rows of a list that comes in pages."""
    token = ""
    while limit > 0:
        page = api.get(path, limit=min(limit, PAGE), token=token, **params)
        yield from page[path]
        limit -= len(page[path])
        token = page["token"] or ""
        if not token:
            return


@app.command(epilog=EXIT_CODES)
def schedule(  # noqa: PLR0913 - each argument is one of the command
    to: Annotated[str, typer.Argument(help="E.164, or whatsapp:E.164.")],
    body: Annotated[str, typer.Argument(help="1 to 1,600 characters.")],
    at: Annotated[
        str | None, typer.Option("--at", help="When: 2030-01-31T09:00:00Z, or local with --zone.")
    ] = None,
    zone: Annotated[str | None, typer.Option(help="IANA time zone, such as Europe/Berlin.")] = None,
    repeat: Annotated[str | None, typer.Option(help="RFC 5545 rule, such as FREQ=WEEKLY;BYDAY=MO.")] = None,
    expires: Annotated[str | None, typer.Option(help="Not sent later than this.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Safe to repeat under one key.")] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Send one now, or schedule it."""
    given = {
        "to": to,
        "body": body,
        "send_at": at,
        "time_zone": zone,
        "repeat": repeat,
        "expires_after": expires,
        "idempotency_key": idempotency_key,
    }
    made = Api(find(url, key)).post(
        "messages", {name: value for name, value in given.items() if value is not None}
    )
    show([made], as_json=as_json)


@app.command("list", epilog=EXIT_CODES)
def show_all(
    state: Annotated[str | None, typer.Option(help="Only these, such as pending or failed.")] = None,
    after: Annotated[str | None, typer.Option(help="Due at this time or later (RFC 3339).")] = None,
    before: Annotated[str | None, typer.Option(help="Due before this time (RFC 3339).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List them by the time they are due."""
    given = {"state": state, "due_after": after, "due_before": before}
    params = {name: value for name, value in given.items() if value is not None}
    show(list(listed(Api(find(url, key)), "messages", limit, **params)), as_json=as_json)


@app.command(epilog=EXIT_CODES)
def cancel(message_id: Id, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Cancel one that still waits, and with it the rest of its series."""
    api = Api(find(url, key))
    show([api.delete(f"messages/{quote(message_id, safe='')}")], as_json=as_json)


@app.command(epilog=EXIT_CODES)
def resend(message_id: Id, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Send an unresolved one again: nobody can say whether it left the first time."""
    api = Api(find(url, key))
    show([api.post(f"messages/{quote(message_id, safe='')}/resend")], as_json=as_json)


@app.command(epilog=EXIT_CODES)
def watch(
    message_id: Id,
    seconds: Annotated[float, typer.Option(help="Give up after this long.")] = 300,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show one as it changes, until it has ended."""
    follow(Api(find(url, key)), f"messages/{quote(message_id, safe='')}", ENDED, seconds, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def load(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV, or NDJSON (.ndjson, .jsonl).")
    ],
    partial: Annotated[
        bool, typer.Option("--partial", help="Load the good rows of a file with bad ones.")
    ] = False,
    idempotency_key: Annotated[
        str | None,
        typer.Option(help="The file is taken once under it. Another one loads the same file once more."),
    ] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Load many from a file. All rows are checked first. The same file is loaded only once."""
    kind = KINDS.get(file.suffix.lower())
    if kind is None:
        raise OpsError("the file must end in .csv, .ndjson or .jsonl")
    api, began, content = Api(find(url, key)), datetime.now(UTC), file.read_bytes()
    params = {"partial": "true" if partial else "false"}
    own = hashlib.sha256(f"{kind} {params['partial']} ".encode() + content).hexdigest()
    job = api.send("bulk", content, kind, **params, idempotency_key=idempotency_key or own)
    follow_load(api, job["id"], began=began, as_json=as_json)


@app.command("loads", epilog=EXIT_CODES)
def show_loads(url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """List the loads that have not ended."""
    found = Api(find(url, key)).get("bulk")["bulk_loads"]
    if as_json:
        print_json(found)
    elif found:
        made = Table("id", "state", "taken", "loaded", "rows", "reason", box=None, pad_edge=False)
        for each in found:
            rows = str(each["rows"] or "?")  # not known before they are checked
            loaded, reason = str(each["loaded"]), Text(each["reason"] or "")
            made.add_row(each["id"], each["state"], each["created_at"], loaded, rows, reason)
        console.print(made)
    else:
        console.print("There are none.")


@app.command("resume-load", epilog=EXIT_CODES)
def resume_load(load_id: LoadId, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Go on with a load that has not ended, where it stopped."""
    api = Api(find(url, key))
    follow_load(api, api.post(f"bulk/{quote(load_id, safe='')}/resume")["id"], as_json=as_json)


@app.command("discard-load", epilog=EXIT_CODES)
def discard_load(load_id: LoadId, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Give up a load that has not ended, and delete its file. Messages that it loaded stay."""
    found = Api(find(url, key)).post(f"bulk/{quote(load_id, safe='')}/discard")
    if as_json:
        print_json(found)
    else:
        console.print(f"{found['id']} is {found['reason']}.")


def follow_load(api: Api, load_id: str, *, began: datetime | None = None, as_json: bool) -> None:
    """Show a load as it goes on; exit 1 if it did not end as done. began: when this command sent the file."""
    with Progress(TextColumn("{task.description}"), BarColumn(), console=console, disable=as_json) as bar:
        task = bar.add_task("queued", total=None)
        while True:
            found = api.get(f"bulk/{load_id}")
            bar.update(
                task, description=found["state"], total=found["rows"] or None, completed=found["loaded"]
            )
            if found["state"] in LOAD_ENDED:
                break
            time.sleep(EVERY)
    if as_json:
        print_json(found)
    else:
        console.print(f"{found['loaded']} of {found['rows'] or '?'} rows loaded. {found['reason'] or ''}")
        for each in found["errors"][:20]:
            console.print(Text(f"row {each['row']}, {each['column'] or 'row'}: {each['message']}"))
        if began and found["state"] in LOAD_ENDED - {"stopped"}:
            is_old = datetime.fromisoformat(found["created_at"]) < began - CLOCKS_DIFFER
            if is_old:
                console.print(
                    f"The file was taken at {found['created_at']}, and is not loaded a second time."
                )
            if is_old or found["state"] != "done":
                console.print("To load the same file once more, give another --idempotency-key.")
        if found["state"] == "stopped":
            console.print(f"It has stopped: messages resume-load {load_id}, or discard-load {load_id}")
    if found["state"] != "done":
        raise typer.Exit(1)


def follow(api: Api, path: str, ended: set[str], seconds: float, *, as_json: bool) -> None:
    """Show one row as it changes; exit 1 if it has not ended in time."""
    until = time.monotonic() + seconds
    row = api.get(path)
    shown = ""
    while True:
        if row["state"] != shown and not as_json:
            shown = row["state"]
            console.print(f"{datetime.now(UTC):%H:%M:%S} {shown}", style="dim")
        if row["state"] in ended or time.monotonic() > until:
            break
        time.sleep(EVERY)
        row = api.get(path)
    show([row], as_json=as_json)
    if row["state"] not in ended:
        raise typer.Exit(1)


def show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """A table on a terminal, or JSON."""
    if as_json:
        print_json(rows)
    elif rows:
        console.print(table(rows))
    else:
        console.print("There are none.")


def table(rows: list[dict[str, Any]]) -> Table:
    """Messages or calls, one a line."""
    made = Table("id", "state", "to", "when", "SID", "reason", box=None, pad_edge=False)
    for each in rows:
        made.add_row(
            each["id"],
            each["state"],
            each["to"] or "",
            each.get("send_at") or each["created_at"],
            each["sid"] or "",
            Text(each["reason"] or ""),
        )
    return made
