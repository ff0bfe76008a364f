"""The phone on the screen: its page, and the WebSocket to each open page.

It listens on one loopback port of the emulator's process. A page opens handsets by address. While it has one
open, calls to that address ring on the screen and no robot answers them.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from importlib.resources import files

from aiohttp import WSMsgType, web

from local.phone import views
from local.phone.open_page import OpenPage, PageError, PageMessage, address_field, text_field
from local.twilio.carrier.exchange.events import Event
from local.twilio.carrier.exchange.exchange import Exchange
from local.twilio.carrier.exchange.leg import Leg
from local.twilio.carrier.exchange.signals import Pickup
from local.twilio.model.account import InboundError
from local.twilio.model.errors import ApiError
from local.twilio.model.options import is_allowed
from local.twilio.rest.server import only_from_here
from local.twilio.simulator import Simulator

log = logging.getLogger("local.phone")

_PAGE = {
    "": ("index.html", "text/html"),
    "phone.css": ("phone.css", "text/css"),
    **{
        name: (name, "text/javascript")
        for name in ("main.js", "handset.js", "requests.js", "sound.js", "link.js")
    },
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " media-src http://127.0.0.1:* http://localhost:*; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_SHOWN = 200  # requests, and texts of one person, that are sent to a page when it opens
_LINES = 500  # events of one call that are kept for pages that open later
_LOOK = 0.2  # seconds from one check for new requests and texts to the next
_GRACE = 5.0  # seconds that a reloaded page has to open its handsets again
_LONGEST = 16_384  # bytes of the longest message from a page


class PhoneServer:
    """Serves the phone of a simulator that walks TwiML.

    Start and stop it on the simulator's loop. port: 0 takes a free one, which `start` sets.
    """

    def __init__(self, simulator: Simulator, port: int = 7070) -> None:
        self.simulator = simulator
        self.live_calls = simulator.live_calls
        self.port = port
        self._pages: set[OpenPage] = set()
        self._lines: dict[str, list[PageMessage]] = defaultdict(list)
        self.live_calls.listeners.append(self._happened)
        self.live_calls.on_clear = self._begin_anew
        app = web.Application(middlewares=[only_from_here])
        app.add_routes(
            [
                web.get("/", _page),
                web.get("/health", self._health),
                web.get("/line", self._line),
                web.get("/{file:[a-z]+\\.(?:css|js)}", _page),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        self._leaving: dict[str, asyncio.TimerHandle] = {}
        self._looking: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]
        self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        if self._looking:
            self._looking.cancel()
        for page in list(self._pages):
            await page.socket.close()
        for leaving in self._leaving.values():
            leaving.cancel()
        await self._runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    # What is sent to pages

    def _happened(self, event: Event) -> None:
        exchange = self.live_calls.exchange
        line = views.event(event, exchange.epoch)
        if line is None:
            return
        lines = self._lines[event.call_sid]
        lines.append(line)
        del lines[:-_LINES]
        leg = exchange.legs[event.call_sid]
        for page in self._pages:
            page.tell({"type": "event", "event": line, "state": views.call(leg, exchange.epoch)})

    def _begin_anew(self) -> None:
        """The emulator was reset: tell every page that there is no call and no text."""
        self._lines.clear()
        for page in self._pages:
            page.forget()
            page.tell(self._hello())

    async def _look(self) -> None:
        """Tell every page of new requests and texts."""
        seen = -1
        while True:
            await asyncio.sleep(_LOOK)
            if self.simulator.revision != seen:
                seen = self.simulator.revision
                for page in self._pages:
                    self.bring_up_to_date(page)

    def bring_up_to_date(self, page: OpenPage) -> None:
        recent = list(self.simulator.webhooks.deliveries)[-_SHOWN:]
        states = {each.number: (each.status, each.error_code) for each in recent}
        news = [each for each in recent if page.requests.get(each.number) != states[each.number]]
        if news:
            page.requests |= states
            shown = [views.request(each, self.live_calls.notices.get(each.number, ())) for each in news]
            page.tell({"type": "requests", "requests": shown})
        texts: list[PageMessage] = []
        for message in self.simulator.messages.newest():
            if len(texts) >= _SHOWN:
                break
            shown_text = views.text(message)
            state = (message.status, message.error_code)
            if shown_text["person"] in page.handsets and page.texts.get(message.sid) != state:
                page.texts[message.sid] = state
                texts.append(shown_text)
        if texts:
            page.tell({"type": "texts", "texts": texts[::-1]})

    def _hello(self) -> PageMessage:
        account = self.simulator.account
        return {
            "type": "hello",
            "account_sid": account.sid,
            "numbers": [each.phone_number for each in account.numbers.values()],
            "robot_after": self.simulator.pace.step,
        }

    # What comes from pages

    async def _line(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=20, max_msg_size=_LONGEST)
        await socket.prepare(request)
        page = OpenPage(socket)
        self._pages.add(page)
        page.tell(self._hello())
        self.bring_up_to_date(page)
        sending = asyncio.create_task(page.send_all())
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._hear(page, message.data)
        finally:
            sending.cancel()
            self._pages.discard(page)
            for address in page.handsets:
                self._release(address)
        return socket

    async def _hear(self, page: OpenPage, data: str) -> None:
        try:
            said = json.loads(data)
            if not isinstance(said, dict):
                raise PageError("a page must send JSON objects")
            action = _ACTIONS.get(text_field(said, "do"))
            if action is None:
                raise PageError(f"do: must be one of {', '.join(sorted(_ACTIONS))}")
        except (PageError, json.JSONDecodeError) as exc:
            page.tell({"type": "refused", "problem": str(exc)})
            return
        attempt = self._attempt(page, action, said)
        if action in {PhoneServer._call, PhoneServer._text}:  # these wait for the application's answer
            self.simulator.background.spawn(attempt)
        else:
            await attempt

    async def _attempt(self, page: OpenPage, action: "_Action", said: PageMessage) -> None:
        try:
            await action(self, page, said)
        except (PageError, InboundError, ApiError) as exc:
            page.tell({"type": "refused", "problem": str(exc)})

    async def _open(self, page: OpenPage, said: PageMessage) -> None:
        address = address_field(said, "address")
        if address not in page.handsets:
            page.handsets.add(address)
            self.live_calls.handsets[address] += 1
            if leaving := self._leaving.pop(address, None):
                leaving.cancel()
        exchange = self.live_calls.exchange
        calls = [each for each in exchange.legs.values() if each.party == address]
        page.tell(
            {
                "type": "opened",
                "address": address,
                "calls": [views.call(each, exchange.epoch) for each in calls],
                "events": [line for each in calls for line in self._lines[each.sid]],
            }
        )
        self.bring_up_to_date(page)

    async def _close(self, page: OpenPage, said: PageMessage) -> None:
        address = address_field(said, "address")
        if address in page.handsets:
            page.handsets.discard(address)
            self._release(address)

    def _release(self, address: str) -> None:
        self.live_calls.handsets[address] -= 1
        if self.live_calls.handsets[address] <= 0:
            del self.live_calls.handsets[address]
            loop = asyncio.get_running_loop()
            self._leaving[address] = loop.call_later(_GRACE, self._abandon, address)

    def _abandon(self, address: str) -> None:
        """Nobody opened the handset again in time: hang up its calls."""
        del self._leaving[address]

        def hang_up(exchange: Exchange) -> None:
            for leg in list(exchange.legs.values()):
                if leg.party == address and (leg.is_answered or leg.direction == "inbound"):
                    exchange.hang_up(leg)

        self.live_calls.act(hang_up)

    async def _call(self, _: OpenPage, said: PageMessage) -> None:
        """Call one of our numbers, or a TwiML application by its URL."""
        sender, to = address_field(said, "from"), text_field(said, "to").strip()
        if to.startswith(("http://", "https://")):
            if not is_allowed(to, self.simulator.options):
                raise PageError("to: an application's URL must be on this machine, or on an allowed host")
            method = text_field(said, "method", "POST")
            if method not in {"GET", "POST"}:
                raise PageError("method: must be GET or POST")
            work = self.simulator.calling.application(sender, to, method)
        else:
            work = self.simulator.calling.receive(sender, to)
        result = await work
        if result.error:
            log.info("call %s: %s", result.sid, result.error)

    async def _text(self, _: OpenPage, said: PageMessage) -> None:
        sender, to = address_field(said, "from"), text_field(said, "to")
        await self.simulator.receive_message(sender, to, text_field(said, "body"), [])

    def _leg(self, said: PageMessage) -> Leg:
        leg = self.live_calls.catch_up().legs.get(text_field(said, "call"))
        if leg is None:
            raise PageError("call: there is no such call")
        if leg.is_over:
            raise PageError("that call is over")
        return leg

    async def _answer(self, _: OpenPage, said: PageMessage) -> None:
        leg = self._leg(said)
        if leg.status != "ringing" or leg.direction == "inbound":
            raise PageError("that call does not ring here")
        machine = text_field(said, "as", "person") == "machine"
        self.live_calls.act(lambda exchange: exchange.pick_up(leg, Pickup(machine=machine)))

    async def _decline(self, _: OpenPage, said: PageMessage) -> None:
        leg = self._leg(said)
        if leg.status != "ringing" or leg.direction == "inbound":
            raise PageError("that call does not ring here")
        self.live_calls.act(lambda exchange: exchange.turn_down(leg, "busy"))

    async def _press(self, _: OpenPage, said: PageMessage) -> None:
        leg, keys = self._leg(said), text_field(said, "keys")
        if not keys or set(keys) - set("0123456789*#") or len(keys) > 32:
            raise PageError("keys: must be of 0 to 9, * and #")
        self.live_calls.act(lambda exchange: exchange.press(leg, keys))

    async def _say(self, _: OpenPage, said: PageMessage) -> None:
        leg, text = self._leg(said), text_field(said, "text").strip()
        if not text or len(text) > 1000:
            raise PageError("text: must have 1 to 1,000 characters")
        self.live_calls.act(lambda exchange: exchange.speak(leg, text))

    async def _hang_up(self, _: OpenPage, said: PageMessage) -> None:
        leg = self._leg(said)
        self.live_calls.act(lambda exchange: exchange.hang_up(leg))


type _Action = Callable[[PhoneServer, OpenPage, PageMessage], Awaitable[None]]

_ACTIONS: dict[str, _Action] = {
    "open": PhoneServer._open,
    "close": PhoneServer._close,
    "call": PhoneServer._call,
    "text": PhoneServer._text,
    "answer": PhoneServer._answer,
    "decline": PhoneServer._decline,
    "press": PhoneServer._press,
    "say": PhoneServer._say,
    "hang_up": PhoneServer._hang_up,
}


async def _page(request: web.Request) -> web.Response:
    found = _PAGE.get(request.match_info.get("file", ""))
    if found is None:
        raise web.HTTPNotFound
    name, content_type = found
    text = files("local.phone").joinpath("page", name).read_text("utf-8")
    headers = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return web.Response(text=text, content_type=content_type, headers=headers)
