"""The phone on the screen with the real app: worker library, front, emulator and page on one loop."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from local.host.worker import Worker
from local.phone.server import PhoneServer
from local.phone.transports import InProcess
from local.phone.walker import walk_twiml
from local.twilio import AUTH_TOKEN, NUMBER, Number, Options, Pace
from local.twilio.rest.server import EmulatorServer
from local.twilio.simulator import Simulator
from shared.services import Services
from tests.settings import settings

QUICK = 0.02  # the tempo of sound; waiting takes as long as in life


@dataclass
class Stage:
    """The parts that run. documents: TwiML by path, for paths that the app is not to answer."""

    simulator: Simulator
    phone: PhoneServer
    front: str
    documents: dict[str, str]

    @property
    def url(self) -> str:
        return self.phone.url

    @property
    def api(self) -> str:
        return self.simulator.base_url


@asynccontextmanager
async def set_up(worker: Worker, storage: str, **environ: str) -> AsyncIterator[Stage]:
    """Start all parts. environ: more settings for the app."""
    documents: dict[str, str] = {}
    app = InProcess(worker, asyncio.get_running_loop().run_until_complete)

    async def answer(request: web.Request) -> web.Response:
        if request.path in documents:
            return web.Response(text=documents[request.path], content_type="text/xml")
        body = await request.read()
        found = await app.invoke(request.method, f"{url}{request.raw_path}", dict(request.headers), body)
        kind = found.content_type.partition(";")[0] or None
        return web.Response(status=found.status, body=found.body, content_type=kind)

    front = web.Application()
    front.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(front, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    number = Number(
        voice_url=f"{url}/api/voice", sms_url=f"{url}/api/sms", status_callback=f"{url}/api/voice/status"
    )
    options = Options(numbers=(number,), pace=Pace(step=0.02, talk=0.1))
    server = EmulatorServer(Simulator(options, twiml=walk_twiml, tempo=QUICK))
    await server.start()
    phone = PhoneServer(server.simulator, 0)
    await phone.start()
    module: Any = sys.modules["function_app"]
    before = module.services
    module.services = Services(
        settings(
            PUBLIC_BASE_URL=url,
            TWILIO_BASE_URL=server.url,
            TWILIO_AUTH_TOKEN=AUTH_TOKEN,
            TWILIO_FROM_NUMBER=NUMBER,
            AzureWebJobsStorage=storage,
            **environ,
        )
    )
    try:
        yield Stage(server.simulator, phone, url, documents)
    finally:
        await module.services.close()
        module.services = before
        await phone.stop()
        await server.stop()
        await runner.cleanup()
