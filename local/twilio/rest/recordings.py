"""Recordings over REST: the list, one recording, its file, and deleting it."""

from typing import Any

from aiohttp import web

from local.twilio.model.errors import ApiError
from local.twilio.model.params import Form, page
from local.twilio.model.recordings import Recording
from local.twilio.rest.api import named
from local.twilio.simulator import Simulator


def _found(simulator: Simulator, request: web.Request) -> Recording:
    return named(request, simulator.recordings.get(request.match_info["sid"]))


async def listed(simulator: Simulator, request: web.Request, query: Form) -> tuple[int, dict[str, Any]]:
    """The recordings, newest first, filtered by CallSid and ConferenceSid."""
    call, room = query.get("CallSid"), query.get("ConferenceSid")
    found = (
        each
        for each in simulator.recordings.newest()
        if call in {"", each.call_sid} and room in {"", each.conference_sid}
    )
    return 200, page(request.rel_url.raw_path, "recordings", found, query)


async def fetched(simulator: Simulator, request: web.Request, _: Form) -> tuple[int, dict[str, Any]]:
    return 200, _found(simulator, request).body()


async def deleted(simulator: Simulator, request: web.Request, _: Form) -> tuple[int, None]:
    simulator.recordings.remove(_found(simulator, request))
    return 204, None


def file(simulator: Simulator, request: web.Request) -> web.Response:
    """The WAV file. As with Twilio's "Enforce HTTP Auth on Media URLs", it needs credentials."""
    try:
        recording = _found(simulator, request)
    except ApiError as exc:
        return web.json_response(exc.body(), status=exc.status)
    return web.Response(body=recording.wav(), content_type="audio/x-wav")
