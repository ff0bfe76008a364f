"""What the engine has to know of calls: how one is posted, listed and recognised at Twilio."""

import logging
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared import errors
from shared.calls.call import Call
from shared.calls.dead_letters import DeadLetters
from shared.config import Settings
from shared.delivery.outbox import Known, Listed
from shared.delivery.states import State, from_twilio
from shared.delivery.store import Store
from shared.twilio_errors import NOT_FOUND

if TYPE_CHECKING:
    from shared.sms.message import Message
    from shared.twilio_helper import Sent, Twilio

log = logging.getLogger(__name__)

QUEUE = "outbound-calls"
CALL_BACK = "callback-"
"""What the ids of calls begin with that a caller asked for: they ring also who wants no texts."""
WAITS = timedelta(hours=1)
"""How long a call waits for whatever holds it: "your table is ready" must not ring tomorrow."""
EVENTS = ["initiated", "ringing", "answered", "completed"]


class Calls:
    """The engine's Kind (shared/delivery/outbox.py) for calls."""

    limit_name = "DAILY_CALL_LIMIT"

    def __init__(
        self, texts: "Store[Message]", dead_letters: DeadLetters, twilio: "Twilio", settings: Settings
    ) -> None:
        self._texts, self._dead_letters = texts, dead_letters
        self._twilio, self._settings = twilio, settings
        self.daily_limit = settings.daily_call_limit

    async def post(self, item: Call) -> str:
        """POST one call. Its status callbacks carry its id and attempt."""
        base = f"{self._settings.public_base_url}/api/voice"
        options: dict[str, Any] = {"status_callback_event": EVENTS, "time_limit": item.time_limit}
        if item.twiml:
            options["twiml"] = item.twiml
        elif item.url:
            options["url"] = item.url
        else:  # asked for once more where storage, which has the text, did not answer: nobody else knows it
            options["url"] = options["fallback_url"] = f"{base}/step/outbound?id={item.id}"
        if item.sender:
            options["from_"] = item.sender
        for name in ("machine_detection", "timeout", "record"):
            if getattr(item, name):
                options[name] = getattr(item, name)
        callback = f"{base}/status?id={item.id}&attempt={item.attempt}"
        sent = await self._twilio.place_call(to=item.to, status_callback=callback, **options)
        log.info("call %s is placed as %s", item.id, sent.sid)
        return sent.sid

    async def listed(self, to: str, *, since: datetime) -> "Sequence[Sent]":
        """The calls placed to one number over the API."""
        return await self._twilio.calls_to(to, since=since)

    def could_be(self, item: Call, listed: Listed) -> bool:  # noqa: ARG002 - the engine's Kind
        """Nothing but the time tells calls to one number apart."""
        return True

    def are_alike(self, one: Call, other: Call) -> bool:  # noqa: ARG002 - the engine's Kind
        """All calls to one number are."""
        return True

    async def fetch(self, sid: str) -> Known | None:
        """One call as Twilio has it."""
        try:
            known = await self._twilio.call(sid)
        except errors.Refused as exc:
            if exc.code == NOT_FOUND:
                return None
            raise
        seconds = int(known.duration or 0)
        return Known(from_twilio(str(known.status)), changes={"seconds": seconds} if seconds else {})

    async def opted_out(self, item: Call) -> bool:
        """Has its recipient opted out, and not asked for this very call?"""
        return not item.id.startswith(CALL_BACK) and await self._texts.opted_out(item.to)

    def put_off(self, item: Call, until: datetime) -> Call:
        """One that was given a time, and no expiry, has an hour from when it may ring."""
        return replace(item, expires=until + WAITS) if item.is_timed and not item.expires_after else item

    async def before_end(self, item: Call, *, now: datetime) -> None:
        """What failed, or waited too long, is a dead letter."""
        if item.state is State.SUPPRESSED:
            return
        reason = f"Twilio error {item.code}: {item.reason}" if item.code else item.reason
        died = item.posted or now
        if item.state is State.EXPIRED:
            reason, died = f"it waited too long: {item.reason}", item.expires or now
        await self._dead_letters.add(
            _request_of(item),
            reason,
            call_id=item.id,
            queue=QUEUE,
            to=item.to,
            now=died,  # the same, however often this end is written
        )


def _request_of(call: Call) -> bytes:
    """What was asked for, as it goes onto the queue."""
    from shared.calls.request import CallRequest

    request = CallRequest(**{each.name: getattr(call, each.name) for each in fields(CallRequest)})
    return request.to_json().encode()
