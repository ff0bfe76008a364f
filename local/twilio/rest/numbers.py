"""Phone numbers and TwiML applications over REST."""

from aiohttp import web

from local.twilio.model.account import Resource
from local.twilio.model.params import Form, page
from local.twilio.rest.api import RestAnswer, named
from local.twilio.simulator import Simulator


def _resources(simulator: Simulator, request: web.Request) -> dict[str, Resource]:
    return (
        simulator.account.numbers
        if "IncomingPhoneNumbers" in request.rel_url.raw_path
        else simulator.account.applications
    )


def _resource(simulator: Simulator, request: web.Request) -> Resource:
    return named(request, _resources(simulator, request).get(request.match_info["sid"]))


async def list_numbers(simulator: Simulator, request: web.Request, query: Form) -> RestAnswer:
    return 200, page(
        request.rel_url.raw_path, "incoming_phone_numbers", simulator.account.listed("number", query), query
    )


async def buy_number(simulator: Simulator, _: web.Request, form: Form) -> RestAnswer:
    return 201, simulator.account.buy_number(form).body()


async def list_applications(simulator: Simulator, request: web.Request, query: Form) -> RestAnswer:
    return 200, page(
        request.rel_url.raw_path, "applications", simulator.account.listed("application", query), query
    )


async def create_application(simulator: Simulator, _: web.Request, form: Form) -> RestAnswer:
    return 201, simulator.account.create_application(form).body()


async def fetch_resource(simulator: Simulator, request: web.Request, _: Form) -> RestAnswer:
    return 200, _resource(simulator, request).body()


async def update_resource(simulator: Simulator, request: web.Request, form: Form) -> RestAnswer:
    return 200, simulator.account.update(_resource(simulator, request), form).body()


async def delete_resource(simulator: Simulator, request: web.Request, _: Form) -> RestAnswer:
    del _resources(simulator, request)[_resource(simulator, request).sid]
    return 204, None
