"""The text that `make start` shows when all parts run: what runs where, and three commands to try."""

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local.launcher.plan import LaunchPlan

_PERSON = "+12025550101"


def show(plan: LaunchPlan, console: Console) -> None:
    """Print the banner. The commands are outside the frame, so that a person can copy whole lines."""
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


def _rows(plan: LaunchPlan) -> list[tuple[str, str, str]]:
    settings, storage = plan.settings, plan.storage
    host = "Core Tools (func start)" if plan.choices.func else "our host, Microsoft's worker library"
    rows = [("functions", plan.url, host)]
    if settings["PUBLIC_BASE_URL"] != plan.url:
        rows.append(("public", settings["PUBLIC_BASE_URL"], "where Twilio calls us"))
    if plan.is_real:
        rows.append(("Twilio", "https://api.twilio.com", f"the real one, {settings['TWILIO_ACCOUNT_SID']}"))
    else:
        rows.append(("Twilio", plan.twilio_url, "our emulator, with a page that shows all it does"))
        rows.append(("phone", plan.phone_url, "handsets on the screen"))
    rows.append(("storage", f"127.0.0.1:{storage.blob}-{storage.table}", "Azurite: blob, queue, table"))
    rows.append(("number", settings["TWILIO_FROM_NUMBER"], "ours; people are +12025550101 to 0199"))
    rows.append(("data", str(plan.choices.data), "kept between runs"))
    return rows


def commands(plan: LaunchPlan) -> list[tuple[str, str]]:
    """The commands to try: what each does, and its command line."""
    data = "" if plan.choices.data == Path(".local").resolve() else f" --data {plan.choices.data}"
    local = f"{_python()} -m local{data}"
    # The numbers of the laptop edition are fictional: the real Twilio would refuse them.
    person = "YOUR_NUMBER" if plan.is_real else _PERSON
    inbound = {"from": person, "to": plan.settings["TWILIO_FROM_NUMBER"], "body": "HELP"}
    texted = (
        f"{local} twiml /api/sms From={person} Body=HELP"
        if plan.is_real
        else f"curl -s {plan.twilio_url}/emulator/inbound/message"
        f" -H 'Content-Type: application/json' -d '{json.dumps(inbound)}'"
    )
    return [
        ("a text comes in, and is answered", texted),
        ("an SMS 10 seconds ahead; the timer sends it", f"{local} schedule {person} 'Your table is ready'"),
        ("a message on the queue places a call", f"{local} queue-call {person} --say 'Hello from the queue'"),
    ]


def _python() -> str:
    """The Python program, as a person types it from the current folder."""
    program = Path(sys.executable)
    here = Path.cwd()
    return str(program.relative_to(here)) if program.is_relative_to(here) else str(program)
