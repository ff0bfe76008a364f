"""`ops doctor`: all well on a good deployment, and each planted mistake named with what mends it."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from azure.storage.queue import QueueClient

from local.twilio import NUMBER, Emulator
from local.twilio.model.options import Number, Options, Pace
from ops import recent_failures
from ops.client import Api, Deployment
from ops.doctor import Examination
from ops.recent_failures import SHOWN
from ops.signature import MENDS
from shared import timer
from shared.calls import placing
from shared.calls.call import Call
from shared.delivery import paging as listing
from shared.delivery.states import State
from shared.sms import schedule
from shared.sms.message import Message, new_id
from shared.storage import heartbeat
from tests.azurite import Azurite, signed
from tests.calling import settings_with
from tests.ops.conftest import KEY, SERVICE, Rewrite, Run, in_a_service, listening, running_services


def found(result: Any, check: str) -> list[tuple[str, str]]:
    """(status, text with its mend) of one check's findings in a --json report."""
    findings = json.loads(result.stdout)["findings"]
    return [
        (each["status"], f"{each['says']}. {each['mend']}") for each in findings if each["check"] == check
    ]


async def refused(result: Any) -> str:
    """The first failing word about signatures."""
    return next(text for status, text in found(result, "signature") if status == "fail")


async def beat(now: datetime, report: str = "nothing due") -> None:
    await heartbeat.beat(running_services().messages.table, report, now=now)


@pytest.mark.usefixtures("public")
async def test_all_is_well_on_a_connected_number(ops: Run) -> None:
    await ops("connect", NUMBER)
    await beat(datetime.now(UTC))

    result = await ops("doctor")

    assert result.exit_code == 0, result.output
    assert "All is well" in result.output
    findings = json.loads((await ops("doctor", "--json")).stdout)["findings"]
    # What other tests left behind is no fault of this deployment's.
    others = ("dead letters", "messages", "calls")
    assert {each["status"] for each in findings if each["check"] not in others} == {"ok"}


# Signatures: each mistake of the list, planted.


@pytest.mark.usefixtures("public")
async def test_a_host_that_is_not_public_base_url_is_named(ops: Run, served: str, emulator: Emulator) -> None:
    other = served.replace("localhost", "127.0.0.1")
    emulator.configure_number(voice_url=f"{other}/api/voice")

    text = await refused(await ops("doctor", "--json"))

    assert "because of the host" in text
    assert MENDS["host"][1:] in text


async def test_a_scheme_that_is_not_public_base_urls_is_named(
    ops: Run, served: str, emulator: Emulator
) -> None:
    emulator.configure_number(voice_url=f"{served}/api/voice")

    with settings_with(PUBLIC_BASE_URL=served.replace("http:", "https:")):
        text = await refused(await ops("doctor", "--json"))

    assert "because of the scheme" in text
    assert f"Twilio signs {served}/api/voice, the app checks https:" in text


async def test_a_port_that_is_not_public_base_urls_is_named(
    ops: Run, served: str, emulator: Emulator
) -> None:
    emulator.configure_number(voice_url=f"{served}/api/voice")

    with settings_with(PUBLIC_BASE_URL="http://localhost:1"):
        text = await refused(await ops("doctor", "--json"))

    assert "because of the port" in text


def without_slash(request: web.Request) -> str:
    path, mark, query = request.raw_path.partition("?")
    return path.removesuffix("/") + mark + query


def without_code(request: web.Request) -> str:
    return request.raw_path.partition("?")[0]


def encoded_anew(request: web.Request) -> str:
    return request.raw_path.replace("%20", "+")


def without_prefix(request: web.Request) -> str:
    return request.raw_path.removeprefix("/hook")


@pytest.mark.parametrize(
    ("rewrite", "configured", "mistake"),
    [
        (without_slash, "/api/voice/", "slash"),
        (without_code, "/api/voice?code=secret", "code"),
        (without_code, "/api/voice?line=1", "query"),
        (encoded_anew, "/api/voice?line=front%20desk", "encoding"),
        (without_prefix, "/hook/api/voice", "prefix"),
    ],
)
@pytest.mark.parametrize("key", [KEY, None], ids=["with a key", "without a key"])
async def test_what_a_proxy_does_to_the_url_is_named(
    ops: Run,
    proxy: Callable[[Rewrite], str],
    emulator: Emulator,
    rewrite: Rewrite,
    configured: str,
    mistake: str,
    key: str | None,
) -> None:
    origin = proxy(rewrite)
    emulator.configure_number(voice_url=f"{origin}{configured}")

    with settings_with(PUBLIC_BASE_URL=origin):
        result = await ops("doctor", "--json", SWITCHBOARD_KEY=key or "wrong")

    text = await refused(result)
    assert f"because of the {mistake}:" in text
    assert MENDS[mistake][1:] in text
    assert "secret" not in result.stdout


async def test_a_proxy_that_changes_more_is_told_from_the_app(
    ops: Run, proxy: Callable[[Rewrite], str], emulator: Emulator
) -> None:
    origin = proxy(lambda request: f"{request.raw_path}?added=1&by=a-proxy")
    emulator.configure_number(voice_url=f"{origin}/api/voice")

    with settings_with(PUBLIC_BASE_URL=origin):
        text = await refused(await ops("doctor", "--json"))

    assert "the app itself is not: something on the way rewrites the request" in text


async def test_a_token_of_another_kind_is_named(ops: Run, served: str, emulator: Emulator) -> None:
    emulator.configure_number(voice_url=f"{served}/api/voice")

    with settings_with(PUBLIC_BASE_URL=served, TWILIO_AUTH_TOKEN="the-api-secret"):
        result = await ops("doctor", "--json", TWILIO_API_SECRET="the-api-secret")

    text = await refused(result)
    assert "because of the token" in text
    assert "the app checks with TWILIO_API_SECRET" in text
    assert "the-api-secret" not in result.stdout


async def test_a_token_that_nobody_knows_is_named(ops: Run, served: str, emulator: Emulator) -> None:
    emulator.configure_number(voice_url=f"{served}/api/voice")

    with settings_with(PUBLIC_BASE_URL=served, TWILIO_AUTH_TOKEN="an-old-token"):
        text = await refused(await ops("doctor", "--json"))

    assert "because of the token" in text
    assert MENDS["token"][1:] in text


async def test_another_account_is_named(ops: Run, served: str, emulator: Emulator) -> None:
    emulator.configure_number(voice_url=f"{served}/api/voice")

    with settings_with(PUBLIC_BASE_URL=served, TWILIO_ACCOUNT_SID="AC" + "1" * 32):
        text = await refused(await ops("doctor", "--json"))

    assert "because of the account" in text
    assert "AC" + "1" * 32 in text


@pytest.mark.usefixtures("public")
async def test_a_webhook_that_is_none_of_ours_is_named(ops: Run, served: str, emulator: Emulator) -> None:
    emulator.configure_number(voice_url=f"{served}/api/nothing")

    assert "answers 404" in await refused(await ops("doctor", "--json"))


# Everything else.


@pytest.mark.usefixtures("public")
async def test_webhooks_that_lead_elsewhere_fail(ops: Run, emulator: Emulator) -> None:
    await ops("connect", NUMBER)
    emulator.configure_number(sms_url="http://localhost:9/sms?code=secret", status_callback="")

    result = await ops("doctor", "--json")

    webhooks = found(result, "webhooks")
    assert result.exit_code == 1
    assert any(
        status == "fail" and "sms_url is http://localhost:9/sms?code=..." in t for status, t in webhooks
    )
    assert any(status == "fail" and "carries ?code=" in text for status, text in webhooks)
    assert any(status == "warn" and "status_callback is not set" in text for status, text in webhooks)
    assert all(f"ops connect {NUMBER}" in text for _, text in webhooks if "carries" not in text)
    assert "secret" not in result.stdout


@pytest.mark.usefixtures("public")
async def test_secrets_in_webhooks_that_lead_elsewhere_are_not_shown(ops: Run, emulator: Emulator) -> None:
    emulator.configure_number(sms_url="http://user:hunter2@localhost:9/sms?key=s3cret&code=t0ken")

    result = await ops("doctor", "--json")

    assert "sms_url is http://...@localhost:9/sms?key=...&code=..." in result.stdout
    for secret in ("user", "hunter2", "s3cret", "t0ken"):
        assert secret not in result.stdout


@pytest.mark.usefixtures("public")
async def test_a_messaging_service_that_takes_the_texts_is_a_failure(ops: Run, emulator: Emulator) -> None:
    elsewhere = "https://shop.example.com/sms?key=s3cret"
    in_a_service(emulator, use_inbound_webhook_on_number=False, inbound_request_url=elsewhere)
    await ops("connect", NUMBER)

    result = await ops("doctor", "--json")

    ((status, text),) = found(result, "webhooks")
    assert status == "fail"
    assert result.exit_code == 1
    assert f"sms_url of {NUMBER} is not used: the Messaging Service Shop ({SERVICE})" in text
    assert "takes its texts to https://shop.example.com/sms?key=..." in text
    assert "Defer to sender's webhook" in text
    in_a_service(emulator)
    await ops("connect", NUMBER)
    assert [status for status, _ in found(await ops("doctor", "--json"), "webhooks")] == ["ok"]


@pytest.mark.usefixtures("public")
async def test_a_number_that_cannot_take_texts_is_warned_of(ops: Run, emulator: Emulator) -> None:
    emulator.reset(Options(numbers=(Number(capabilities=frozenset({"voice"})),), pace=Pace(step=0.01)))

    await ops("connect", NUMBER)
    result = await ops("doctor", "--json")

    assert ("warn", f"{NUMBER} has no sms. ") in found(result, "number")
    assert [status for status, _ in found(result, "webhooks")] == ["ok"]


async def test_a_malformed_connection_string_is_named_on_both_sides(ops: Run, served: str) -> None:
    malformed = "AccountName=gone;AccountKey=s3cret!"
    with settings_with(PUBLIC_BASE_URL=served, AzureWebJobsStorage=malformed):
        result = await ops("doctor", "--json", AzureWebJobsStorage=malformed)

    assert result.exit_code == 1
    texts = [text for _, text in found(result, "storage")]
    assert len(texts) == 3
    assert all("AzureWebJobsStorage must have an AccountKey in base64" in text for text in texts)
    assert all("azd provision" not in text for text in texts)
    ((status, text),) = found(result, "queues")
    assert status == "unknown"
    assert "the queues cannot be seen: AzureWebJobsStorage must have an AccountKey" in text
    assert "s3cret" not in result.stdout


@pytest.mark.usefixtures("public")
async def test_our_own_wrong_credentials_are_named(ops: Run) -> None:
    ((status, text),) = found(await ops("doctor", "--json", TWILIO_AUTH_TOKEN="wrong"), "number")

    assert status == "fail"
    assert "20003" in text


@pytest.mark.usefixtures("public")
async def test_the_apps_wrong_credentials_are_named(ops: Run, emulator: Emulator) -> None:
    emulator.faults(credentials_refused=True)

    ((status, text),) = found(await ops("doctor", "--json"), "Twilio")

    assert status == "fail"
    assert "20003" in text


@pytest.mark.parametrize(
    ("permission", "queues", "says"),
    [
        ("rwdlacup", False, "queues: the app cannot look into outbound-calls: storage answers 403"),
        ("rwdlcup", True, "queues: the app cannot send to a queue: storage answers 403"),
    ],
)
async def test_rights_to_the_queues_that_the_app_lacks_are_named(
    ops: Run, served: str, azurite: Azurite, permission: str, queues: bool, says: str
) -> None:
    limited = signed(azurite.fresh_account(), permission, queues=queues)

    with settings_with(PUBLIC_BASE_URL=served, AzureWebJobsStorage=limited):
        result = await ops("doctor", "--json")

    ((status, text),) = (each for each in found(result, "storage") if "queues" in each[1].partition(".")[0])
    assert status == "fail"
    assert text.startswith(says)
    assert "Storage Queue and Table Data Contributor" in text


async def test_an_app_that_is_older_than_the_commands_leaves_its_queues_unknown(public: str) -> None:
    async def older(_: web.Request) -> web.Response:
        fine = dict.fromkeys(("storage", "files", "twilio"))
        return web.json_response({**fine, "public_base_url": public})

    application = web.Application()
    application.router.add_get("/api/diagnosis", older)
    async with listening(application) as origin:
        examination = Examination(Deployment(origin, "a test", {}, KEY))
        findings = await asyncio.to_thread(lambda: list(examination.inside()))

    assert [each.says for each in findings if each.status == "unknown"] == [
        "queues: the app is older than these commands"
    ]


@pytest.mark.usefixtures("without_from_number")
async def test_missing_settings_are_named(ops: Run) -> None:
    result = await ops("doctor", "--number", NUMBER, "--json")

    ((status, text),) = found(result, "settings")
    assert status == "fail"
    assert "TWILIO_FROM_NUMBER" in text
    assert result.exit_code == 1


@pytest.mark.usefixtures("public")
async def test_a_setting_without_effect_is_named(ops: Run) -> None:
    with settings_with(APP_SERVICE_AUTHENTICATION="true"):
        result = await ops("doctor", "--json")

    assert result.exit_code == 1
    ((status, text),) = found(result, "settings")
    assert status == "fail"
    assert "without effect: APP_SERVICE_AUTHENTICATION" in text


async def test_an_app_that_is_not_there_is_one_clear_failure(ops: Run) -> None:
    result = await ops("doctor", "http://localhost:9", "--json")

    ((status, text),) = found(result, "app")
    assert status == "fail"
    assert "cannot be reached" in text
    assert len(json.loads(result.stdout)["findings"]) == 1


@pytest.mark.usefixtures("public")
async def test_a_wrong_key_leaves_the_outside_to_be_seen(ops: Run) -> None:
    result = await ops("doctor", "--json", SWITCHBOARD_KEY="wrong")

    ((status, text),) = found(result, "inside")
    assert status == "unknown"
    assert "--key" in text
    assert found(result, "timer")[0][0] == "unknown"
    assert found(result, "number")[0][0] == "ok"


@pytest.mark.parametrize(
    ("seconds", "report", "status", "says"),
    [
        (5, "2 submitted", "ok", "2 submitted"),
        (120, "nothing due", "fail", "the timer last ran 12"),
        (5, "nothing due; stopped: credentials", "fail", "stopped: credentials"),
    ],
)
async def test_the_timers_heartbeat_is_judged_by_its_schedule(
    ops: Run, served: str, seconds: int, report: str, status: str, says: str
) -> None:
    await beat(datetime.now(UTC) - timedelta(seconds=seconds), report)

    with settings_with(PUBLIC_BASE_URL=served, SMS_SCHEDULE="*/15 * * * * *"):
        ((found_status, text),) = found(await ops("doctor", "--json"), "timer")

    assert found_status == status
    assert says in text


@pytest.mark.parametrize(("hours", "says"), [(2, "behind"), (-2, "ahead of")])
async def test_a_clock_that_is_wrong_is_named(public: str, hours: int, says: str) -> None:
    wrong = datetime.now(UTC) + timedelta(hours=hours)
    examination = Examination(Deployment(public, "a test", {}, KEY), now=lambda: wrong)

    findings = await asyncio.to_thread(lambda: list(examination.health()))

    (clock,) = (each for each in findings if each.check == "clock")
    assert clock.status == "fail"
    assert re.match(rf"the app's clock is 7[12]\d\d s {says} this machine's", clock.says)


@pytest.mark.usefixtures("public")
async def test_waiting_and_poisoned_queues_are_counted(ops: Run, azurite: Azurite) -> None:
    connection = azurite.fresh_account()
    for name, count in (("outbound-calls", 2), ("outbound-calls-poison", 1)):
        with QueueClient.from_connection_string(connection, name) as queue:
            queue.create_queue()
            for _ in range(count):
                queue.send_message("{}")

    queues = found(await ops("doctor", "--json", AzureWebJobsStorage=connection), "queues")

    assert any(status == "ok" and "outbound-calls 2" in text for status, text in queues)
    assert any(status == "fail" and "outbound-calls-poison" in text for status, text in queues)


@pytest.mark.usefixtures("public")
async def test_a_failed_message_is_shown_with_twilios_meaning(ops: Run, emulator: Emulator) -> None:
    services, now = running_services(), datetime.now(UTC)
    message = {"to": "+12025550161", "body": "hello"}
    for each in range(SHOWN):
        earlier = {"to": f"+1202555017{each}", "body": "hello"}
        emulator.plan(kind="error", code=21614, status=400, to=earlier["to"])
        before = now - timedelta(minutes=1)
        await schedule.create(earlier, services.messages, services.settings, now=before)
        await timer.tick(services.text_outbox, services.call_outbox, now=before)
    emulator.plan(kind="error", code=21614, status=400, to=message["to"])
    created = await schedule.create(message, services.messages, services.settings, now=now)
    await timer.tick(services.text_outbox, services.call_outbox, now=now)

    texts = [text for _, text in found(await ops("doctor", "--json"), "messages")]

    assert any(
        text.startswith(f"{created.id} is failed: the recipient is not a mobile number (Twilio error 21614)")
        for text in texts
    )


@pytest.mark.usefixtures("public")
async def test_a_held_message_is_shown_however_many_wait_before_it(
    ops: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page looks at so many rows and may be short; here at few."""
    monkeypatch.setattr(listing, "MOST", SHOWN + 3)
    services, to, now = running_services(), "+12025550182", datetime.now(UTC)
    waits = [Message(id=new_id(to, at), to=to, body="hello", due=at, created=now) for at in [now] * 20]
    for each in waits:
        await schedule.keep(replace(each, retry=now + timedelta(days=1)), services.messages)
    held = replace(waits[0], id=new_id(to, now), state=State.HELD, retry=now + timedelta(days=2))
    await schedule.keep(replace(held, reason="the sender cannot send SMS"), services.messages)

    texts = [text for _, text in found(await ops("doctor", "--json"), "messages")]

    assert any(text.startswith(f"{held.id} is held: the sender cannot send SMS") for text in texts)


async def went_wrong(emulator: Emulator, now: datetime) -> tuple[Call, Call]:
    """A call that Twilio refuses, and a later one that nobody can account for."""
    services = running_services()
    stamp = f"{now.timestamp():.6f}".replace(".", "")
    emulator.plan(kind="error", code=21214, status=400, resource="calls")
    request = {"to": "+12025550180", "say": "hello", "id": f"refused-{stamp}"}
    await placing.place(
        json.dumps(request).encode(),
        "unused",
        services.call_outbox,
        services.dead_letters,
        now=now - timedelta(seconds=2),
    )
    lost = Call(
        id=f"lost-{stamp}",
        to="+12025550181",
        due=now - timedelta(seconds=1),
        created=now - timedelta(seconds=1),
        state=State.UNRESOLVED,
        reason="Twilio does not list it",
    )
    await services.calls.add(lost)
    return await services.calls.get(request["id"]), lost


@pytest.mark.usefixtures("public")
async def test_failed_and_unresolved_calls_are_shown_newest_first(ops: Run, emulator: Emulator) -> None:
    refused, lost = await went_wrong(emulator, datetime.now(UTC))

    shown = found(await ops("doctor", "--json"), "calls")

    assert [each for each in shown if refused.id in each[1] or lost.id in each[1]] == [
        ("warn", f"{lost.id} is unresolved: Twilio does not list it. "),
        ("warn", f"{refused.id} is failed: the number to call is not a phone number (Twilio error 21214). "),
    ]


@pytest.mark.parametrize(
    ("later", "is_shown"), [(timedelta(hours=2), True), (timedelta(days=6), True), (timedelta(days=8), False)]
)
async def test_calls_of_more_than_a_week_ago_are_not_shown(
    public: str, emulator: Emulator, later: timedelta, is_shown: bool
) -> None:
    now = datetime.now(UTC)
    _, lost = await went_wrong(emulator, now)
    api = Api(Deployment(public, "a test", {}, KEY))

    findings = await asyncio.to_thread(lambda: list(recent_failures.calls(api, now + later)))

    assert any(each.says.startswith(lost.id) for each in findings) is is_shown


async def test_more_calls_than_can_be_looked_through_are_said_to_be(
    public: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    _, lost = await went_wrong(emulator, now)
    monkeypatch.setattr(recent_failures, "PAGE", 1)
    monkeypatch.setattr(recent_failures, "MOST_PAGES", 1)
    api = Api(Deployment(public, "a test", {}, KEY))

    findings = await asyncio.to_thread(lambda: list(recent_failures.calls(api, now + timedelta(hours=2))))

    newest, rest = findings
    assert newest.says.startswith(lost.id)
    assert (rest.status, rest.says) == ("unknown", "too many to look through those of more than 2 h ago")
