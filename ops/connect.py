"""`connect`: point a Twilio number, and a TwiML app for the softphone, at a deployment; or back again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import typer
from rich.table import Table
from rich.text import Text

from ops.account import Account
from ops.client import Api, AsJson, Deployment, OpsError, Url, find
from ops.console import console, print_json
from shared import phone_numbers
from shared.errors import InvalidRequest

KEPT = "connect.json"
"""What numbers had before they were connected, for --undo."""

# Connection overrides (Twilio docs: Webhook connection overrides); neither sent to us nor signed. A caller is
# waiting, so a connection or an answer that does not come is tried again early; a status can take its time.
CALLER_WAITS = "#ct=2000&rt=7000&rc=2&rp=ct,rt,5xx"
CAN_WAIT = "#rc=3&rp=ct,rt,5xx"
APOLOGY = "We are sorry, this did not work. Please call again in a minute."


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is to be different. what: number or application. An empty value is not set."""

    what: str
    name: str
    before: str
    after: str

    def view(self) -> dict[str, str]:
        """For --json."""
        return {"what": self.what, "name": self.name, "before": self.before, "after": self.after}


def number_values(base: str) -> dict[str, str]:
    """What a number is configured with, by twilio-python's names."""
    return {
        "voice_url": f"{base}/api/voice{CALLER_WAITS}",
        "voice_method": "POST",
        "voice_fallback_url": f"{base}/api/twimlets/message?Message={quote(APOLOGY)}",
        "voice_fallback_method": "POST",
        "voice_application_sid": "",
        "sms_url": f"{base}/api/sms{CALLER_WAITS}",
        "sms_method": "POST",
        "sms_fallback_url": f"{base}/api/sms",
        "sms_fallback_method": "POST",
        "sms_application_sid": "",
        "status_callback": f"{base}/api/voice/status{CAN_WAIT}",
        "status_callback_method": "POST",
    }


def application_values(base: str) -> dict[str, str]:
    """What the softphone's TwiML app is configured with."""
    return {
        "friendly_name": f"Switchboard at {urlsplit(base).netloc}",
        "voice_url": f"{base}/api/voice/client{CALLER_WAITS}",
        "voice_method": "POST",
        "voice_fallback_url": f"{base}/api/twimlets/message?Message={quote(APOLOGY)}",
        "voice_fallback_method": "POST",
        "status_callback": f"{base}/api/voice/status{CAN_WAIT}",
        "status_callback_method": "POST",
    }


def wanted_of(owned: Any, base: str) -> dict[str, str]:
    """The same for one number of the account: one without SMS has nothing to set for texts."""
    values = number_values(base)
    if owned.capabilities.get("sms"):
        return values
    return {name: value for name, value in values.items() if not name.startswith("sms_")}


def differences(what: str, present: Any | None, wanted: Mapping[str, str]) -> list[Change]:
    """What has to change on a number or an app; `present` is None for an app that is not there yet."""
    changes = [Change(what, name, _text(present, name), value) for name, value in wanted.items()]
    return [change for change in changes if change.before != change.after]


def _values(changes: list[Change], what: str) -> dict[str, str]:
    return {change.name: change.after for change in changes if change.what == what}


def _text(resource: Any | None, name: str) -> str:
    return str(getattr(resource, name, None) or "")


def connect(
    number: Annotated[str, typer.Argument(help="One of the account's numbers, in E.164: +12025550100")],
    url: Url = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Put back what the number had before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Point a number's calls and texts at Switchboard, and make the softphone's TwiML app.

    Shows the difference; with --dry-run nothing else. Does nothing where the number is connected already.
    """
    try:
        number = phone_numbers.parse(number, "NUMBER")
    except InvalidRequest as exc:
        raise OpsError(str(exc)) from exc
    deployment = find(url)
    account = Account(deployment)
    if undo:
        report = _undo(number, deployment.folder / KEPT, account, dry_run=dry_run)
    else:
        report = _connect(number, deployment, account, dry_run=dry_run)
    if as_json:
        print_json(report)
    else:
        _show(deployment, report)


def _connect(number: str, deployment: Deployment, account: Account, *, dry_run: bool) -> dict[str, Any]:
    base = deployment.url
    owned = account.number(number)
    if owned.trunk_sid:
        raise OpsError(
            f"{number} belongs to the SIP trunk {owned.trunk_sid}, which takes its calls: remove it there"
        )
    _check_health(deployment)
    wanted = wanted_of(owned, base)
    app_wanted = application_values(base)
    app = account.application(deployment.settings.get("TWILIO_TWIML_APP_SID"), app_wanted["friendly_name"])
    changes = differences("number", owned, wanted) + differences("application", app, app_wanted)
    sid = app.sid if app else None
    if changes and not dry_run:
        kept = deployment.folder / KEPT
        _keep(kept, f"{account.sid}/{number}", owned, wanted, app, app_wanted)
        account.configure_number(owned.sid, _values(changes, "number"))
        if app is None:
            sid = account.create_application(app_wanted)
            _note_application(kept, f"{account.sid}/{number}", sid)
        else:
            account.configure_application(app.sid, _values(changes, "application"))
    return {
        "number": number,
        "url": base,
        "changes": [change.view() for change in changes],
        "done": not dry_run,
        "twiml_app_sid": sid,
        "twiml_app_known": bool(sid) and sid == deployment.settings.get("TWILIO_TWIML_APP_SID"),
        "capabilities": dict(owned.capabilities),
    }


def _check_health(deployment: Deployment) -> None:
    """Raises OpsError unless the app answers and has its settings: a number must not lead nowhere."""
    response = Api(deployment).request("GET", "health")
    if response.status_code == 200:
        return
    try:
        answer = response.json()
        wrong = [*answer["missing"], *answer["invalid"]]
    except (ValueError, KeyError, TypeError):
        wrong = []
    what = f"its settings are not complete: {', '.join(wrong)}" if wrong else f"HTTP {response.status_code}"
    raise OpsError(f"{deployment.url}/api/health does not answer 200: {what}. Nothing was changed")


# What was there before.


def _read(kept: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError as exc:
        raise OpsError(f"{kept} cannot be read: move it away") from exc


def _write(kept: Path, entries: Mapping[str, Any]) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.touch(mode=0o600)  # a webhook of before may have had a password in its URL
    kept.write_text(json.dumps(entries, indent=1), encoding="utf-8")


def _keep(
    kept: Path,
    key: str,
    owned: Any,
    wanted: Mapping[str, str],
    app: Any | None,
    app_wanted: Mapping[str, str],
) -> None:
    """Remember what there was, once: connecting again must not take our own values for the first ones."""
    entries = _read(kept)
    if key not in entries:
        before = {name: _text(app, name) for name in app_wanted} if app else None
        entries[key] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "number": {name: _text(owned, name) for name in wanted},
            "application": {"sid": app.sid if app else "", "before": before},
        }
        _write(kept, entries)


def _note_application(kept: Path, key: str, sid: str) -> None:
    """The TwiML app that was made, for --undo to remove."""
    entries = _read(kept)
    entries[key]["application"]["sid"] = entries[key]["application"]["sid"] or sid
    _write(kept, entries)


def _undo(number: str, kept: Path, account: Account, *, dry_run: bool) -> dict[str, Any]:
    entries = _read(kept)
    entry = entries.pop(f"{account.sid}/{number}", None)
    if entry is None:
        raise OpsError(f"nothing is remembered of {number} in {kept}: it was not connected from here")
    owned = account.number(number)
    changes = differences("number", owned, entry["number"])
    made = entry["application"]
    app = account.application(made["sid"], made["sid"]) if made["sid"] else None
    if app is not None:
        before = made["before"] or dict.fromkeys(application_values(""), "")
        changes += differences("application", app, before)
    if not dry_run:
        account.configure_number(owned.sid, _values(changes, "number"))
        if app is not None and made["before"]:
            account.configure_application(app.sid, _values(changes, "application"))
        elif app is not None:
            account.delete_application(app.sid)
        _write(kept, entries)
    return {
        "number": number,
        "changes": [change.view() for change in changes],
        "done": not dry_run,
        "since": entry["at"],
    }


def _show(deployment: Deployment, report: Mapping[str, Any]) -> None:
    console.print(Text(f"{report['number']}, {deployment.source} at {deployment.url}"))
    if not report["changes"]:
        console.print(Text("Nothing to change: it is connected already.", style="green"))
    else:
        table = Table("", "setting", "before", "after", box=None, pad_edge=False)
        for change in report["changes"]:
            table.add_row(
                change["what"], change["name"], Text(change["before"] or "-", style="red"),
                Text(change["after"] or "-", style="green"),
            )  # fmt: skip
        console.print(table)
        console.print(
            Text("Done." if report["done"] else "Nothing was changed: this is a dry run.", style="bold")
        )
    if "capabilities" in report:
        for name in ("voice", "sms"):
            if not report["capabilities"].get(name):
                console.print(Text(f"The number has no {name}.", style="yellow"))
    sid = report.get("twiml_app_sid")
    if sid and not report["twiml_app_known"]:
        how = (
            "set TWILIO_TWIML_APP_SID in .env, and start again"
            if deployment.is_local
            else f"azd env set TWILIO_TWIML_APP_SID {sid} && azd provision"
        )
        console.print(Text(f"For the softphone, tell the app of its TwiML app {sid}: {how}"))
