"""Twilio's REST API as far as the emulator has it: /2010-04-01/Accounts/{AccountSid}/..."""

import asyncio
import base64
import json
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from aiohttp import BasicAuth, web

from local.twilio.carrier.backend import RestRequest
from local.twilio.model.account import Resource
from local.twilio.model.errors import ApiError, not_found
from local.twilio.model.faults import Draw
from local.twilio.model.params import Between, Form, page
from local.twilio.model.resources import API_VERSION, Call, Media, Message, rfc2822
from local.twilio.rest import messaging_services, queues, recordings
from local.twilio.simulator import Simulator

log = logging.getLogger("local.twilio")

SIMULATOR = web.AppKey("simulator", Simulator)
_PREFIX = f"/{API_VERSION}/Accounts/{{account}}"

type Answer = tuple[int, dict[str, Any] | None]
type Handler = Callable[[Simulator, web.Request, Form], Awaitable[Answer]]


class _NoAnswer(Exception):
    """The connection is gone on purpose: nothing is answered."""


def routes() -> list[web.RouteDef]:
    """The REST API. A path without a trailing .json exists for media alone."""
    return [
        web.post(f"{_PREFIX}/Messages.json", _api(_create_message)),
        web.get(f"{_PREFIX}/Messages.json", _api(_list_messages)),
        *_item("Messages", _fetch_message, _update_message, _delete_message),
        web.get(f"{_PREFIX}/Messages/{{sid}}/Media.json", _api(_list_media)),
        web.get(f"{_PREFIX}/Messages/{{sid}}/Media/{{media}}.json", _api(_fetch_media)),
        web.delete(f"{_PREFIX}/Messages/{{sid}}/Media/{{media}}.json", _api(_delete_media)),
        web.get(f"{_PREFIX}/Messages/{{sid}}/Media/{{media}}", _media_file),
        web.post(f"{_PREFIX}/Calls.json", _api(_create_call)),
        web.get(f"{_PREFIX}/Calls.json", _api(_list_calls)),
        *_item("Calls", _fetch_call, _update_call, _delete_call),
        web.get(f"{_PREFIX}/Recordings.json", _api(recordings.listed)),
        web.get(f"{_PREFIX}/Recordings/{{sid}}.json", _api(recordings.fetched)),
        web.delete(f"{_PREFIX}/Recordings/{{sid}}.json", _api(recordings.deleted)),
        web.get(f"{_PREFIX}/Recordings/{{sid:RE[0-9a-f]+}}{{kind:(?:\\.wav)?}}", _recording_file),
        web.get(f"{_PREFIX}/IncomingPhoneNumbers.json", _api(_list_numbers)),
        web.post(f"{_PREFIX}/IncomingPhoneNumbers.json", _api(_buy_number)),
        *_item("IncomingPhoneNumbers", _fetch_resource, _update_resource, _delete_resource),
        web.get(f"{_PREFIX}/Applications.json", _api(_list_applications)),
        web.post(f"{_PREFIX}/Applications.json", _api(_create_application)),
        *_item("Applications", _fetch_resource, _update_resource, _delete_resource),
        web.get(f"{_PREFIX}/Queues.json", _api(queues.listed)),
        web.get(f"{_PREFIX}/Queues/{{sid}}/Members.json", _api(queues.members)),
        web.get("/v1/Keys/{sid}", _api(_fetch_key)),
        *messaging_services.routes(_api),
        web.route("*", f"/{API_VERSION}/{{rest:.*}}", _api(_unknown)),
    ]


def _item(name: str, fetch: Handler, update: Handler, delete: Handler) -> list[web.RouteDef]:
    path = f"{_PREFIX}/{name}/{{sid}}.json"
    return [web.get(path, _api(fetch)), web.post(path, _api(update)), web.delete(path, _api(delete))]


def _api(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Authenticate, read the form, answer as Twilio does, and keep the request."""

    async def handle(request: web.Request) -> web.StreamResponse:
        simulator = request.app[SIMULATOR]
        raw = (await request.read()).decode("utf-8", "replace") if request.body_exists else ""
        status: int | None
        body: dict[str, Any] | None
        headers = {}
        try:
            _authenticate(simulator, request)
            status, body = await handler(
                simulator,
                request,
                Form.parse(raw if request.method == "POST" else request.rel_url.raw_query_string),
            )
        except ApiError as exc:
            await _latency(simulator)
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
    """The path for a log line: SIDs, never a number."""
    return request.rel_url.raw_path.removeprefix(f"/{API_VERSION}/Accounts/")[35:]


def _authenticate(simulator: Simulator, request: web.Request) -> None:
    account = request.match_info.get("account", simulator.account.sid)
    if simulator.dice.faults.credentials_refused:
        simulator.dice.counts["credentials_refused"] += 1
        raise ApiError(20003)
    if (
        not simulator.account.authenticated(request.headers.get("Authorization", ""))
        or account != simulator.account.sid
    ):
        raise ApiError(20003)


async def _latency(simulator: Simulator) -> None:
    if simulator.dice.faults.latency_ms:
        await asyncio.sleep(simulator.dice.faults.latency_ms / 1000)


async def _befall(request: web.Request, draw: Draw, *, accepted: bool) -> None:
    """Do to the answer what was drawn. Raises when there is not to be one."""
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


# Messages


async def _create_message(simulator: Simulator, request: web.Request, form: Form) -> Answer:
    draw = simulator.dice.draw("messages", form.get("To"))
    if draw.refuse is not None:
        raise draw.refuse
    if draw.unaccepted:
        await _latency(simulator)
        await _befall(request, draw, accepted=False)
    message = simulator.messaging.create(form, draw.outcome)
    body = message.body()
    if draw.early:
        await simulator.messaging.hurry(message)
    await _latency(simulator)
    simulator.messaging.start(message)
    await _befall(request, draw, accepted=True)
    return 201, body


async def _list_messages(simulator: Simulator, request: web.Request, query: Form) -> Answer:
    await _latency(simulator)
    sent = Between.parse("DateSent", query)
    to, sender = query.get("To"), query.get("From")
    found = (
        each
        for each in simulator.messages.newest(to or None)
        if sender in {"", each.sender} and sent.holds(each.date_sent) and _visible(simulator, each)
    )
    return 200, page(request.rel_url.raw_path, "messages", found, query)


def _visible(simulator: Simulator, record: Message | Call) -> bool:
    """List faults: dark shows nothing, a lag hides what is young."""
    faults = simulator.dice.faults
    if faults.list_dark:
        return False
    age = (simulator.clock() - record.date_created).total_seconds() * 1000
    return age >= faults.list_lag_ms


def _message(simulator: Simulator, request: web.Request) -> Message:
    message = simulator.messages.get(request.match_info["sid"])
    if message is None:
        raise not_found(request.rel_url.raw_path)
    return message


async def _fetch_message(simulator: Simulator, request: web.Request, _: Form) -> Answer:
    await _latency(simulator)
    return 200, _message(simulator, request).body()


async def _update_message(simulator: Simulator, request: web.Request, form: Form) -> Answer:
    await _latency(simulator)
    return 200, simulator.messaging.update(_message(simulator, request), form).body()


async def _delete_message(simulator: Simulator, request: web.Request, _: Form) -> Answer:
    await _latency(simulator)
    simulator.messaging.delete(_message(simulator, request))
    return 204, None


def _media(simulator: Simulator, request: web.Request) -> Media:
    message = _message(simulator, request)
    for media in message.media:
        if media.sid == request.match_info["media"]:
            return media
    raise not_found(request.rel_url.raw_path)


async def _list_media(simulator: Simulator, request: web.Request, query: Form) -> Answer:
    message = _message(simulator, request)
    return 200, page(request.rel_url.raw_path, "media_list", message.media, query)


async def _fetch_media(simulator: Simulator, request: web.Request, _: Form) -> Answer:
    return 200, _media(simulator, request).body()


async def _delete_media(simulator: Simulator, request: web.Request, _: Form) -> Answer:
    media = _media(simulator, request)
    _message(simulator, request).media.remove(media)
    return 204, None


async def _media_file(request: web.Request) -> web.StreamResponse:
    """The file itself: a data URL's bytes, or a redirect to where it is. Public, as at Twilio by default."""
    simulator = request.app[SIMULATOR]
    try:
        media = _media(simulator, request)
    except ApiError as exc:
        return web.json_response(exc.body(), status=exc.status)
    if not media.url.startswith("data:"):
        raise web.HTTPTemporaryRedirect(media.url)
    head, _, data = media.url.partition(",")
    raw = unquote_to_bytes(data)
    if head.endswith(";base64"):
        raw = base64.b64decode(raw)
    return web.Response(
        body=raw,
        content_type=media.content_type,
        headers={"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"},
    )


async def _recording_file(request: web.Request) -> web.StreamResponse:
    simulator = request.app[SIMULATOR]
    try:
        _authenticate(simulator, request)
    except ApiError as exc:
        return web.json_response(exc.body(), status=exc.status)
    return recordings.file(simulator, request)


# Calls


async def _create_call(simulator: Simulator, request: web.Request, form: Form) -> Answer:
    draw = simulator.dice.draw("calls", form.get("To"))
    if draw.refuse is not None:
        raise draw.refuse
    if draw.unaccepted:
        await _latency(simulator)
        await _befall(request, draw, accepted=False)
    call = simulator.calling.create(form, draw.outcome)
    body = call.body()
    if draw.early:
        await simulator.live_calls.hurry(call)
    await _latency(simulator)
    simulator.live_calls.start(call)
    await _befall(request, draw, accepted=True)
    return 201, body


async def _list_calls(simulator: Simulator, request: web.Request, query: Form) -> Answer:
    await _latency(simulator)
    started, ended = Between.parse("StartTime", query), Between.parse("EndTime", query)
    to, sender, parent, status = (query.get(name) for name in ("To", "From", "ParentCallSid", "Status"))
    found = (
        each
        for each in simulator.calls.newest(to or None)
        if sender in {"", each.sender}
        and parent in {"", each.parent_call_sid}
        and status in {"", each.status}
        and started.holds(each.start_time)
        and ended.holds(each.end_time)
        and _visible(simulator, each)
    )
    return 200, page(request.rel_url.raw_path, "calls", found, query)


def _call(simulator: Simulator, request: web.Request) -> Call:
    call = simulator.calls.get(request.match_info["sid"])
    if call is None:
        raise not_found(request.rel_url.raw_path)
    return call


async def _fetch_call(simulator: Simulator, request: web.Request, _: Form) -> Answer:
    await _latency(simulator)
    return 200, _call(simulator, request).body()


async def _update_call(simulator: Simulator, request: web.Request, form: Form) -> Answer:
    await _latency(simulator)
    return 200, simulator.calling.update(_call(simulator, request), form).body()


async def _delete_call(simulator: Simulator, request: web.Request, _: Form) -> Answer:
    await _latency(simulator)
    simulator.calling.delete(_call(simulator, request))
    return 204, None


# Phone numbers and applications


def _resources(simulator: Simulator, request: web.Request) -> dict[str, Resource]:
    return (
        simulator.account.numbers
        if "IncomingPhoneNumbers" in request.rel_url.raw_path
        else simulator.account.applications
    )


def _resource(simulator: Simulator, request: web.Request) -> Resource:
    found = _resources(simulator, request).get(request.match_info["sid"])
    if found is None:
        raise not_found(request.rel_url.raw_path)
    return found


async def _list_numbers(simulator: Simulator, request: web.Request, query: Form) -> Answer:
    return 200, page(
        request.rel_url.raw_path, "incoming_phone_numbers", simulator.account.listed("number", query), query
    )


async def _buy_number(simulator: Simulator, _: web.Request, form: Form) -> Answer:
    return 201, simulator.account.buy_number(form).body()


async def _list_applications(simulator: Simulator, request: web.Request, query: Form) -> Answer:
    return 200, page(
        request.rel_url.raw_path, "applications", simulator.account.listed("application", query), query
    )


async def _create_application(simulator: Simulator, _: web.Request, form: Form) -> Answer:
    return 201, simulator.account.create_application(form).body()


async def _fetch_resource(simulator: Simulator, request: web.Request, _: Form) -> Answer:
    return 200, _resource(simulator, request).body()


async def _update_resource(simulator: Simulator, request: web.Request, form: Form) -> Answer:
    return 200, simulator.account.update(_resource(simulator, request), form).body()


async def _delete_resource(simulator: Simulator, request: web.Request, _: Form) -> Answer:
    del _resources(simulator, request)[_resource(simulator, request).sid]
    return 204, None


async def _fetch_key(simulator: Simulator, request: web.Request, _: Form) -> Answer:
    """iam.twilio.com: what kind of key it is. Only the account's own token may ask."""
    if BasicAuth.decode(request.headers["Authorization"]).login != simulator.account.sid:
        raise ApiError(20003)
    sid, options = request.match_info["sid"], simulator.options
    if sid not in options.api_keys:
        raise not_found(request.path)
    restricted = sid in options.restricted_keys
    made = rfc2822(simulator.clock())
    policy = {"allow": ["/twilio/voice/calls/create"]} if restricted else None
    names = {"sid": sid, "friendly_name": "Switchboard"}
    return 200, {**names, "date_created": made, "date_updated": made, "policy": policy}


async def _unknown(_: Simulator, request: web.Request, __: Form) -> Answer:
    raise not_found(request.rel_url.raw_path)
