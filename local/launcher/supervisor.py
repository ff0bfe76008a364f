"""`python -m local`: starts storage, Twilio and the Functions host, shows what runs, and stops everything."""

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.text import Text

from local.host import core_tools
from local.launcher import azurite, banner, ports, running_env
from local.launcher.plan import CannotStart, Choices, LaunchPlan, check_ports, make_plan
from local.launcher.processes import Part, PartFailed, Parts
from shared.config import Settings, is_loopback

_READY_SECONDS = 60.0
_ROOT = Path(__file__).parents[2]
_AZURITE_CHATTER = re.compile(r"Azurite \w+ service (?:is|successfully) ")
_COLOURS = {"storage": "blue", "twilio": "magenta", "host": "cyan"}


async def supervise(choices: Choices, console: Console) -> int:
    """Run until SIGINT or SIGTERM (0), or until a part fails (1). Raises CannotStart before anything runs."""
    plan = make_plan(choices)
    check_ports(plan)
    parts = _parts(plan, console)
    stop = asyncio.Event()
    output = _Output(console)
    running = Parts(output.line)

    def asked_to_stop() -> None:
        if stop.is_set():
            running.kill()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, asked_to_stop)
    try:
        with console.status("Starting " + ", ".join(part.name for part in parts)):
            if not await _unless(stop, running.start(parts, _READY_SECONDS)):
                return 0
            plan = await _with_core_tools_keys(plan)
        running_env.write(plan)
        output.release()
        banner.show(plan, console)
        failed = asyncio.ensure_future(running.failed())
        if await _unless(stop, failed):
            raise failed.result()
    except PartFailed as exc:
        output.drop()
        console.print(Text(f"{exc.name} {exc.problem}; its last lines:", style="bold red"))
        for line in exc.lines or ("(none)",):
            console.print(Text.from_ansi(f"  {line}"), soft_wrap=True)
        return 1
    finally:
        console.print(Text("stopping", style="dim"))
        running_env.forget(plan)
        await running.stop()
    return 0


async def _with_core_tools_keys(plan: LaunchPlan) -> LaunchPlan:
    """The plan with the keys of Core Tools, if they are the host: they do not know ours."""
    if not (plan.keys and plan.choices.func):
        return plan
    try:
        keys = await core_tools.first_keys(plan.url, plan.settings["AzureWebJobsStorage"])
    except core_tools.NoKeys as exc:
        raise PartFailed("host", f"keeps its function keys to itself: {exc}", ()) from exc
    return replace(plan, keys=keys)


async def _unless(stop: asyncio.Event, work: Awaitable[object]) -> bool:
    """Do the work. Returns whether it came to its end before a stop was asked for. Raises what it raises."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        task.result()
        return True
    task.cancel()
    await asyncio.wait([task])
    return False


class _Output:
    """Shows the lines that parts print, after the part's name. Lines are held back while the parts start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._held: list[tuple[str, str]] | None = []

    def line(self, name: str, text: str) -> None:
        if self._held is not None:
            self._held.append((name, text))
            return
        prefix = (f"{name:<8}", _COLOURS.get(name, ""))
        self._console.print(Text.assemble(prefix, Text.from_ansi(text)), soft_wrap=True)

    def release(self) -> None:
        held, self._held = self._held or [], None
        for name, text in held:
            self.line(name, text)

    def drop(self) -> None:
        """Drop the lines that were held back."""
        self._held = None


def _parts(plan: LaunchPlan, console: Console) -> list[Part]:
    """The parts in the order of starting. They are stopped in the reverse order."""
    base = {
        name: value
        for name, value in os.environ.items()
        if name not in Settings.names() and not name.startswith("SWITCHBOARD_")
    }
    base["PYTHONUNBUFFERED"] = "1"
    if console.is_terminal and not os.environ.get("NO_COLOR"):
        base["FORCE_COLOR"] = "1"
    twilio = [] if plan.is_real else [_twilio(plan, base)]
    return [_storage(plan, base), *twilio, _host(plan, base)]


def _storage(plan: LaunchPlan, base: Mapping[str, str]) -> Part:
    if not shutil.which("node") or not azurite.PROGRAM.exists():
        raise CannotStart("Azurite is not installed: `make setup` does it, and needs Node 20 or later")
    folder = plan.choices.data / "azurite"
    folder.mkdir(parents=True, exist_ok=True)

    async def ready() -> None:
        await asyncio.gather(*(ports.listening(port) for port in plan.storage.all()))

    environ = {**base, "AZURITE_ACCOUNTS": azurite.accounts([azurite.ACCOUNT], plan.storage_key)}
    return Part("storage", azurite.command(plan.storage, folder), environ, folder, ready, _AZURITE_CHATTER)


def _twilio(plan: LaunchPlan, base: Mapping[str, str]) -> Part:
    settings, public = plan.settings, plan.settings["PUBLIC_BASE_URL"]
    secrets = ("TWILIO_AUTH_TOKEN", "TWILIO_API_KEY", "TWILIO_API_SECRET")
    optional = {
        "--messaging-service": settings.get("TWILIO_MESSAGING_SERVICE_SID"),
        "--twiml-app": settings.get("TWILIO_TWIML_APP_SID"),
        "--allow-host": None if is_loopback(public) else public.partition("://")[2].partition(":")[0],
    }
    command = [
        *(sys.executable, "-m", "local.emulator", "--port", str(plan.choices.twilio_port)),
        *("--phone-port", str(plan.choices.phone_port)),
        *("--account-sid", settings["TWILIO_ACCOUNT_SID"], "--number", settings["TWILIO_FROM_NUMBER"]),
        *("--voice-url", f"{public}/api/voice", "--sms-url", f"{public}/api/sms"),
        *("--status-callback", f"{public}/api/voice/status"),
        *(word for option, value in optional.items() if value for word in (option, value)),
    ]
    environ = {**base, **{name: settings[name] for name in secrets if name in settings}}

    async def ready() -> None:
        await _answers(f"{plan.twilio_url}/emulator/health")
        await _answers(f"{plan.phone_url}/health")

    return Part("twilio", command, environ, _ROOT, ready)


def _host(plan: LaunchPlan, base: Mapping[str, str]) -> Part:
    choices = plan.choices
    environ = {**base, **plan.given, "FUNCTIONS_WORKER_RUNTIME": "python"}
    folder = choices.app_dir if choices.func else _ROOT
    if choices.func:
        environ |= core_tools.ENVIRON
        command = _core_tools(plan)
    else:
        command = [
            *(sys.executable, "-m", "local.host", "--app-dir", str(choices.app_dir)),
            *("--port", str(choices.port), "--data", str(choices.data / "host")),
            *(["--auth"] if plan.keys else []),
        ]
    url = f"http://127.0.0.1:{choices.port}/api/health"
    return Part("host", command, environ, folder, lambda: _answers(url))


def _core_tools(plan: LaunchPlan) -> list[str]:
    program = shutil.which("func")
    if not program:
        raise CannotStart(
            "--func needs Azure Functions Core Tools (`func`) on PATH; leave it out to use our host"
        )
    return [program, "start", "--port", str(plan.choices.port), *(["--enableAuth"] if plan.keys else [])]


async def _answers(url: str) -> None:
    """Return once this URL answers 200."""
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.1)
