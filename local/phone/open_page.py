"""One open page of the phone: what it was told so far, and reading what it says."""

import asyncio
from typing import Any

from aiohttp import web

from local.twilio.model.addresses import e164

type Said = dict[str, Any]


class Refused(ValueError):
    """What a page asked for cannot be; says why to the person."""


class Page:
    """One open page, and what it has been told."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.handsets: set[str] = set()
        self.requests: dict[int, object] = {}
        self.texts: dict[str, object] = {}
        self._out: asyncio.Queue[Said] = asyncio.Queue()

    def forget(self) -> None:
        self.requests.clear()
        self.texts.clear()

    def tell(self, what: Said) -> None:
        self._out.put_nowait(what)

    async def send_all(self) -> None:
        while True:
            what = await self._out.get()
            try:
                await self.socket.send_json(what)
            except ConnectionError:
                return


def text_field(said: Said, name: str, default: str | None = None) -> str:
    value = said.get(name, default)
    if not isinstance(value, str):
        raise Refused(f"{name}: must be text")
    return value


def address_field(said: Said, name: str) -> str:
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
        raise Refused(f"{name}: must be a phone number such as +12025550101, client:NAME or sip:NAME@HOST")
    return number
