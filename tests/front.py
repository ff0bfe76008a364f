"""Where Twilio reaches the app in a test: an HTTP server on this event loop that hands its requests over."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import azure.functions as func
from aiohttp import web

type Answer = func.HttpResponse
type Handler = Callable[[func.HttpRequest], Awaitable[Answer]]


@dataclass
class Front:
    """url: for PUBLIC_BASE_URL. handle: what answers; until a test sets it, everything is 204.

    requests: every request, in the order they came.
    """

    url: str
    handle: Handler | None = None
    requests: list[func.HttpRequest] = field(default_factory=list)

    def reset(self) -> None:
        self.handle = None
        self.requests.clear()

    async def _answer(self, request: web.Request) -> web.Response:
        given = func.HttpRequest(
            method=request.method,
            url=f"{self.url}{request.raw_path}",
            headers=dict(request.headers),
            params=dict(request.query),
            body=await request.read(),
        )
        self.requests.append(given)
        if self.handle is None:
            return web.Response(status=204)
        answer = await self.handle(given)
        return web.Response(status=answer.status_code, body=answer.get_body(), content_type=answer.mimetype)


@asynccontextmanager
async def running_front() -> AsyncIterator[Front]:
    front = Front("")
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", front._answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    front.url = f"http://{host}:{port}"
    yield front
    await runner.cleanup()
