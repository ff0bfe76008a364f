"""The paths of Twilio's REST API as far as the emulator has it: /2010-04-01/Accounts/{AccountSid}/..."""

from aiohttp import BasicAuth, web

from local.twilio.model.errors import ApiError, not_found
from local.twilio.model.params import Form
from local.twilio.model.resources import API_VERSION, rfc2822
from local.twilio.rest import calls, messages, messaging_services, numbers, queues, recordings
from local.twilio.rest.api import SIMULATOR, RestAnswer, RestHandler, api, authenticate
from local.twilio.simulator import Simulator

_PREFIX = f"/{API_VERSION}/Accounts/{{account}}"


def routes() -> list[web.RouteDef]:
    """The paths. Only media and recordings have one without .json at the end."""
    return [
        web.post(f"{_PREFIX}/Messages.json", api(messages.create_message)),
        web.get(f"{_PREFIX}/Messages.json", api(messages.list_messages)),
        *_item("Messages", messages.fetch_message, messages.update_message, messages.delete_message),
        web.get(f"{_PREFIX}/Messages/{{sid}}/Media.json", api(messages.list_media)),
        web.get(f"{_PREFIX}/Messages/{{sid}}/Media/{{media}}.json", api(messages.fetch_media)),
        web.delete(f"{_PREFIX}/Messages/{{sid}}/Media/{{media}}.json", api(messages.delete_media)),
        web.get(f"{_PREFIX}/Messages/{{sid}}/Media/{{media}}", messages.media_file),
        web.post(f"{_PREFIX}/Calls.json", api(calls.create_call)),
        web.get(f"{_PREFIX}/Calls.json", api(calls.list_calls)),
        *_item("Calls", calls.fetch_call, calls.update_call, calls.delete_call),
        web.get(f"{_PREFIX}/Recordings.json", api(recordings.listed)),
        web.get(f"{_PREFIX}/Recordings/{{sid}}.json", api(recordings.fetched)),
        web.delete(f"{_PREFIX}/Recordings/{{sid}}.json", api(recordings.deleted)),
        web.get(f"{_PREFIX}/Recordings/{{sid:RE[0-9a-f]+}}{{kind:(?:\\.wav)?}}", _recording_file),
        web.get(f"{_PREFIX}/IncomingPhoneNumbers.json", api(numbers.list_numbers)),
        web.post(f"{_PREFIX}/IncomingPhoneNumbers.json", api(numbers.buy_number)),
        *_item(
            "IncomingPhoneNumbers", numbers.fetch_resource, numbers.update_resource, numbers.delete_resource
        ),
        web.get(f"{_PREFIX}/Applications.json", api(numbers.list_applications)),
        web.post(f"{_PREFIX}/Applications.json", api(numbers.create_application)),
        *_item("Applications", numbers.fetch_resource, numbers.update_resource, numbers.delete_resource),
        web.get(f"{_PREFIX}/Queues.json", api(queues.listed)),
        web.get(f"{_PREFIX}/Queues/{{sid}}/Members.json", api(queues.members)),
        web.get("/v1/Keys/{sid}", api(_fetch_key)),
        *messaging_services.routes(api),
        web.route("*", f"/{API_VERSION}/{{rest:.*}}", api(_unknown)),
    ]


def _item(name: str, fetch: RestHandler, update: RestHandler, delete: RestHandler) -> list[web.RouteDef]:
    path = f"{_PREFIX}/{name}/{{sid}}.json"
    return [web.get(path, api(fetch)), web.post(path, api(update)), web.delete(path, api(delete))]


async def _recording_file(request: web.Request) -> web.StreamResponse:
    simulator = request.app[SIMULATOR]
    try:
        authenticate(simulator, request)
    except ApiError as exc:
        return web.json_response(exc.body(), status=exc.status)
    return recordings.file(simulator, request)


async def _fetch_key(simulator: Simulator, request: web.Request, _: Form) -> RestAnswer:
    """iam.twilio.com: what kind of API key it is. Only the account's own token may ask."""
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


async def _unknown(_: Simulator, request: web.Request, __: Form) -> RestAnswer:
    raise not_found(request.rel_url.raw_path)
