"""What a newcomer reads first: what runs where, and three commands to try."""

import json

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local.plan import Plan

_PERSON = "+12025550101"


def show(plan: Plan, console: Console) -> None:
    """Print it. The commands stand outside the frame, so that they can be copied whole."""
    where = Table.grid(padding=(0, 2))
    for name, address, note in _rows(plan):
        where.add_row(Text(name, style="bold"), Text(address, style="cyan"), Text(note, style="dim"))
    console.print()
    console.print(Panel(where, title="Switchboard is running", title_align="left", expand=False))
    if plan.keys:
        reason = plan.enforced_because or "of --auth"
        console.print(Text(f"Function keys are on, because {reason}:", style="bold"))
        console.print(f"  x-functions-key: {plan.keys.default}", highlight=False, soft_wrap=True)
        console.print(f"  master key:      {plan.keys.master}", highlight=False, soft_wrap=True)
    console.print(Text("\nTry it, in another terminal:", style="bold"))
    for title, command in commands(plan):
        console.print(Text(f"  # {title}", style="dim"))
        console.print(Text(f"  {command}"), soft_wrap=True)
    console.print(Text("\nCtrl-C stops everything.\n", style="dim"))


def _rows(plan: Plan) -> list[tuple[str, str, str]]:
    settings, storage = plan.settings, plan.storage
    host = "Core Tools (func start)" if plan.choices.func else "our host, Microsoft's worker library"
    rows = [("functions", plan.url, host)]
    if settings["PUBLIC_BASE_URL"] != plan.url:
        rows.append(("public", settings["PUBLIC_BASE_URL"], "where Twilio calls us"))
    if plan.is_real:
        rows.append(("Twilio", "https://api.twilio.com", f"the real one, {settings['TWILIO_ACCOUNT_SID']}"))
    else:
        rows.append(("Twilio", plan.twilio_url, "our double: messages, calls and webhooks on a page"))
    rows.append(("storage", f"127.0.0.1:{storage.blob}-{storage.table}", "Azurite: blob, queue, table"))
    rows.append(("number", settings["TWILIO_FROM_NUMBER"], "ours; people are +12025550101 to 0199"))
    rows.append(("data", str(plan.choices.data), "kept between runs"))
    return rows


def commands(plan: Plan) -> list[tuple[str, str]]:
    """(what it does, the command line) of each."""
    key = f" -H 'x-functions-key: {plan.keys.default}'" if plan.keys else ""
    json_type = "-H 'Content-Type: application/json'"
    data = "" if str(plan.choices.data).endswith(".local") else f" --data {plan.choices.data}"
    inbound = {"from": _PERSON, "to": plan.settings["TWILIO_FROM_NUMBER"], "body": "HELP"}
    texted = (
        (
            "a text comes in, and is answered",
            f"curl -s {plan.twilio_url}/double/inbound/message {json_type} -d '{json.dumps(inbound)}'",
        )
        if not plan.is_real
        else (
            "a text comes in, signed as Twilio would",
            f"{_python()} -m local{data} twiml /api/sms From={_PERSON} Body=HELP",
        )
    )
    # The shell fills the time in: what is due now goes out with the timer's next tick.
    scheduled = (
        f"curl -s {plan.url}/api/messages {json_type}{key} "
        f'-d \'{{"to": "{_PERSON}", "body": "Hello", "send_at": "\'$(date -u +%Y-%m-%dT%H:%M:%SZ)\'"}}\''
    )
    queued = f"{_python()} -m local{data} queue-call {_PERSON} --say 'Hello from the queue'"
    return [
        texted,
        ("a scheduled SMS, sent by the timer", scheduled),
        ("a message on the queue places a call", queued),
    ]


def _python() -> str:
    return ".venv/bin/python"
