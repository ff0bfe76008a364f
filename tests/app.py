"""The app's JSON API through the worker library, as a program with a function key calls it."""

import json
from dataclasses import dataclass
from typing import Any

from local.host.worker import Result, Worker
from local.twilio import ACCOUNT_SID
from shared.config import Settings
from shared.services import Services


@dataclass
class App:
    """`await app.post("message_create", {...})` -> (status, JSON). stored: what the app keeps, and where."""

    worker: Worker
    stored: Services
    origin: str

    async def post(self, function: str, body: object, **route: str) -> tuple[int, Any]:
        return shown(await self.send(function, "POST", body, **route))

    async def get(self, function: str, query: str = "", **route: str) -> tuple[int, Any]:
        url = f"{self.origin}/api/x{'?' if query else ''}{query}"
        return shown(await self.worker.http(function, "GET", url, route_params=route))

    async def send(self, function: str, method: str, body: object = b"", **route: str) -> Result:
        """body: bytes as they are, or what JSON can say."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        return await self.worker.http(function, method, f"{self.origin}/api/x", headers, raw, route)


def shown(result: Result) -> tuple[int, Any]:
    assert result.answer is not None
    return result.answer.status, result.answer.json()


def connected(worker: Worker) -> App:
    """The app under the worker. Close `stored` afterwards."""
    known = Settings.from_env()
    assert known.account_sid == ACCOUNT_SID
    return App(worker, Services(known), known.public_base_url)
