"""`make demo`: plays the main job on real input against the laptop edition, and shows what happens."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout
from rich.console import Console
from rich.table import Table

from local import commands
from local.launcher import ports
from local.launcher.processes import WATCHDOG
from local.launcher.running_env import NotRunning, Running
from shared.config import Settings, is_loopback

PERSON, SOMEBODY = "+12025550101", "+12025550102"
LONGEST_WAIT = 60
"""Seconds to wait for any one event; the whole demo takes less than 30."""

FAILED = {"failed", "undelivered", "unresolved", "canceled", "held", "busy", "no-answer"}


class DemoFailed(Exception):
    """Something did not happen as expected. The message says what."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """One thing that was expected to happen. sid: Twilio's SID, or another proof."""

    what: str
    came: str
    sid: str
    ok: bool


async def play(data: Path, console: Console) -> int:
    """Play everything. Returns 0, or 1 if something did not happen as expected."""
    async with _laptop_edition(data, console) as running, ClientSession(timeout=ClientTimeout(30)) as http:
        stage = _Stage(running, http, console)
        started = time.monotonic()
        outcomes = [await stage.tried(each) for each in (stage.text, stage.call, stage.forgery, stage.sms)]
        table = Table("", "what", "what came of it", title="What happened")
        table.add_column("SID", no_wrap=True, min_width=34)
        for each in outcomes:
            table.add_row("[green]ok" if each.ok else "[red]FAILED", each.what, each.came, each.sid)
        console.print(table)
        console.print(f"in {time.monotonic() - started:.0f} seconds")
        return 0 if all(each.ok for each in outcomes) else 1


class _Stage:
    def __init__(self, running: Running, http: ClientSession, console: Console) -> None:
        self.twilio = running.settings.get("TWILIO_BASE_URL", "")
        if not self.twilio or not is_loopback(self.twilio):
            raise DemoFailed("the demo needs the emulator as Twilio: take your account out of .env first")
        self._running, self._http, self._console = running, http, console
        self._number = running.settings["TWILIO_FROM_NUMBER"]

    async def tried(self, act: Callable[[], Awaitable[DemoResult]]) -> DemoResult:
        self._console.rule(str(act.__doc__), align="left")
        try:
            return await act()
        except (DemoFailed, commands.CommandFailed, OSError, TimeoutError) as exc:
            self._say(f"[red]{exc or type(exc).__name__}")
            return DemoResult(str(act.__doc__), str(exc) or type(exc).__name__, "", ok=False)

    async def text(self) -> DemoResult:
        """A text comes in, and is answered"""
        self._say(f"{PERSON} texts HELP to {self._number}; Twilio signs and calls /api/sms")
        sent = {"from": PERSON, "to": self._number, "body": "HELP"}
        answer = await self._ask("POST", f"{self.twilio}/emulator/inbound/message", json=sent)
        if answer["status"] != 200 or not answer["replies"]:
            raise DemoFailed(f"the webhook answered {answer['status']}")
        self._say(f"TwiML: {answer['twiml']}", style="dim")
        return DemoResult("a text is answered", "200, TwiML", answer["replies"][0], ok=True)

    async def call(self) -> DemoResult:
        """A message on the queue makes a phone ring"""
        queued = await asyncio.to_thread(
            commands.queue_call, self._running, SOMEBODY, say="Hello from the queue", url=None, twiml=None
        )
        self._say(f"azure-storage-queue put JSON onto outbound-calls, as message {queued}")
        call = await self._until("calls", queued, {"completed"})
        await self._in_ledger("calls", call["sid"])
        return DemoResult("a queued call rings", call["state"], call["sid"], ok=True)

    async def forgery(self) -> DemoResult:
        """A forged webhook is refused"""
        before = len((await self._ledger())["messages"])
        headers = {"X-Twilio-Signature": "Zm9yZ2VkIHNpZ25hdHVyZQ=="}
        form = {"From": PERSON, "To": self._number, "Body": "STOP", "AccountSid": "AC" + "0" * 32}
        url = f"{self._running.url}/api/sms"
        async with self._http.post(url, data=form, headers=headers) as answer:
            status, body = answer.status, await answer.text()
        self._say(f"POST /api/sms with a signature of somebody's own: {status}")
        after = len((await self._ledger())["messages"])
        ok = status == 403 and not body and before == after
        return DemoResult("a forged webhook is refused", f"{status}, no effect", "none", ok=ok)

    async def sms(self) -> DemoResult:
        """An SMS is scheduled, and the timer sends it"""
        due = datetime.now(UTC) + timedelta(seconds=3)
        request = {"to": PERSON, "body": "Your table is ready", "send_at": due.isoformat()}
        made = await self._ask("POST", self._api("messages"), json=request, headers=self._key)
        self._say(f"scheduled for {due:%H:%M:%S} UTC as {made['id']}; now the timer has to come by")
        message = await self._until("messages", made["id"], {"delivered"})
        if message["posted_at"] < message["send_at"]:
            raise DemoFailed("it was sent before its time")
        await self._in_ledger("messages", message["sid"])
        return DemoResult("a scheduled SMS is sent", message["state"], message["sid"], ok=True)

    def _api(self, path: str) -> str:
        return f"{self._running.url}/api/{path}"

    @property
    def _key(self) -> dict[str, str]:
        return {"x-functions-key": self._running.key} if self._running.key else {}

    async def _ledger(self) -> Any:
        return await self._ask("GET", f"{self.twilio}/emulator/ledger")

    async def _in_ledger(self, kind: str, sid: str) -> None:
        """Check that Twilio has this SID exactly once."""
        count = sum(each["sid"] == sid for each in (await self._ledger())[kind])
        if count != 1:
            raise DemoFailed(f"{sid} is in Twilio's ledger {count} times")

    async def _until(self, kind: str, row_id: str, states: set[str]) -> Any:
        shown = ""
        async with asyncio.timeout(LONGEST_WAIT):
            while True:
                async with self._http.get(self._api(f"{kind}/{row_id}"), headers=self._key) as answer:
                    row = await answer.json() if answer.status == 200 else {"state": "on the queue"}
                if row["state"] != shown:
                    shown = row["state"]
                    self._say(f"{shown} {row.get('sid') or ''}")
                if shown in states:
                    return row
                if shown in FAILED:
                    raise DemoFailed(f"it is {shown}: {row.get('reason')}")
                await asyncio.sleep(0.2)

    async def _ask(self, method: str, url: str, **options: Any) -> Any:
        async with self._http.request(method, url, **options) as answer:
            if answer.status >= 400:
                raise DemoFailed(f"{url} answered {answer.status}: {(await answer.text())[:300]}")
            return await answer.json()

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(f"  {text}", style=style, highlight=False)


@asynccontextmanager
async def _laptop_edition(data: Path, console: Console) -> AsyncIterator[Running]:
    """The laptop edition that is running, or one that is started on free ports and ends with the demo."""
    try:
        running = Running.read(data)
    except NotRunning:
        console.print("The laptop edition is not running: one is started for the demo.")
    else:
        yield running
        return
    with tempfile.TemporaryDirectory() as folder:
        host, twilio, phone = ports.free_ports(3)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(WATCHDOG), sys.executable, "-m", "local"),
            *("--data", folder, "--port", str(host)),
            *("--twilio-port", str(twilio), "--storage-port", str(ports.free_port_run(3))),
            env={
                # The demo uses the well-known account, whatever account the environment of this shell names.
                **{name: value for name, value in os.environ.items() if name not in Settings.names()},
                "PYTHON_DOTENV_DISABLED": "1",
                "SWITCHBOARD_PHONE_PORT": str(phone),
                "SMS_SCHEDULE": "*/5 * * * * *",
            },
            # When the demo ends, this pipe closes, and the watchdog ends the edition.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield await _started(process, Path(folder))
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _started(process: asyncio.subprocess.Process, folder: Path) -> Running:
    async with asyncio.timeout(LONGEST_WAIT), ClientSession() as http:
        while process.returncode is None:
            try:
                running = Running.read(folder)
                async with http.get(f"{running.url}/api/health") as answer:
                    if answer.status == 200:
                        return running
            except (NotRunning, OSError):
                pass
            await asyncio.sleep(0.2)
    raise DemoFailed("the laptop edition did not start: run `make start` to see why")
