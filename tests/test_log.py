"""No log line holds a message body, a whole phone number or a secret, whatever happens, at any level."""

import asyncio
import json
import logging
import re
from datetime import UTC, datetime, timedelta

import azure.functions as func
import pytest

from local.twilio import Emulator
from shared import timer
from shared.calls import placing
from shared.calls import status as call_status
from shared.services import Services
from shared.sms import status as sms_status
from tests import webhooks
from tests.front import Front
from tests.sending import keep, person

OURS = ("shared", "switchboard", "twilio", "azure", "aiohttp")
BODY = "the parcel is behind the door"
SECRETS = ("twilio_test_auth_token", "AccountKey", "SharedKey")


def listen(front: Front, services: Services) -> None:
    async def handle(req: func.HttpRequest) -> func.HttpResponse:
        if "/voice/status" in req.url:
            calls = services.call_outbox
            return await webhooks.record(req, services, lambda got: call_status.reported(got, calls))
        if "/sms/status" in req.url:
            texts = services.text_outbox
            return await webhooks.record(req, services, lambda got: sms_status.reported(got, texts))
        if "/sms" in req.url:
            return await webhooks.text(req, services)
        return func.HttpResponse("<Response/>", mimetype="text/xml")

    front.handle = handle


async def test_logs_hold_ids_and_nothing_personal(
    services: Services, emulator: Emulator, front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    listen(front, services)
    emulator.configure_number(sms_url=f"{front.url}/api/sms")
    now = datetime.now(UTC)
    codes = {1: 21610, 2: 21606, 3: 21211, 4: 20429, 5: 63007, 6: 21265, 7: 20003}
    for number, code in codes.items():
        status = {20003: 401, 20429: 429}.get(code, 400)
        emulator.plan(kind="error", code=code, status=status, to=person(number))
    emulator.plan(kind="lost", to=person(8))
    emulator.plan(kind="lost", to=person(9), accepted=False)
    emulator.plan(kind="outcome", outcome="undelivered", code=30005, to=person(10))
    await keep(services, 12, body=BODY, due=now)
    for minutes in (0, 1, 3, 6, 90):
        await timer.tick(services.text_outbox, services.call_outbox, now=now + timedelta(minutes=minutes))
    with emulator.away():
        await keep(services, 4, body=BODY, due=now)
        await timer.tick(services.text_outbox, services.call_outbox, now=now + timedelta(minutes=91))
    for number, refused in enumerate((None, 21216, 21210, 20500), 1):
        if refused:
            emulator.plan(
                kind="error", code=refused, status=500 if refused == 20500 else 400, resource="calls"
            )
        asked = {"to": person(number + 20), "say": BODY, "id": f"call-{number}"}
        await placing.place(
            json.dumps(asked).encode(), "q", services.call_outbox, services.dead_letters, now=now
        )
    wrong = json.dumps({"to": person(1), "say": BODY, "url": BODY}).encode()
    await placing.place(wrong, "q", services.call_outbox, services.dead_letters, now=now)
    for body in (BODY, "STOP", "START", "STATUS"):
        await emulator.inbound_message_async(person(12), "+12025550100", body)
    forged = func.HttpRequest("POST", f"{front.url}/api/sms?To=%2B12025550112", headers={}, body=b"")
    assert front.handle is not None
    assert (await front.handle(forged)).status_code == 403
    await emulator.settle_async()
    await asyncio.sleep(0)
    lines = [each for each in caplog.records if each.name.startswith(OURS)]
    text = "\n".join(f"{each.name} {each.getMessage()} {each.exc_text or ''}" for each in lines)
    for event in ("refused a webhook", "is held", "may or may not have left", "dead letter", "is placed as"):
        assert event in text
    assert BODY not in text
    assert re.findall(r"(?:\+|%2B)\d{8,}", text) == []
    assert not any(secret in text for secret in SECRETS)
    assert {each.levelno for each in lines if each.name.startswith(("twilio", "azure"))} <= {
        logging.WARNING,
        logging.ERROR,
    }
