"""`connect`: point a Twilio number, and a TwiML app for the softphone, at a deployment; or back again."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ops.account import Account
from ops.client import AsJson, Deployment, Url, find
from ops.connect_history import FILE, ConnectHistory
from ops.connect_plan import connecting, undoing
from ops.console import console, print_json
from ops.errors import OpsError
from shared import phone_numbers
from shared.errors import InvalidRequest


def connect(
    number: Annotated[str, typer.Argument(help="One of the account's numbers, in E.164: +12025550100")],
    url: Url = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Put back what the number had before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, on a terminal.")] = False,
    as_json: AsJson = False,
) -> None:
    """Point a number's calls and texts at Switchboard, and make the softphone's TwiML app.

    Shows the difference, and on a terminal asks before making it; with --dry-run it only shows. Does nothing
    where the number is connected already.
    """
    try:
        number = phone_numbers.parse(number, "NUMBER")
    except InvalidRequest as exc:
        raise OpsError(str(exc)) from exc
    deployment = find(url)
    account = Account(deployment)
    history = ConnectHistory(deployment.folder / FILE, account.sid)
    plan = (undoing if undo else connecting)(number, deployment, account, history)
    report = plan.report
    if not as_json:
        _show(deployment, report)
    asked = sys.stdin.isatty() and sys.stdout.isatty() and not (yes or as_json)
    if dry_run or (asked and report["changes"] and not typer.confirm("Make these changes?")):
        report["says"] = "Nothing was changed" + (": this is a dry run." if dry_run else ".")
    else:
        try:
            plan.carry_out()
        except OpsError as exc:
            if as_json:
                print_json({**report, "error": str(exc)})
            raise
        report["done"] = True
        report["says"] = "Done." if report["changes"] else ""
    if as_json:
        print_json({name: value for name, value in report.items() if name != "says"})
        return
    _show_end(deployment, report)
    if not (report["done"] or dry_run):
        raise typer.Exit(1)


def _show(deployment: Deployment, report: Mapping[str, Any]) -> None:
    console.print(Text(f"{report['number']}, {deployment.source} at {deployment.url}"))
    if not report["changes"]:
        how = "as it was" if "since" in report else "connected already"
        console.print(Text(f"Nothing to change: it is {how}.", style="green"))
    else:
        table = Table("", "setting", "before", "after", box=None, pad_edge=False)
        for change in report["changes"]:
            table.add_row(
                change["what"], change["name"], Text(change["before"] or "-", style="red"),
                Text(change["after"] or "-", style="green"),
            )  # fmt: skip
        console.print(table)
    for warning in report["warnings"]:
        console.print(Text(warning["says"], style="yellow"))
        if warning["mend"]:
            console.print(Text(warning["mend"], style="cyan"))


def _show_end(deployment: Deployment, report: Mapping[str, Any]) -> None:
    if report["says"] and report["changes"]:
        console.print(Text(report["says"], style="bold"))
    sid = report.get("twiml_app_sid")
    if sid and not report["twiml_app_known"]:
        how = (
            "set TWILIO_TWIML_APP_SID in .env, and start again"
            if deployment.is_local
            else f"azd env set TWILIO_TWIML_APP_SID {sid} && azd provision"
        )
        console.print(Text(f"For the softphone, tell the app of its TwiML app {sid}: {how}"))
