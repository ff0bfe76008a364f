"""`doctor`: check everything between a phone and the app, and say what is wrong and how to mend it."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any
from urllib.parse import parse_qs

import typer
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.storage.queue import QueueServiceClient
from rich.table import Table
from rich.text import Text

from local.host.schedule import Schedule
from ops import messaging_service, recent_failures, signature
from ops.account import Account
from ops.azure_sign_in import signed_in
from ops.client import Api, AsJson, Deployment, Key, find
from ops.console import console, print_json
from ops.errors import OpsError
from ops.probe import Finding, Probe
from ops.webhooks import differences, wanted_for
from shared.config import AZURITE, url_parts
from shared.storage.connection import Refused, check_connection
from shared.storage.queues import NAMES as QUEUES

CLOCK_TOLERANCE = 10
"""Seconds that two clocks may differ; the Date header has whole seconds, and the answer took its time."""
MISSED_TICKS = 3
MANY = 1000
MARKS = {"ok": ("ok", "green"), "warn": ("!", "yellow"), "fail": ("x", "red"), "unknown": ("?", "dim")}


def doctor(
    url: Annotated[
        str | None, typer.Argument(envvar="SWITCHBOARD_URL", metavar="[URL]", help="Its origin.")
    ] = None,
    number: Annotated[str | None, typer.Option(help="Its number. Else TWILIO_FROM_NUMBER.")] = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Check settings, storage, credentials, the number, its webhooks and signatures, clocks, timer, queues.

    Ends with 1 if anything fails. Changes nothing, and sends nothing to anybody.
    """
    deployment = find(url, key)
    examination = Examination(deployment, number)
    findings: list[Finding] = []
    for finding in examination.run():
        findings.append(finding)
        if not as_json:
            _show(finding)
    failed = [each for each in findings if each.status == "fail"]
    if as_json:
        print_json({"url": deployment.url, "findings": [asdict(each) for each in findings], "ok": not failed})
    else:
        count = f"{len(failed)} of {len(findings)} checks fail" if failed else "All is well"
        console.print(Text(f"\n{count}: {deployment.source} at {deployment.url}", style="bold"))
    if failed:
        raise typer.Exit(1)


def _show(finding: Finding) -> None:
    mark, style = MARKS[finding.status]
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(width=2)
    table.add_column(width=12)
    table.add_column(overflow="fold")
    table.add_row(Text(mark, style=style), finding.check, Text(finding.says))
    if finding.mend:
        table.add_row("", "", Text(finding.mend, style="cyan"))
    console.print(table)


class Examination:
    """One run over one deployment. Each check yields findings, and leaves what it saw for later checks."""

    def __init__(
        self, deployment: Deployment, number: str | None = None, *, now: Callable[[], datetime] | None = None
    ) -> None:
        self.deployment = deployment
        self.api = Api(deployment)
        self.number = number or deployment.settings.get("TWILIO_FROM_NUMBER")
        self.seen: dict[str, Any] = {}
        self.owned: Any = None
        self._now = now or (lambda: datetime.now(UTC))

    def run(self) -> Iterator[Finding]:
        """Make every check in order. One that cannot be made yields a finding that says so."""
        checks = (
            ("app", self.health),
            ("inside", self.inside),
            ("timer", self.timer),
            ("number", self.account_and_number),
            ("webhooks", self.webhooks),
            ("signature", self.signatures),
            ("queues", self.queues),
            ("dead letters", lambda: recent_failures.dead_letters(self.api)),
            ("messages", lambda: recent_failures.messages(self.api, self._now())),
            ("calls", lambda: recent_failures.calls(self.api, self._now())),
        )
        for name, check in checks:
            try:
                yield from check()
            except OpsError as exc:
                yield Finding(name, "fail" if name in ("app", "number") else "unknown", str(exc))
                if name == "app":
                    return

    def health(self) -> Iterator[Finding]:
        """Does the app answer, has it all its settings, and does its clock agree with this machine's?"""
        asked = self._now()
        response = self.api.request("GET", "health")
        if response.status_code == 503:
            answer = response.json()
            wrong = [*answer["missing"], *answer["invalid"]]
            yield Finding(
                "settings",
                "fail",
                f"missing or wrong: {', '.join(wrong)}",
                "set them in .env"
                if self.deployment.is_local
                else "azd env set NAME VALUE, then azd provision",
            )
        elif response.status_code != 200:
            yield Finding(
                "app", "fail", f"/api/health answers {response.status_code}", "is it deployed? azd deploy"
            )
        elif without_effect := response.json().get("invalid"):
            text = f"without effect: {', '.join(without_effect)}"
            yield Finding("settings", "fail", text, "until then what it is for is refused; the rest works")
        else:
            yield Finding("settings", "ok", "it answers, and its settings are complete")
        yield from self._clock(response.headers.get("Date", ""), asked)

    def _clock(self, date: str, asked: datetime) -> Iterator[Finding]:
        try:
            theirs = parsedate_to_datetime(date)
        except ValueError:
            return
        skew = (theirs - asked).total_seconds()
        if abs(skew) > CLOCK_TOLERANCE:
            yield Finding(
                "clock",
                "fail",
                f"the app's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's",
                "set the clock that is wrong by NTP: messages leave by the app's, send_at is judged by it",
            )
        else:
            yield Finding("clock", "ok", "the app's clock agrees with this machine's")

    def inside(self) -> Iterator[Finding]:
        """What the app says of its own storage and Twilio account."""
        self.seen = self.api.get("diagnosis")
        seen, url = self.seen, self.deployment.url
        if seen["public_base_url"] == url:
            yield Finding("base URL", "ok", f"PUBLIC_BASE_URL is {url}")
        else:
            yield Finding(
                "base URL",
                "warn",
                f"PUBLIC_BASE_URL is {seen['public_base_url']}, and you reach it at {url}",
                "right for a tunnel or a custom domain; otherwise set PUBLIC_BASE_URL to what Twilio calls",
            )
        rights = "the app's identity needs Storage Blob Data Owner, Storage Queue and Table Data Contributor"
        for name, what in (("storage", "tables"), ("files", "blobs"), ("queues", "queues")):
            if name not in seen:
                yield Finding("storage", "unknown", f"{what}: the app is older than these commands")
            elif seen[name]:
                malformed = seen[name].startswith("AzureWebJobsStorage")
                mend = "set AzureWebJobsStorage anew" if malformed else f"{rights}: azd provision"
                yield Finding("storage", "fail", f"{what}: {seen[name]}", mend)
            else:
                yield Finding("storage", "ok", f"the app can reach its {what}")
        if seen["twilio"]:
            yield Finding(
                "Twilio",
                "fail",
                f"the app's credentials: {seen['twilio']}",
                "set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN (or the API key and its secret) anew",
            )
        else:
            yield Finding("Twilio", "ok", "Twilio takes the app's credentials")

    def timer(self) -> Iterator[Finding]:
        """Did the timer run when it was due?"""
        if not self.seen:
            yield Finding("timer", "unknown", "its heartbeat is shown by the app alone")
            return
        beat, now = self.seen["heartbeat"], datetime.fromisoformat(self.seen["at"])
        mend = "see the log of send_due_sms; restart the app"
        if beat is None:
            yield Finding("timer", "fail", "the timer has never run", mend)
            return
        at = due = datetime.fromisoformat(beat["at"])
        for _ in range(MISSED_TICKS):
            due = Schedule(self.seen["sms_schedule"]).after(due)
        if now > due:
            ago = (now - at).total_seconds()
            yield Finding("timer", "fail", f"the timer last ran {ago:.0f} s ago, at {beat['at']}", mend)
        elif "stopped" in beat["report"]:
            yield Finding(
                "timer", "fail", f"it ran at {beat['at']}, and: {beat['report']}", "see Twilio above"
            )
        else:
            yield Finding("timer", "ok", f"the timer ran at {beat['at']}: {beat['report']}")

    def account_and_number(self) -> Iterator[Finding]:
        """Do our credentials work, is the number ours, and what can it do?"""
        self.number = self.number or self.seen.get("from_number")
        if not self.number:
            raise OpsError("which number? Give --number, or set TWILIO_FROM_NUMBER")
        self.owned = Account(self.deployment).number(self.number)
        lacking = [name for name in ("voice", "sms") if not self.owned.capabilities.get(name)]
        if lacking:
            yield Finding("number", "warn", f"{self.number} has no {' and no '.join(lacking)}")
        else:
            yield Finding("number", "ok", f"{self.number} can take calls and texts")
        if self.owned.trunk_sid:
            yield Finding(
                "number",
                "fail",
                f"the SIP trunk {self.owned.trunk_sid} takes its calls",
                "remove the number from the trunk",
            )

    def webhooks(self) -> Iterator[Finding]:
        """Do the number's webhooks lead to this app, as `connect` sets them?"""
        if self.owned is None:
            yield Finding("webhooks", "unknown", "the number's webhooks cannot be seen")
            return
        base = self.seen.get("public_base_url", self.deployment.url)
        mend = f"python -m ops connect {self.number} --url {base}"
        wrong = differences("number", self.owned, wanted_for(self.owned, base))
        crucial = {"voice_url", "sms_url", "voice_application_sid", "sms_application_sid"}
        for change in wrong:
            same_but_for_retries = change.before.partition("#")[0] == change.after.partition("#")[0]
            elsewhere = change.name in crucial and not same_but_for_retries
            before = signature.masked(change.before) or "not set"
            yield Finding(
                "webhooks",
                "fail" if elsewhere else "warn",
                f"{change.name} is {before}, not {change.after}",
                mend,
            )
            if "code" in parse_qs(url_parts(change.before).query):
                yield Finding("webhooks", "fail", f"{change.name} carries ?code=", signature.MENDS["code"])
        taken = messaging_service.taken(Account(self.deployment), self.owned, base)
        if taken:
            yield Finding("webhooks", "fail", *taken)
        if not wrong and not taken:
            yield Finding(
                "webhooks", "ok", "calls, texts and statuses come here, with retries and a fallback"
            )

    def signatures(self) -> Iterator[Finding]:
        """Does the app accept a request that is signed as Twilio signs, at the URLs that Twilio has?"""
        if self.owned is None:
            yield Finding("signature", "unknown", "the number's webhooks cannot be seen")
            return
        probe = Probe(self.deployment, str(self.number), self.seen)
        for name in ("voice_url", "sms_url"):
            configured = getattr(self.owned, name)
            if configured:
                yield probe.look(name, configured.partition("#")[0])

    def queues(self) -> Iterator[Finding]:
        """How many messages wait, and how many lie in poison queues."""
        with self._queue_service() as service:
            try:
                names = [queue.name for queue in service.list_queues()]
                clients = {name: service.get_queue_client(name) for name in names}
                depths = {
                    name: client.get_queue_properties().approximate_message_count or 0
                    for name, client in clients.items()
                }
            except ClientAuthenticationError as exc:
                raise OpsError("queues are seen with `az login` or `azd auth login` alone") from exc
            except AzureError as exc:
                raise OpsError(f"the queues cannot be seen: {str(exc).partition('\n')[0]}") from exc
        waiting = ", ".join(f"{name} {depths.get(name, 0)}" for name in QUEUES)
        poisoned = {name: count for name, count in depths.items() if name.endswith("-poison") and count}
        if poisoned:
            yield Finding(
                "queues",
                "fail",
                f"given up, and not yet among the dead letters: {', '.join(poisoned)}",
                "a tick keeps them: see the log of send_due_sms",
            )
        most = max((depths.get(name, 0) for name in QUEUES), default=0)
        yield Finding("queues", "warn" if most > MANY else "ok", f"waiting: {waiting}")

    def _queue_service(self) -> QueueServiceClient:
        settings = self.deployment.settings
        connection = settings.get("AzureWebJobsStorage")
        if connection:
            try:
                check_connection(AZURITE if connection == "UseDevelopmentStorage=true" else connection)
            except Refused as exc:
                raise OpsError(f"the queues cannot be seen: {exc}") from exc
            return QueueServiceClient.from_connection_string(connection, retry_total=0)
        name = settings.get("AZURE_STORAGE_ACCOUNT_NAME")
        if not name:
            raise OpsError("queues are seen where azd deployed, or with AZURE_STORAGE_ACCOUNT_NAME set")
        return QueueServiceClient(
            f"https://{name}.queue.core.windows.net", credential=signed_in(), retry_total=1
        )
