"""The emulator's HTTP server: one loopback port for the REST API, the control API and the inspector."""

import asyncio
from importlib.resources import files

from aiohttp import web
from aiohttp.typedefs import Handler

from local.twilio.rest import control, routes
from local.twilio.rest.api import SIMULATOR
from local.twilio.simulator import Simulator

_PAGE = {
    "": ("index.html", "text/html"),
    "inspector.css": ("inspector.css", "text/css"),
    "inspector.js": ("inspector.js", "text/javascript"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _hosts(port: int) -> frozenset[str]:
    return frozenset(f"{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]"))


@web.middleware
async def only_from_here(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a Host that is not this machine (DNS rebinding), and requests of pages from other origins."""
    socket = request.transport.get_extra_info("sockname") if request.transport else None
    allowed = _hosts(socket[1]) if socket else frozenset()
    if request.host not in allowed:
        return web.json_response({"error": "Host: must be 127.0.0.1 or localhost with this port"}, status=421)
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    foreign = origin is not None and origin.removeprefix("http://") not in allowed
    if foreign or site not in {"none", "same-origin"}:
        return web.json_response({"error": "Origin: other sites may not ask the emulator"}, status=403)
    return await handler(request)


async def _page(request: web.Request) -> web.Response:
    name, content_type = _PAGE[request.match_info.get("file", "")]
    text = files("local.twilio").joinpath("inspector", name).read_text("utf-8")
    headers = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return web.Response(text=text, content_type=content_type, headers=headers)


class EmulatorServer:
    """Serves one Simulator on 127.0.0.1. Start and stop it on the simulator's loop; `start` sets `port`."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.port = simulator.options.port
        app = web.Application(middlewares=[only_from_here], client_max_size=16 * 2**20)
        app[SIMULATOR] = simulator
        app[control.GOES_AWAY] = self._go_away
        app.add_routes(routes.routes())
        app.add_routes(control.routes())
        app.add_routes([web.get("/", _page), web.get("/{file:inspector\\.(?:css|js)}", _page)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, keepalive_timeout=75)
        self._site: web.TCPSite | None = None
        self._background: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        await self.simulator.open()
        await self._runner.setup()
        try:
            await self.listen()
        except OSError:
            await self.stop()
            raise
        self.simulator.base_url = self.url

    async def listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await self._site.start()
        if not self.port:
            self.port = self._runner.addresses[0][1]

    async def leave(self) -> None:
        """Close all connections and refuse new ones, until `listen`."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
        if self._runner.server is not None:
            # Not 0: for aiohttp that means no limit.
            await self._runner.server.shutdown(0.05)

    def _go_away(self, seconds: float) -> None:
        task = asyncio.get_running_loop().create_task(self._away(seconds))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _away(self, seconds: float) -> None:
        await asyncio.sleep(0.05)
        await self.leave()
        await asyncio.sleep(seconds)
        await self.listen()

    async def stop(self) -> None:
        for task in self._background:
            task.cancel()
        await self.simulator.close()
        await self._runner.cleanup()
