"""The real app over HTTP in this process, and the ops commands against it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from typer.testing import CliRunner, Result
from yarl import URL

from local.host import settings as host_json
from local.host.access import Gate, Keys
from local.host.invoker import Invoker
from local.host.server import Server
from local.host.storage import QueueStorage
from local.host.triggers import describe
from local.host.worker import Worker
from local.twilio import NUMBER, Emulator, MessagingService
from local.twilio.model.options import Number, Options, Pace
from ops import client, console
from ops.commands import app
from shared.services import Services
from tests.calling import settings_with

ROOT = Path(__file__).parent.parent.parent
KEY = "a-function-key"
Run = Callable[..., Awaitable[Result]]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees a laptop edition that a developer runs, nor what they have deployed."""
    monkeypatch.setattr(client, "ROOT", tmp_path)
    monkeypatch.setattr(console.console, "_width", 200)  # whatever COLUMNS was when it was made
    for name in list(os.environ):
        if name.startswith(("SWITCHBOARD_", "AZURE_")):
            monkeypatch.delenv(name)


def running_services() -> Services:
    """What the indexed app works with."""
    services: Services = sys.modules["function_app"].services
    return services


@asynccontextmanager
async def listening(application: web.Application) -> AsyncIterator[str]:
    """The origin that it is served at."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://localhost:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest_asyncio.fixture(scope="session")
async def served(worker: Worker) -> AsyncIterator[str]:
    """The origin of the real app, with function keys enforced. Its PUBLIC_BASE_URL is another one."""
    settings = host_json.read(ROOT, os.environ)
    described = describe(worker.functions, settings.http.route_prefix, os.environ)
    storage = QueueStorage(os.environ, settings.queues.message_encoding)
    gate = Gate(Keys("a-master-key", KEY), enforced=True)
    server = Server(described, Invoker(worker, described, storage), gate, settings.http)
    async with listening(server.application()) as origin:
        yield origin
    await storage.close()


@pytest.fixture
def public(served: str) -> Iterator[str]:
    """The same, where Twilio is told that it is."""
    with settings_with(PUBLIC_BASE_URL=served):
        yield served


@pytest.fixture
def ops(served: str, emulator: Emulator) -> Run:
    """Run a command against the app, with the laptop edition's account; keywords are more environment."""

    async def run(*arguments: str, **environ: str) -> Result:
        known = {
            "SWITCHBOARD_URL": served,
            "SWITCHBOARD_KEY": KEY,
            "TWILIO_BASE_URL": emulator.url,
            "COLUMNS": "200",
            **environ,
        }
        return await asyncio.to_thread(lambda: CliRunner().invoke(app, arguments, env=known))

    return run


Rewrite = Callable[[web.Request], str]


@pytest_asyncio.fixture
async def proxy(served: str) -> AsyncIterator[Callable[[Rewrite], str]]:
    """A proxy in front of the app that passes each request on to another path and query; its origin."""
    rewriting: list[Rewrite] = []

    async def forward(request: web.Request) -> web.Response:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")}
        target = served + rewriting[-1](request)
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, URL(target, encoded=True), data=await request.read(), headers=headers
            ) as answer,
        ):
            body = await answer.read()
            return web.Response(status=answer.status, body=body, content_type=answer.content_type)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", forward)
    async with listening(application) as origin:

        def start(rewrite: Rewrite) -> str:
            rewriting.append(rewrite)
            return origin

        yield start


@pytest.fixture
def without_from_number(public: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The app as it is deployed before all its settings are."""
    assert public
    services = running_services()
    before = services.__dict__.pop("settings", None)
    monkeypatch.delenv("TWILIO_FROM_NUMBER")
    yield
    if before:
        services.settings = before


Answer = Callable[[web.Request], web.Response | None]
Ahead = Callable[[Answer], str]
LOST = 599
"""Of an answer that a test gives: it never comes, and the emulator has done what was asked."""


@pytest_asyncio.fixture
async def ahead(emulator: Emulator) -> AsyncIterator[Ahead]:
    """Twilio with trouble: its origin. What a test's function does not answer itself goes to the emulator."""
    answering: list[Answer] = []

    async def forward(request: web.Request) -> web.Response:
        body, answer = await request.read(), answering[-1](request)
        if answer is not None and answer.status != LOST:
            return answer
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")}
        target = URL(emulator.url + request.raw_path, encoded=True)
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, target, data=body, headers=headers) as real,
        ):
            given = await real.read()
        if answer is not None and request.transport is not None:
            request.transport.abort()
        return web.Response(status=real.status, body=given, content_type=real.content_type)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", forward)
    async with listening(application) as origin:

        def start(answer: Answer) -> str:
            answering.append(answer)
            return origin

        yield start


OTHER = "+12025550150"
SERVICE = "MG" + "1" * 32


def in_a_service(emulator: Emulator, **values: Any) -> None:
    """The number is in the sender pool of this service; another number in that of another one."""
    other = MessagingService(
        sid="MG" + "2" * 32,
        senders=(OTHER,),
        inbound_request_url="https://other.example.com/",
        use_inbound_webhook_on_number=False,
    )
    one = MessagingService(sid=SERVICE, friendly_name="Shop", senders=(NUMBER,), **values)
    numbers = (Number(), Number(phone_number=OTHER))
    emulator.reset(Options(numbers=numbers, messaging_services=(other, one), pace=Pace(step=0.01)))
