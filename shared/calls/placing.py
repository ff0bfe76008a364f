"""Outbound calls: accepted, or dropped on the queue, and placed by the engine; one id rings once."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from shared import errors
from shared.calls.call import Call
from shared.calls.dead_letters import DeadLetters
from shared.calls.request import CallRequest, message_id
from shared.config import Settings
from shared.delivery.outbox import Known, Listed, Outbox
from shared.delivery.states import OPTED_OUT, WAITING, State, from_twilio
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
QUEUE_COMES = timedelta(minutes=1)
"""After which a tick places what was accepted, should the queue not have brought it."""
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
        if item.state is State.EXPIRED:
            reason = f"it waited too long: {item.reason}"
        await self._dead_letters.add(
            request_of(item).to_json().encode(),
            reason,
            call_id=item.id,
            queue=QUEUE,
            to=item.to,
            now=item.posted or now,
        )


def call_of(request: CallRequest, now: datetime) -> Call:
    """The call that is asked for, to ring now. Quiet hours do not hold: its sender chose the moment."""
    return Call(**asdict(request), due=now, created=now, expires=now + WAITS, quiet_hours="off")


def request_of(call: Call) -> CallRequest:
    """What was asked for, as it goes onto the queue."""
    return CallRequest(**{each.name: getattr(call, each.name) for each in fields(CallRequest)})


async def accept(
    request: Mapping[str, Any], store: Store[Call], settings: Settings, *, now: datetime
) -> CallRequest:
    """Check a call that is asked for, and enter it as pending; it is to be put on the queue.

    Safe to repeat while it is pending. Raises InvalidRequest, or Conflict afterwards.
    """
    asked = CallRequest.from_json(request, uuid4().hex, settings)
    try:
        await store.add(replace(call_of(asked, now), retry=now + QUEUE_COMES))
    except errors.Contended:
        present = await store.get(asked.id)
        if present.state is not State.PENDING or present.to != asked.to:
            raise errors.Conflict(f"call {asked.id} was requested before", state=present.state) from None
    return asked


async def place(
    raw: bytes, metadata_id: str, calls: Outbox[Call], dead_letters: DeadLetters, *, now: datetime
) -> None:
    """Ring the number in one queue message. Raises StorageAway where the queue shall bring it again.

    What retrying cannot help goes to the dead letters at once. What is refused for now waits, as texts do.
    metadata_id: the message's id as the trigger has it.
    """
    from shared.delivery.single import send_now

    own_id = message_id(raw, metadata_id)
    try:
        request = CallRequest.parse(raw, own_id, calls.settings)
    except errors.InvalidRequest as exc:
        await dead_letters.add(raw, str(exc), call_id=own_id, queue=QUEUE, now=now)
        return
    call, store = call_of(request, now), calls.store
    # Where nobody gave it an id, only an earlier delivery can have entered it. That is not worth a look,
    # unless calls are counted: what has rung counts on that day alone.
    is_new = request.id == own_id and not calls.kind.daily_limit
    present = None if is_new else await store.find(request.id)
    if present and present.state not in WAITING:
        log.info("call %s is not rung again: it is %s", present.id, present.state)
        return
    if present:
        call = replace(call, created=present.created, etag=present.etag)
    # Before the claim: where storage fails here, nothing is in doubt yet.
    if await calls.kind.opted_out(call):
        await _ended(store, present, replace(call, state=State.SUPPRESSED, reason=OPTED_OUT))
    elif await _is_over_the_limit(calls, call, now):
        limit = calls.kind.daily_limit
        reason = f"its number has had {limit} calls today, by UTC (DAILY_CALL_LIMIT): replay it tomorrow"
        failed = replace(call, state=State.FAILED, reason=reason, updated=now)
        await dead_letters.add(raw, reason, call_id=call.id, queue=QUEUE, to=call.to, now=now)
        await _ended(store, present, failed)
    else:
        await send_now(calls, present, call, now=now)


async def _ended(store: Store[Call], present: Call | None, call: Call) -> None:
    if present:
        await store.change(present, call)
    else:
        with suppress(errors.Contended):  # an earlier delivery has entered it
            await store.add(call)


async def _is_over_the_limit(calls: Outbox[Call], call: Call, now: datetime) -> bool:
    """Is it one call too many to this number today?"""
    limit = calls.kind.daily_limit
    if not limit:
        return False
    from shared.delivery.daily_count import count_once

    return call.id not in await count_once(calls, call.to, [call.id], limit, now=now)
