"""Outbound calls: accepted, or dropped on the queue, and placed by the engine; one id rings once."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from shared import errors
from shared.calls.call import Call
from shared.calls.calls import QUEUE, WAITS
from shared.calls.dead_letters import DeadLetters
from shared.calls.request import CallRequest, message_id
from shared.config import Settings
from shared.delivery.outbox import Outbox
from shared.delivery.states import OPTED_OUT, WAITING, State
from shared.delivery.store import Store

log = logging.getLogger(__name__)

QUEUE_COMES = timedelta(minutes=1)
"""After which a tick places what was accepted, should the queue not have brought it."""


def call_of(request: CallRequest, now: datetime) -> Call:
    """The call that is asked for, to ring now. Quiet hours do not hold: its sender chose the moment."""
    return Call(**asdict(request), due=now, created=now, expires=now + WAITS, quiet_hours="off")


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
        call = replace(present, **asdict(request))
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
