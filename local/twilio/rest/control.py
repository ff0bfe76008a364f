"""The emulator's own API under /emulator: inbound texts and calls, faults, the ledger and the webhooks sent.

JSON in and out; an error is {"error": "field: what would be right"} with 400, 404 or 422.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from local.twilio.model.account import InboundError
from local.twilio.model.faults import FaultError, Planned
from local.twilio.rest.api import SIMULATOR
from local.twilio.simulator import Simulator

type Body = dict[str, Any]

GOES_AWAY: web.AppKey[Callable[[float], None]] = web.AppKey("goes_away", Callable[[float], None])  # type: ignore[arg-type]


def routes() -> list[web.RouteDef]:
    return [
        web.get("/emulator/health", _health),
        web.post("/emulator/inbound/message", _json(_inbound_message)),
        web.post("/emulator/inbound/call", _json(_inbound_call)),
        web.get("/emulator/ledger", _ledger),
        web.get("/emulator/deliveries", _deliveries),
        web.get("/emulator/exchanges", _exchanges),
        web.get("/emulator/alerts", _alerts),
        web.get("/emulator/calls/{sid}", _call),
        web.get("/emulator/overview", _overview),
        web.get("/emulator/events", _events),
        web.get("/emulator/faults", _faults),
        web.put("/emulator/faults", _json(_set_faults)),
        web.post("/emulator/faults/plan", _json(_plan)),
        web.get("/emulator/pace", _pace),
        web.put("/emulator/pace", _json(_set_pace)),
        web.post("/emulator/away", _json(_away)),
        web.post("/emulator/settle", _json(_settle)),
        web.post("/emulator/reset", _json(_reset)),
    ]


def _answer(body: Any, status: int = 200) -> web.Response:
    return web.json_response(
        body, status=status, dumps=lambda value: json.dumps(value, separators=(",", ":"))
    )


def _json(
    handler: Callable[[Simulator, web.Request, Body], Awaitable[Any]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Read a JSON object and answer JSON. A form on a page of another site cannot send application/json."""

    async def handle(request: web.Request) -> web.StreamResponse:
        raw = (await request.read()).decode("utf-8", "replace")
        if raw and request.content_type != "application/json":
            return _answer({"error": "Content-Type: must be application/json"}, 415)
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            return _answer({"error": "the body must be JSON"}, 400)
        if not isinstance(body, dict):
            return _answer({"error": "the body must be a JSON object"}, 400)
        try:
            return _answer(await handler(request.app[SIMULATOR], request, body))
        except (InboundError, FaultError) as exc:
            return _answer({"error": str(exc)}, 422)

    return handle


def _text(body: Body, name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise InboundError(f"{name}: must be text")
    return value


async def _health(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    return _answer({"status": "ok", "account_sid": simulator.account.sid})


async def _inbound_message(simulator: Simulator, _: web.Request, body: Body) -> Body:
    """{from, to, body, media_urls?} -> {sid, status, twiml, replies, error}, after the webhook answered."""
    media = body.get("media_urls", [])
    if not isinstance(media, list) or not all(isinstance(each, str) for each in media):
        raise InboundError("media_urls: must be a list of URLs")
    result = await simulator.receive_message(
        _text(body, "from"), _text(body, "to"), _text(body, "body", ""), media
    )
    return result.as_json()


async def _inbound_call(simulator: Simulator, _: web.Request, body: Body) -> Body:
    """{from, to} -> {sid, status, twiml, error}, after the voice webhook answered."""
    result = await simulator.calling.receive(_text(body, "from"), _text(body, "to"))
    return result.as_json()


async def _ledger(request: web.Request) -> web.Response:
    return _answer(request.app[SIMULATOR].ledger.body())


async def _deliveries(request: web.Request) -> web.Response:
    """Webhook requests, oldest first; ?sid= for one message or call."""
    sid = request.query.get("sid")
    found = request.app[SIMULATOR].webhooks.deliveries
    return _answer({"deliveries": [each.as_json() for each in found if sid in {None, each.sid}]})


async def _exchanges(request: web.Request) -> web.Response:
    return _answer({"exchanges": [each.as_json() for each in request.app[SIMULATOR].rest_requests]})


async def _alerts(request: web.Request) -> web.Response:
    return _answer({"alerts": [each.as_json() for each in request.app[SIMULATOR].alerts]})


async def _call(request: web.Request) -> web.Response:
    """One call with the TwiML documents it got."""
    call = request.app[SIMULATOR].calls.get(request.match_info["sid"])
    if call is None:
        return _answer({"error": "sid: no such call"}, 404)
    return _answer({**call.body(), "documents": [asdict(each) for each in call.documents]})


async def _overview(request: web.Request) -> web.Response:
    """What the inspector shows: the newest `limit` of each list."""
    simulator = request.app[SIMULATOR]
    try:
        limit = min(max(int(request.query.get("limit", "100")), 1), 1000)
    except ValueError:
        return _answer({"error": "limit: must be a whole number"}, 422)

    def newest(records: Any) -> list[Any]:
        return [each for each, _ in zip(records, range(limit), strict=False)]

    return _answer(
        {
            "revision": simulator.revision,
            "account_sid": simulator.account.sid,
            "numbers": [each.phone_number for each in simulator.account.numbers.values()],
            "counts": {
                "messages": len(simulator.messages),
                "calls": len(simulator.calls),
                "deliveries": simulator.webhooks.made,
            },
            "messages": [each.body() for each in newest(simulator.messages.newest())],
            "calls": [
                {**each.body(), "documents": [asdict(document) for document in each.documents]}
                for each in newest(simulator.calls.newest())
            ],
            "deliveries": [each.as_json() for each in newest(reversed(simulator.webhooks.deliveries))],
            "exchanges": [each.as_json() for each in newest(reversed(simulator.rest_requests))],
            "alerts": [each.as_json() for each in newest(reversed(simulator.alerts))],
            "faults": simulator.dice.faults.body(),
            "injected": dict(simulator.dice.counts),
        }
    )


async def _events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: the revision each time it has changed, at most four times a second."""
    simulator = request.app[SIMULATOR]
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    seen, quiet = -1, 0
    try:
        while True:
            if simulator.revision != seen:
                seen, quiet = simulator.revision, 0
                await response.write(f"data: {seen}\n\n".encode())
            elif quiet >= 60:
                quiet = 0
                await response.write(b": still here\n\n")
            quiet += 1
            await asyncio.sleep(0.25)
    except ConnectionError:
        return response


async def _faults(request: web.Request) -> web.Response:
    return _answer(_shown(request.app[SIMULATOR]))


def _shown(simulator: Simulator) -> Body:
    return {**simulator.dice.faults.body(), "injected": dict(simulator.dice.counts)}


async def _set_faults(simulator: Simulator, _: web.Request, body: Body) -> Body:
    """Change the faults that are named (see Faults). Answers all faults, and those injected so far."""
    simulator.dice.set(body)
    simulator.changed()
    return _shown(simulator)


async def _plan(simulator: Simulator, _: web.Request, body: Body) -> Body:
    """Plan a fault for the next `times` creates that match (see Planned)."""
    simulator.dice.plan(Planned.parse(body))
    return {"planned": len(simulator.dice.planned)}


async def _pace(request: web.Request) -> web.Response:
    return _answer(asdict(request.app[SIMULATOR].pace))


async def _set_pace(simulator: Simulator, _: web.Request, body: Body) -> Body:
    return asdict(simulator.set_pace(body))


async def _away(_: Simulator, request: web.Request, body: Body) -> Body:
    """{seconds}: refuse connections for that long, beginning right after this answer."""
    seconds = body.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 600:
        raise FaultError("seconds: must be above 0 and at most 600")
    request.app[GOES_AWAY](seconds)
    return {"away": seconds}


async def _settle(simulator: Simulator, _: web.Request, body: Body) -> Body:
    """{timeout?}: wait until nothing is under way. Answers {settled: false} if the time is up before."""
    timeout = body.get("timeout", 10)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 600:
        raise FaultError("timeout: must be above 0 and at most 600")
    try:
        await simulator.background.settled(timeout)
    except TimeoutError:
        return {"settled": False}
    return {"settled": True}


async def _reset(simulator: Simulator, _: web.Request, __: Body) -> Body:
    await simulator.reset()
    return {"reset": True}
