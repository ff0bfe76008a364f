"""Queues over REST: the list, and who waits in one of them."""

from typing import Any

from aiohttp import web

from local.twilio.model.errors import not_found
from local.twilio.model.params import Form, page
from local.twilio.simulator import Simulator


async def listed(simulator: Simulator, request: web.Request, query: Form) -> tuple[int, dict[str, Any]]:
    return 200, page(request.path, "queues", simulator.live_calls.queues(), query)


async def members(simulator: Simulator, request: web.Request, query: Form) -> tuple[int, dict[str, Any]]:
    """Who waits, from the front of the queue."""
    sid = request.match_info["sid"]
    found = next((each for each in simulator.live_calls.queues() if each.sid == sid), None)
    if found is None:
        raise not_found(request.path)
    return 200, page(request.path, "queue_members", found.members, query)
