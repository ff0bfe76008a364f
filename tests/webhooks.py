"""Webhooks in tests: answered and noted with what `services` holds, as function_app.py does it."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import partial

import azure.functions as func

from shared.services import Services
from shared.sms import replies
from shared.twiml.reply import Effect
from shared.twiml.request import TwilioRequest
from shared.voice import steps
from shared.voice.outbound import outbound
from shared.web import effects, webhook


async def reply(
    req: func.HttpRequest, services: Services, flow: webhook.Flow, read: webhook.Read | None = None
) -> func.HttpResponse:
    """Answer a webhook by its flow."""

    async def carry_out(wanted: Iterable[Effect], now: datetime) -> list[str]:
        return await effects.carry_out(wanted, services.messages, services.settings, now=now)

    now = datetime.now(UTC)
    return await webhook.reply(req, lambda: services.settings, flow, carry_out, now=now, read=read)


async def record(
    req: func.HttpRequest, services: Services, note: Callable[[TwilioRequest], Awaitable[None]]
) -> func.HttpResponse:
    """Note a status callback."""
    return await webhook.record(req, lambda: services.settings, note, now=datetime.now(UTC))


async def text(req: func.HttpRequest, services: Services) -> func.HttpResponse:
    """Answer an inbound text."""

    async def asked_about(request: TwilioRequest) -> object:
        return await replies.asked_about(request, lambda: services.messages)

    return await reply(req, services, replies.inbound, asked_about)


async def step(name: str, req: func.HttpRequest, services: Services) -> func.HttpResponse:
    """Answer a further step of a call."""

    async def words(request: TwilioRequest) -> object:
        return (await services.calls.get(request.state("id"))).say

    if name == "outbound":
        return await reply(req, services, outbound, words)
    return await reply(req, services, partial(steps.step, name))
