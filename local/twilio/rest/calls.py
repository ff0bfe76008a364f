"""Calls over REST."""

from aiohttp import web

from local.twilio.model.params import Between, Form, page
from local.twilio.model.resources import Call
from local.twilio.rest.api import RestAnswer, befall, is_visible, latency, named
from local.twilio.simulator import Simulator


async def create_call(simulator: Simulator, request: web.Request, form: Form) -> RestAnswer:
    draw = simulator.dice.draw("calls", form.get("To"))
    if draw.refuse is not None:
        raise draw.refuse
    if draw.unaccepted:
        await latency(simulator)
        await befall(request, draw, accepted=False)
    call = simulator.calling.create(form, draw.outcome)
    body = call.body()
    if draw.early:
        await simulator.live_calls.hurry(call)
    await latency(simulator)
    simulator.live_calls.start(call)
    await befall(request, draw, accepted=True)
    return 201, body


async def list_calls(simulator: Simulator, request: web.Request, query: Form) -> RestAnswer:
    await latency(simulator)
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
        and is_visible(simulator, each)
    )
    return 200, page(request.rel_url.raw_path, "calls", found, query)


def _call(simulator: Simulator, request: web.Request) -> Call:
    return named(request, simulator.calls.get(request.match_info["sid"]))


async def fetch_call(simulator: Simulator, request: web.Request, _: Form) -> RestAnswer:
    await latency(simulator)
    return 200, _call(simulator, request).body()


async def update_call(simulator: Simulator, request: web.Request, form: Form) -> RestAnswer:
    await latency(simulator)
    return 200, simulator.calling.update(_call(simulator, request), form).body()


async def delete_call(simulator: Simulator, request: web.Request, _: Form) -> RestAnswer:
    await latency(simulator)
    simulator.calling.delete(_call(simulator, request))
    return 204, None
