"""`connect`: point a Twilio number, and a TwiML app for the softphone, at a deployment; or back again."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import typer
from rich.table import Table
from rich.text import Text

from ops import kept, texts
from ops.account import Account, Unanswered
from ops.client import Api, AsJson, Deployment, OpsError, Url, find
from ops.console import console, print_json
from ops.kept import Kept
from ops.signature import masked
from shared import phone_numbers
from shared.errors import InvalidRequest

# Connection overrides (Twilio docs: Webhook connection overrides); neither sent to us nor signed. A caller is
# waiting, so a connection or an answer that does not come is tried again early; a status can take its time.
CALLER_WAITS = "#ct=2000&rt=7000&rc=2&rp=ct,rt,5xx"
CAN_WAIT = "#rc=3&rp=ct,rt,5xx"
APOLOGY = "We are sorry, this did not work. Please call again in a minute."


type Step = tuple[str, Callable[[], object]]
"""(what it changes, how)."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is to be different. what: number or application. An empty value is not set."""

    what: str
    name: str
    before: str
    after: str

    def view(self, ours: frozenset[str]) -> dict[str, str]:
        """For people and programs: of a webhook that is none of `ours`, nothing that may be a secret."""

        def shown(value: str) -> str:
            secret = self.name.endswith(("_url", "_callback")) and value not in ours
            return masked(value) if secret else value

        return {
            "what": self.what,
            "name": self.name,
            "before": shown(self.before),
            "after": shown(self.after),
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: shown first, then done step by step.

    report: what is printed. again: how to go on, or back, after an error. forget: for an error before
    anything was changed.
    """

    report: dict[str, Any]
    steps: list[Step]
    again: str
    forget: Callable[[], object] = lambda: None


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


def _values(changes: list[Change]) -> dict[str, str]:
    return {change.name: change.after for change in changes}


def _text(resource: Any | None, name: str) -> str:
    return str(getattr(resource, name, None) or "")


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
    remembered = Kept(deployment.folder / kept.NAME, account.sid)
    if undo:
        plan = _undoing(number, deployment, account, remembered)
    else:
        plan = _connecting(number, deployment, account, remembered)
    report = plan.report
    if not as_json:
        _show(deployment, report)
    asked = sys.stdin.isatty() and sys.stdout.isatty() and not (yes or as_json)
    if dry_run or (asked and report["changes"] and not typer.confirm("Make these changes?")):
        report["says"] = "Nothing was changed" + (": this is a dry run." if dry_run else ".")
    else:
        try:
            _carry_out(plan)
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


def _carry_out(plan: Plan) -> None:
    """Raises OpsError, which says what was done before the error and how to go on."""
    done: list[str] = []
    for what, act in plan.steps:
        try:
            act()
        except OpsError as exc:
            if done:
                state = f"Done before that: {' and '.join(done)}"
            elif isinstance(exc, Unanswered):
                state = "Nothing was changed before that"
            else:
                plan.forget()
                raise OpsError(f"{exc}. Nothing was changed") from exc
            if isinstance(exc, Unanswered):
                state += f"; whether {what} was, is not known"
            raise OpsError(f"{exc}. {state}. {plan.again}") from exc
        done.append(what)


def _connecting(number: str, deployment: Deployment, account: Account, remembered: Kept) -> Plan:
    base = deployment.url
    owned = account.number(number)
    if owned.trunk_sid:
        raise OpsError(
            f"{number} belongs to the SIP trunk {owned.trunk_sid}, which takes its calls: remove it there"
        )
    _check_health(deployment)
    wanted = wanted_of(owned, base)
    app_wanted = application_values(base)
    known = deployment.settings.get("TWILIO_TWIML_APP_SID")
    app = account.application(known, app_wanted["friendly_name"])
    changes, app_changes = differences("number", owned, wanted), differences("application", app, app_wanted)
    ours = frozenset([*wanted.values(), *app_wanted.values()])
    before = {name: _text(app, name) for name in app_wanted} if app else None
    report: dict[str, Any] = {
        "number": number,
        "url": base,
        "changes": [change.view(ours) for change in changes + app_changes],
        "done": False,
        "warnings": _warnings(account, owned, base),
        "twiml_app_sid": app.sid if app else None,
        "twiml_app_known": app is not None and app.sid == known,
        "capabilities": dict(owned.capabilities),
    }
    new = False

    def note_application() -> None:
        if app is not None:  # one that we made, and could not note any more, is as we make them
            remembered.found_application(number, app.sid, before if app_changes else None)

    def remember() -> None:
        nonlocal new
        values = {name: _text(owned, name) for name in wanted}
        new = remembered.remember(number, values, app.sid if app else "", before, now=datetime.now(UTC))
        note_application()

    def configure_number() -> None:
        remember()
        account.configure_number(owned.sid, _values(changes))

    def configure_application() -> None:
        remember()
        if app is None:
            report["twiml_app_sid"] = account.create_application(app_wanted)
        else:
            account.configure_application(app.sid, _values(app_changes))

    def note_made() -> None:
        remembered.made_application(number, report["twiml_app_sid"])

    steps: list[Step] = [("the number", configure_number)] if changes else []
    if app_changes:
        steps.append(("the TwiML app", configure_application))
    if app is None:
        steps.append(("the note of it", note_made))
    return Plan(
        report,
        steps or [("the note of its TwiML app", note_application)],
        f"Mend it and run this again to go on, or put back what there was: "
        f"python -m ops connect {number} --undo --url {base}",
        lambda: remembered.forget(number) if new else None,
    )


def _warnings(account: Account, owned: Any, base: str) -> list[dict[str, str]]:
    """What keeps calls or texts from coming, and is not for this command to change."""
    found = [
        {"says": f"The number has no {name}.", "mend": ""}
        for name in ("voice", "sms")
        if not owned.capabilities.get(name)
    ]
    try:
        taken = texts.taken(account, owned, base)
    except OpsError as exc:
        says = f"whether a Messaging Service takes the number's texts could not be seen: {exc}"
        return [*found, {"says": says, "mend": ""}]
    return [*found, {"says": taken[0], "mend": taken[1]}] if taken else found


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


def _undoing(number: str, deployment: Deployment, account: Account, remembered: Kept) -> Plan:
    """The TwiML app stays as it is while another number that is remembered was connected with it."""
    entry = remembered.entry(number)
    owned = account.number(number)
    changes = differences("number", owned, entry["number"])
    made, sharing = entry["application"], remembered.sharing(number)
    app: Any = account.application(made["sid"], made["sid"]) if made["sid"] and not sharing else None
    app_now = application_values(deployment.url)
    app_before = made["before"] or dict.fromkeys(app_now, "")
    app_changes = differences("application", app, app_before) if app is not None else []

    def restore_application() -> None:
        if made["before"]:
            account.configure_application(app.sid, _values(app_changes))
        else:
            account.delete_application(app.sid)

    ours = frozenset([*number_values(deployment.url).values(), *app_now.values()])
    steps: list[Step] = (
        [("the number", lambda: account.configure_number(owned.sid, _values(changes)))] if changes else []
    )
    if app is not None:
        steps.append(("the TwiML app", restore_application))
    stays = f"The TwiML app {made['sid']} stays: {', '.join(sharing)} was connected with it too."
    return Plan(
        {
            "number": number,
            "changes": [change.view(ours) for change in changes + app_changes],
            "done": False,
            "since": entry["at"],
            "warnings": [{"says": stays, "mend": ""}] if sharing else [],
            "twiml_app_shared_with": sharing,
        },
        [*steps, ("what was remembered", lambda: remembered.forget(number))],
        "What there was is still remembered: run this again to go on",
    )


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
