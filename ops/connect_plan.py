"""What `connect` and `connect --undo` are going to do: the steps, and what is reported of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ops import messaging_service, webhooks
from ops.account import Account, Unanswered
from ops.client import Api, Deployment
from ops.connect_history import ConnectHistory
from ops.errors import OpsError
from ops.webhooks import Change, application_values, differences, number_values, values_of

type Step = tuple[str, Callable[[], object]]
"""(what it changes, how)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Shown first, then carried out step by step.

    report: what is printed. again: how to go on, or back, after an error. forget: for an error before
    anything was changed.
    """

    report: dict[str, Any]
    steps: list[Step]
    again: str
    forget: Callable[[], object] = lambda: None

    def carry_out(self) -> None:
        """Raises OpsError, which says what was done before the error and how to go on."""
        done: list[str] = []
        for what, act in self.steps:
            try:
                act()
            except OpsError as exc:
                if done:
                    state = f"Done before that: {' and '.join(done)}"
                elif isinstance(exc, Unanswered):
                    state = "Nothing was changed before that"
                else:
                    self.forget()
                    raise OpsError(f"{exc}. Nothing was changed") from exc
                if isinstance(exc, Unanswered):
                    state += f"; whether {what} was, is not known"
                raise OpsError(f"{exc}. {state}. {self.again}") from exc
            done.append(what)


def connecting(number: str, deployment: Deployment, account: Account, history: ConnectHistory) -> Plan:
    """Point a number, and a TwiML app for the softphone, at the deployment."""
    base = deployment.url
    owned = account.number(number)
    if owned.trunk_sid:
        raise OpsError(
            f"{number} belongs to the SIP trunk {owned.trunk_sid}, which takes its calls: remove it there"
        )
    _check_health(deployment)
    known = deployment.settings.get("TWILIO_TWIML_APP_SID")
    app = account.application(known, application_values(base)["friendly_name"])
    work = _Connection(number, base, account, history, owned, app)
    report: dict[str, Any] = {
        "number": number,
        "url": base,
        "changes": [change.view(work.ours) for change in work.changes + work.app_changes],
        "done": False,
        "warnings": _warnings(account, owned, base),
        "twiml_app_sid": app.sid if app else None,
        "twiml_app_known": app is not None and app.sid == known,
        "capabilities": dict(owned.capabilities),
    }
    return Plan(
        report,
        work.steps(report),
        f"Mend it and run this again to go on, or put back what there was: "
        f"python -m ops connect {number} --undo --url {base}",
        work.forget,
    )


@dataclass(slots=True)
class _Connection:
    """The steps of one `connect`. owned: the number at Twilio. app: its TwiML app, None where there is none.

    What there was before is remembered before the first change, so that `--undo` finds it whatever happens.
    """

    number: str
    base: str
    account: Account
    history: ConnectHistory
    owned: Any
    app: Any
    is_new: bool = False
    wanted: dict[str, str] = field(init=False)
    app_wanted: dict[str, str] = field(init=False)
    changes: list[Change] = field(init=False)
    app_changes: list[Change] = field(init=False)

    def __post_init__(self) -> None:
        self.wanted = webhooks.wanted_for(self.owned, self.base)
        self.app_wanted = application_values(self.base)
        self.changes = differences("number", self.owned, self.wanted)
        self.app_changes = differences("application", self.app, self.app_wanted)

    @property
    def ours(self) -> frozenset[str]:
        """The values that are shown whole."""
        return frozenset([*self.wanted.values(), *self.app_wanted.values()])

    def steps(self, report: dict[str, Any]) -> list[Step]:
        """report: gets the SID of a TwiML app that is made."""

        def make_application() -> None:
            self._remember()
            report["twiml_app_sid"] = self.account.create_application(self.app_wanted)

        def note_made() -> None:
            self.history.made_application(self.number, report["twiml_app_sid"])

        steps: list[Step] = [("the number", self._configure_number)] if self.changes else []
        if self.app is None:
            steps += [("the TwiML app", make_application), ("the note of it", note_made)]
        elif self.app_changes:
            steps.append(("the TwiML app", self._configure_application))
        return steps or [("the note of its TwiML app", self._note_application)]

    def forget(self) -> None:
        """Nothing was changed: what this run remembered is not needed."""
        if self.is_new:
            self.history.forget(self.number)

    def _configure_number(self) -> None:
        self._remember()
        self.account.configure_number(self.owned.sid, values_of(self.changes))

    def _configure_application(self) -> None:
        self._remember()
        self.account.configure_application(self.app.sid, values_of(self.app_changes))

    def _remember(self) -> None:
        values = {name: webhooks.text(self.owned, name) for name in self.wanted}
        sid = self.app.sid if self.app else ""
        is_new = self.history.remember(self.number, values, sid, self._app_before, now=datetime.now(UTC))
        self.is_new = self.is_new or is_new
        self._note_application()

    def _note_application(self) -> None:
        # One that an earlier run made, but could not note any more, is as we make them: before is None.
        if self.app is not None:
            before = self._app_before if self.app_changes else None
            self.history.found_application(self.number, self.app.sid, before)

    @property
    def _app_before(self) -> dict[str, str] | None:
        return {name: webhooks.text(self.app, name) for name in self.app_wanted} if self.app else None


def _warnings(account: Account, owned: Any, base: str) -> list[dict[str, str]]:
    """What keeps calls or texts away, and is not for this command to change."""
    found = [
        {"says": f"The number has no {name}.", "mend": ""}
        for name in ("voice", "sms")
        if not owned.capabilities.get(name)
    ]
    try:
        taken = messaging_service.taken(account, owned, base)
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


def undoing(number: str, deployment: Deployment, account: Account, history: ConnectHistory) -> Plan:
    """Put back what the number had. Its TwiML app stays while another number uses it."""
    entry = history.entry(number)
    owned = account.number(number)
    changes = differences("number", owned, entry["number"])
    made, sharing = entry["application"], history.sharing(number)
    app: Any = account.application(made["sid"], made["sid"]) if made["sid"] and not sharing else None
    app_now = application_values(deployment.url)
    app_before = made["before"] or dict.fromkeys(app_now, "")
    app_changes = differences("application", app, app_before) if app is not None else []

    def restore_application() -> None:
        if made["before"]:
            account.configure_application(app.sid, values_of(app_changes))
        else:
            account.delete_application(app.sid)

    ours = frozenset([*number_values(deployment.url).values(), *app_now.values()])
    steps: list[Step] = (
        [("the number", lambda: account.configure_number(owned.sid, values_of(changes)))] if changes else []
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
        [*steps, ("what was remembered", lambda: history.forget(number))],
        "What there was is still remembered: run this again to go on",
    )
