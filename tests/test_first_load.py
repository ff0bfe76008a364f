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

WEBHOOK = {"twilio_helper", "twiml.reply", "twiml.request", "web.webhook"}
TWILIO = {"twilio_client", "twilio_errors", "twilio_helper"}
MENU = {"voice.context", "voice.menu", "voice.prompts"}
FLOWS = {f"voice.{name}" for name in ("agents", "context", "dial", "prompts", "softphone", "voicemail")}
TABLES = {f"storage.{name}" for name in ("batching", "layout", "rows", "tables")}
STORE = TABLES | {f"delivery.{name}" for name in ("keys", "record", "states", "store", "timings")}
STORE |= {"storage.partitions", "times.instants"}
TEXTS = STORE | {"sms.message", "sms.segments"}
CALLS = STORE | {"calls.call"}
OUTBOX = {"delivery.outbox", "delivery.throttle", "twilio_errors", "twilio_helper"}
TEXT_OUTBOX = TEXTS | OUTBOX | {"sms.texts"}
CALL_OUTBOX = TEXTS | CALLS | OUTBOX | {"calls.calls", "calls.dead_letters"}
DRAIN = {
    f"delivery.{name}" for name in ("daily_count", "drain", "drain_requests", "outcome", "sender", "settle")
}
DRAIN |= {"storage.heartbeat", "timer", "times.quiet_hours"}
PARSED = {"sms.request", "times.quiet_hours", "times.recurrence"}

AT_TABLES = {"aiohttp", "azure.data.tables"}
AT_STORE = AT_TABLES | {"zoneinfo"}
AT_TWILIO = {"aiohttp", "requests", "twilio.rest"}

FIRST: list[tuple[Invocation, int, set[str], set[str]]] = [
    (
        Invocation("send_due_sms", "timer"),
        200,
        TEXT_OUTBOX | CALL_OUTBOX | DRAIN | {"storage.connection", "storage.queues"},
        AT_STORE | {"azure.storage.queue", "requests"},
    ),
    (webhook("voice_incoming", "voice", CALL), 200, WEBHOOK | MENU, {"twilio.twiml"}),
    (
        webhook("voice_step", "voice/step/menu", {**CALL, "Digits": "3"}, step="menu"),
        200,
        WEBHOOK | MENU | FLOWS | {f"voice.{name}" for name in ("conference", "hold_music", "queue", "steps")},
        {"twilio.twiml"},
    ),
    (
        webhook("voice_step", "voice/step/outbound?id=none", CALL, step="outbound"),
        404,
        WEBHOOK | CALLS | {"voice.context", "voice.outbound", "voice.prompts"},
        AT_STORE | {"twilio.twiml"},
    ),
    (
        webhook("voice_client", "voice/client", {**CALL, "From": "client:agent", "To": "queue"}),
        200,
        WEBHOOK | FLOWS,
        {"twilio.twiml"},
    ),
    (
        webhook("voice_status", "voice/status", {**CALL, "CallStatus": "completed"}),
        204,
        WEBHOOK | CALL_OUTBOX | {"calls.status", "delivery.callbacks"},
        AT_STORE,
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
        WEBHOOK | TEXT_OUTBOX | {"delivery.callbacks", "sms.status"},
        AT_STORE,
    ),
    (
        webhook("twimlet", "twimlets/message?Message=Hi", CALL, name="message"),
        200,
        WEBHOOK
        | {f"voice.{name}" for name in ("context", "hold_music", "prompts", "twimlets", "voicemail")}
        | {"twiml.rules"},
        {"twilio.twiml"},
    ),
    (
        api("token_mint", "POST", {}),
        200,
        TABLES | TWILIO | {"web.access_token"},
        AT_TABLES | AT_TWILIO | {"jwt"},
    ),
    (api("softphone_page"), 200, {"web.pages"}, set()),
    (api("console_page"), 200, {"web.pages"}, set()),
    (api("asset_get", name="console.css"), 200, {"web.pages"}, set()),
    (api("health"), 200, TABLES, AT_TABLES),
    (
        api("diagnosis_get"),
        200,
        TEXTS
        | TWILIO
        | {f"storage.{name}" for name in ("blobs", "connection", "heartbeat", "queues")}
        | {"web.diagnosis"},
        AT_STORE | AT_TWILIO | {"azure.storage.blob", "azure.storage.queue"},
    ),
    (api("line_get"), 200, TWILIO, AT_TWILIO),
    (api("recording", sid=RECORDING), 404, TWILIO, AT_TWILIO),
    (
        api(
            "message_create", "POST", {"to": "+12025550101", "body": "hi", "send_at": "2100-01-31T09:00:00Z"}
        ),
        422,
        {"sms.message", "sms.schedule", "sms.segments"} | STORE | PARSED,
        AT_STORE | {"phonenumbers"},
    ),
    (
        api("message_create", "POST", {"to": "+12025550102", "body": "hi"}),
        201,
        TEXTS | PARSED | {"delivery.drain_requests", "sms.schedule"},
        AT_STORE | {"phonenumbers"},
    ),
    (api("message_list"), 200, TEXTS | {"delivery.paging", "sms.schedule", "times.instants"}, AT_STORE),
    (api("message_get", id=ID), 404, TEXTS | {"sms.schedule", "twilio_helper"}, AT_STORE),
    (api("message_cancel", "DELETE", id=ID), 404, TEXTS | {"delivery.changes", "sms.schedule"}, AT_STORE),
    (
        api("recipient_timeline", "POST", {"to": "+12025550101"}),
        200,
        TEXTS | CALLS | TWILIO | {"recipients.timeline", "sms.schedule"},
        AT_STORE | AT_TWILIO | {"phonenumbers"},
    ),
    (
        api("call_create", "POST", {"to": "+12025550101", "say": "hi"}),
        202,
        CALLS
        | {"calls.calls", "calls.dead_letters", "calls.placing", "calls.request", "twiml.rules"}
        | {"delivery.outbox", "delivery.throttle", "twilio_errors"},
        AT_STORE | {"phonenumbers"},
    ),
    (api("call_list"), 200, CALLS | {"delivery.paging"}, AT_STORE),
    (api("dead_letter_list"), 200, TABLES | {"calls.dead_letters"}, AT_TABLES),
    (api("stats_get"), 200, TEXTS | {"sms.stats"}, AT_STORE),
    (
        Invocation("place_outbound_call", "queue", body='{"to": "+12025550103", "say": "hi"}'),
        200,
        CALL_OUTBOX
        | TWILIO
        | {"calls.placing", "calls.request", "delivery.outcome", "delivery.single", "twiml.rules"},
        AT_STORE | AT_TWILIO | {"phonenumbers"},
    ),
    (Invocation("drain_sms", "queue", body="0f"), 200, TEXT_OUTBOX | DRAIN, AT_STORE),
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
        wanted, found = ours | heavy | {"config"}, load.ours | load.heavy
        if load.status != status or found != wanted:
            more, less = sorted(found - wanted), sorted(wanted - found)
            problems.append(f"{invocation.function}: {load.status}, loads also {more}, does not load {less}")
    assert not problems, "\n".join(problems)
