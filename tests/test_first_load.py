"""A first request loads what it needs, and no more: the time to load anything else is silence to a caller.

To add a trigger, add its invocation, its status, and the modules and libraries that it loads to FIRST.
"""

import pytest

from local.twilio import Emulator, Options
from tests.azurite import Azurite
from tests.first_load import Invocation, Load, api, loaded, webhook
from tests.web.conftest import API_KEY, SOFTPHONE

CALL = {
    "From": "+12025550101",
    "To": "+12025550100",
    "CallSid": "CA" + "1" * 32,
    "Direction": "inbound",
    "FromCountry": "US",
}
TEXT = {"From": "+12025550101", "To": "+12025550100", "MessageSid": "SM" + "1" * 32}
ID = "0" * 32
RECORDING = "RE" + "1" * 32

BASE = {"config", "errors"}
WEBHOOK = BASE | {"twilio_helper", "twiml.reply", "twiml.request", "web.webhook"}
API = BASE | {"phone_numbers", "web.api"}
TWILIO = {"twilio_client", "twilio_errors", "twilio_helper"}
MENU = {"voice.context", "voice.menu", "voice.prompts"}
FLOWS = {f"voice.{name}" for name in ("agents", "context", "dial", "prompts", "softphone", "voicemail")}
TABLES = {"storage.rows", "storage.tables"}
MESSAGES = TABLES | {
    *("delivery.paging", "delivery.states", "delivery.store", "phone_numbers", "sms.message", "sms.segments"),
    *("times.instants", "times.quiet_hours", "times.recurrence"),
}
LEDGER = MESSAGES | {"calls.ledger", "calls.request", "storage.batching", "twiml.rules"}

AT_TABLES = {"aiohttp", "azure.data.tables"}
AT_TWILIO = {"aiohttp", "requests", "twilio.rest"}

FIRST: list[tuple[Invocation, int, set[str], set[str]]] = [
    (webhook("voice_incoming", "voice", CALL), 200, WEBHOOK | MENU, {"twilio.twiml"}),
    (
        webhook("voice_step", "voice/step/menu", {**CALL, "Digits": "3"}, step="menu"),
        200,
        WEBHOOK
        | MENU
        | FLOWS
        | {"phone_numbers", "voice.conference", "voice.hold_music", "voice.queue", "voice.steps"},
        {"twilio.twiml"},
    ),
    (
        webhook("voice_step", "voice/step/outbound?id=none", CALL, step="outbound"),
        404,
        WEBHOOK | LEDGER | {"voice.context", "voice.outbound", "voice.prompts"},
        AT_TABLES | {"twilio.twiml", "zoneinfo"},
    ),
    (
        webhook("voice_client", "voice/client", {**CALL, "From": "client:agent", "To": "queue"}),
        200,
        WEBHOOK | FLOWS | {"phone_numbers"},
        {"twilio.twiml"},
    ),
    (
        webhook("voice_status", "voice/status", {**CALL, "CallStatus": "completed"}),
        204,
        WEBHOOK
        | LEDGER
        | TWILIO
        | {"calls.placing", "sms.opt_outs", "delivery.daily_limit", "delivery.sender", "delivery.settle"}
        | {"delivery.throttle"},
        AT_TABLES | {"zoneinfo"},
    ),
    (
        webhook("sms_incoming", "sms", {**TEXT, "Body": "hi"}),
        200,
        WEBHOOK | {"sms.replies"},
        {"twilio.twiml"},
    ),
    (
        webhook("sms_status", f"sms/status?id={ID}&attempt=a", {**TEXT, "MessageStatus": "sent"}),
        204,
        WEBHOOK | MESSAGES | {"delivery.settle", "sms.opt_outs", "sms.schedule", "twilio_errors"},
        AT_TABLES | {"zoneinfo"},
    ),
    (
        webhook("twimlet", "twimlets/message?Message=Hi", CALL, name="message"),
        200,
        WEBHOOK
        | {"phone_numbers", "twiml.rules", "voice.context", "voice.hold_music", "voice.prompts"}
        | {"voice.twimlets", "voice.voicemail"},
        {"twilio.twiml"},
    ),
    (
        api("token_mint", "POST", {}),
        200,
        API | TABLES | TWILIO | {"web.access_token"},
        AT_TABLES | AT_TWILIO | {"jwt"},
    ),
    (api("softphone_page"), 200, BASE | {"web.pages"}, set()),
    (api("console_page"), 200, BASE | {"web.pages"}, set()),
    (api("asset_get", name="console.css"), 200, BASE | {"web.pages"}, set()),
    (api("health"), 200, API, set()),
    (
        api("diagnosis_get"),
        200,
        API
        | MESSAGES
        | TWILIO
        | {"storage.blobs", "storage.heartbeat", "storage.queue_access", "web.diagnosis"},
        AT_TABLES | AT_TWILIO | {"azure.storage.blob", "zoneinfo"},
    ),
    (api("line_get"), 200, API | TWILIO, AT_TWILIO),
    (api("recording", sid=RECORDING), 404, API | TWILIO, AT_TWILIO),
]


@pytest.fixture
def loads(azurite: Azurite, emulator: Emulator) -> list[Load]:
    emulator.reset(Options(api_keys={API_KEY: SOFTPHONE["TWILIO_API_SECRET"]}))
    storage = azurite.fresh_account()
    invocations = [invocation for invocation, *_ in FIRST]
    return loaded(invocations, AzureWebJobsStorage=storage, TWILIO_BASE_URL=emulator.url, **SOFTPHONE)


def test_a_first_request_loads_what_it_needs_and_no_more(loads: list[Load]) -> None:
    problems = []
    for (invocation, status, ours, heavy), load in zip(FIRST, loads, strict=True):
        wanted, found = ours | heavy, load.ours | load.heavy
        if load.status != status or found != wanted:
            more, less = sorted(found - wanted), sorted(wanted - found)
            problems.append(f"{invocation.function}: {load.status}, loads also {more}, does not load {less}")
    assert not problems, "\n".join(problems)
