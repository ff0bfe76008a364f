"""One open page of the phone: what it has, what is sent to it, and how its messages are read."""

import asyncio
from typing import Any

from aiohttp import web

from local.twilio.model.addresses import e164

type PageMessage = dict[str, Any]


class PageError(ValueError):
    """What a page asked for is not possible. The message tells the person why."""


class OpenPage:
    """One open page.

    handsets: the addresses that it has open. requests, texts: the state of each that was sent to it last.
    """

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.handsets: set[str] = set()
        self.requests: dict[int, object] = {}
        self.texts: dict[str, object] = {}
        self._out: asyncio.Queue[PageMessage] = asyncio.Queue()

    def forget(self) -> None:
        self.requests.clear()
        self.texts.clear()

    def tell(self, what: PageMessage) -> None:
        """Send the page something, soon and in order."""
        self._out.put_nowait(what)

    async def send_all(self) -> None:
        while True:
            what = await self._out.get()
            try:
                await self.socket.send_json(what)
            except ConnectionError:
                return


def text_field(said: PageMessage, name: str, default: str | None = None) -> str:
    value = said.get(name, default)
    if not isinstance(value, str):
        raise PageError(f"{name}: must be text")
    return value


def address_field(said: PageMessage, name: str) -> str:
    """A handset's address: a number in E.164, client:NAME, or sip:NAME@HOST."""
    address = text_field(said, name).strip()
    if (
        address.startswith(("client:", "sip:"))
        and 7 < len(address) <= 256
        and not any(map(str.isspace, address))
    ):
        return address
    number = e164(address)
    if number is None:
        raise PageError(f"{name}: must be a phone number such as +12025550101, client:NAME or sip:NAME@HOST")
    return number
