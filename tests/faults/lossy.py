"""Table storage behind a wire that loses answers: the write has landed, the connection breaks."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL

from tests.azurite import Azurite

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host"}


@dataclass
class Lossy:
    """loses: asked for each write that has landed (its number, from 1): is its answer lost?"""

    account: str
    loses: Callable[[int], bool] = lambda _: False
    writes: int = 0
    lost: int = 0
    _real: str = ""
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    def reset(self, loses: Callable[[int], bool]) -> None:
        self.loses, self.writes, self.lost = loses, 0, 0

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        assert self._session
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        url = URL(self._real + request.raw_path, encoded=True)
        body = await request.read()
        async with self._session.request(
            request.method, url, data=body or None, headers=headers, skip_auto_headers=["Content-Type"]
        ) as answer:
            content = await answer.read()
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
        if request.method != "GET" and answer.status < 300 and b"412 Precondition" not in content:
            self.writes += 1
            if self.loses(self.writes) and request.transport:
                self.lost += 1
                request.transport.abort()
        return web.Response(status=answer.status, headers=kept, body=content)


@asynccontextmanager
async def lossy_storage(azurite: Azurite) -> AsyncIterator[Lossy]:
    """`account`: a connection string whose tables are behind such a wire."""
    account = azurite.fresh_account()
    real = f"http://127.0.0.1:{azurite.ports.table}"
    app = web.Application(client_max_size=8 * 2**20)
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        lossy = Lossy("", _real=real, _session=session)
        app.router.add_route("*", "/{path:.*}", lossy._pass_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        lossy.account = account.replace(f":{azurite.ports.table}/", f":{port}/")
        yield lossy
        await runner.cleanup()
