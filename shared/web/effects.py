"""Carries out the effects of a flow: what it wants done besides its TwiML."""

import json
import logging
from collections.abc import Iterable
from datetime import datetime

from shared.config import Settings
from shared.delivery.store import Store
from shared.errors import Conflict, InvalidRequest
from shared.sms import opt_outs, schedule
from shared.sms.message import Message
from shared.twiml.reply import CallBack, Effect, OptOut, Text

log = logging.getLogger(__name__)


async def carry_out(
    effects: Iterable[Effect], messages: Store[Message], settings: Settings, *, now: datetime
) -> list[str]:
    """Schedule the texts and keep the opt-outs. Returns the calls to place, as messages for the queue."""
    calls: list[str] = []
    for effect in effects:
        match effect:
            case Text():
                request = {"to": effect.to, "body": effect.body, "idempotency_key": effect.id}
                try:
                    await schedule.create(request, messages, settings, now=now)
                except (InvalidRequest, Conflict) as exc:  # the caller gets the TwiML in any case
                    log.error("a text of a call flow cannot be sent: %s", exc)
            case CallBack():
                calls.append(json.dumps({"to": effect.to, "url": effect.url, "id": effect.id}))
            case OptOut(address, ends=True):
                await opt_outs.opt_in(messages, address)
            case OptOut(address):
                await opt_outs.opt_out(messages, address, now=now, source="asked for")
            case _:
                log.warning("a call flow warns: %s", effect.reason)
    return calls
