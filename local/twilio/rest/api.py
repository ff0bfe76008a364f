"""What every REST handler has in common: authentication, faults, errors, and the log of requests."""

import asyncio
import json
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from local.twilio.carrier.backend import RestRequest
from local.twilio.model.errors import ApiError, not_found
from local.twilio.model.faults import Draw
from local.twilio.model.params import Form
from local.twilio.model.resources import API_VERSION, Call, Message
from local.twilio.simulator import Simulator

log = logging.getLogger("local.twilio")

SIMULATOR = web.AppKey("simulator", Simulator)

type RestAnswer = tuple[int, dict[str, Any] | None]
type RestHandler = Callable[[Simulator, web.Request, Form], Awaitable[RestAnswer]]


class _NoAnswer(Exception):
    """The connection was closed on purpose: nothing is answered."""


def api(handler: RestHandler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Authenticate, read the form, answer as Twilio does, and keep the request."""

    async def handle(request: web.Request) -> web.StreamResponse:
        simulator = request.app[SIMULATOR]
        raw = (await request.read()).decode("utf-8", "replace") if request.body_exists else ""
        status: int | None
        body: dict[str, Any] | None
        headers = {}
        try:
            authenticate(simulator, request)
            status, body = await handler(
                simulator,
                request,
                Form.parse(raw if request.method == "POST" else request.rel_url.raw_query_string),
            )
        except ApiError as exc:
            await latency(simulator)
            status, body = exc.status, exc.body()
            if exc.retry_after is not None:
                headers["Retry-After"] = str(exc.retry_after)
            log.info("%s %s refused: %s %s", request.method, _name(request), exc.status, exc.code)
        except _NoAnswer:
            status, body = None, None
        text = "" if body is None else json.dumps(body, separators=(",", ":"))
        simulator.record(
            RestRequest(
                at=simulator.clock(),
                method=request.method,
                path=request.rel_url.raw_path,
                query=request.rel_url.raw_query_string,
                content_type=request.content_type,
                form=raw,
                status=status,
                answer=text,
            )
        )
        simulator.changed()
        if status == 204:
            return web.Response(status=204)
        return web.Response(status=status or 500, text=text, content_type="application/json", headers=headers)

    return handle


def _name(request: web.Request) -> str:
    """The path for a log line. It has SIDs, and no phone number."""
    return request.rel_url.raw_path.removeprefix(f"/{API_VERSION}/Accounts/")[35:]


def authenticate(simulator: Simulator, request: web.Request) -> None:
    account = request.match_info.get("account", simulator.account.sid)
    if simulator.dice.faults.credentials_refused:
        simulator.dice.counts["credentials_refused"] += 1
        raise ApiError(20003)
    if (
        not simulator.account.authenticated(request.headers.get("Authorization", ""))
        or account != simulator.account.sid
    ):
        raise ApiError(20003)


async def latency(simulator: Simulator) -> None:
    if simulator.dice.faults.latency_ms:
        await asyncio.sleep(simulator.dice.faults.latency_ms / 1000)


async def befall(request: web.Request, draw: Draw, *, accepted: bool) -> None:
    """Do what the faults say instead of answering. Raises if there is such a fault."""
    kind = draw.answer if accepted else draw.unaccepted
    if kind == "server_error":
        code = 20503 if draw.status == 503 else 20500
        raise ApiError(code, status=draw.status)
    if kind == "timeout":
        while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        raise _NoAnswer
    if kind in {"lost", "reset"} and request.transport is not None:
        if kind == "reset":
            sock = request.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
        raise _NoAnswer


def named[T](request: web.Request, found: T | None) -> T:
    """What the path of the request names, where there is such a thing. Raises ApiError (20404)."""
    if found is None:
        raise not_found(request.rel_url.raw_path)
    return found


def is_visible(simulator: Simulator, record: Message | Call) -> bool:
    """Whether lists show this, with the faults list_dark and list_lag_ms."""
    faults = simulator.dice.faults
    if faults.list_dark:
        return False
    age = (simulator.clock() - record.date_created).total_seconds() * 1000
    return age >= faults.list_lag_ms
