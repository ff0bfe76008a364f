"""Messages and their media over REST."""

import base64
from urllib.parse import unquote_to_bytes

from aiohttp import web

from local.twilio.model.errors import ApiError
from local.twilio.model.params import Between, Form, page
from local.twilio.model.resources import Media, Message
from local.twilio.rest.api import SIMULATOR, RestAnswer, befall, is_visible, latency, named
from local.twilio.simulator import Simulator


async def create_message(simulator: Simulator, request: web.Request, form: Form) -> RestAnswer:
    draw = simulator.dice.draw("messages", form.get("To"))
    if draw.refuse is not None:
        raise draw.refuse
    if draw.unaccepted:
        await latency(simulator)
        await befall(request, draw, accepted=False)
    message = simulator.messaging.create(form, draw.outcome)
    body = message.body()
    if draw.early:
        await simulator.messaging.hurry(message)
    await latency(simulator)
    simulator.messaging.start(message)
    await befall(request, draw, accepted=True)
    return 201, body


async def list_messages(simulator: Simulator, request: web.Request, query: Form) -> RestAnswer:
    await latency(simulator)
    sent = Between.parse("DateSent", query)
    to, sender = query.get("To"), query.get("From")
    found = (
        each
        for each in simulator.messages.newest(to or None)
        if sender in {"", each.sender} and sent.holds(each.date_sent) and is_visible(simulator, each)
    )
    return 200, page(request.rel_url.raw_path, "messages", found, query)


def _message(simulator: Simulator, request: web.Request) -> Message:
    return named(request, simulator.messages.get(request.match_info["sid"]))


async def fetch_message(simulator: Simulator, request: web.Request, _: Form) -> RestAnswer:
    await latency(simulator)
    return 200, _message(simulator, request).body()


async def update_message(simulator: Simulator, request: web.Request, form: Form) -> RestAnswer:
    await latency(simulator)
    return 200, simulator.messaging.update(_message(simulator, request), form).body()


async def delete_message(simulator: Simulator, request: web.Request, _: Form) -> RestAnswer:
    await latency(simulator)
    simulator.messaging.delete(_message(simulator, request))
    return 204, None


def _media(simulator: Simulator, request: web.Request) -> Media:
    message, sid = _message(simulator, request), request.match_info["media"]
    return named(request, next((media for media in message.media if media.sid == sid), None))


async def list_media(simulator: Simulator, request: web.Request, query: Form) -> RestAnswer:
    message = _message(simulator, request)
    return 200, page(request.rel_url.raw_path, "media_list", message.media, query)


async def fetch_media(simulator: Simulator, request: web.Request, _: Form) -> RestAnswer:
    return 200, _media(simulator, request).body()


async def delete_media(simulator: Simulator, request: web.Request, _: Form) -> RestAnswer:
    media = _media(simulator, request)
    _message(simulator, request).media.remove(media)
    return 204, None


async def media_file(request: web.Request) -> web.StreamResponse:
    """The file: the bytes of a data URL, or a redirect to the URL. It is public, as at Twilio by default."""
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
