"""What people do with texts: create, list, edit, cancel, resend and show them."""

import hashlib
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared import errors
from shared.config import Settings
from shared.delivery.states import OPTED_OUT, WAITING, State
from shared.delivery.store import Page, Store
from shared.sms.message import Message

if TYPE_CHECKING:
    from shared.twilio_helper import Twilio

log = logging.getLogger(__name__)

PRICED = {State.SENT, State.DELIVERED, State.UNDELIVERED, State.FAILED, State.READ}


async def create(
    request: Mapping[str, Any], store: Store[Message], settings: Settings, *, now: datetime
) -> Message:
    """Accept one text, to be sent now or at its time. Raises InvalidRequest or Conflict."""
    from shared.sms.request import parse

    new, key = parse(request, settings, now=now)
    return await keep(new, store, key, fingerprint(request) if key else "")


async def keep(new: Message, store: Store[Message], key: str = "", content: str = "") -> Message:
    """Keep a new text; it is due from here on, or suppressed where its recipient has opted out.

    With an idempotency key the same content answers the same text. Raises Conflict for other content.
    """
    if key:
        new = await store.reserve(key, new, content)
    if await store.opted_out(new.to):
        new = replace(new, state=State.SUPPRESSED, reason=OPTED_OUT)
    made = await store.enter(new)
    if made.state in WAITING and await store.opted_out(made.to):
        # A STOP came in between, and may have looked before the text was there.
        with suppress(errors.Contended):
            return await store.change(made, replace(made, state=State.SUPPRESSED, reason=OPTED_OUT))
    return made


async def wants_drain(message: Message, store: Store[Message], settings: Settings, *, now: datetime) -> bool:
    """Whether its shard is to be put on `sms-drain`, so that it leaves at once.

    With MAX_PER_SECOND only the timer sends, at that rate.
    """
    if message.state is not State.PENDING or message.due > now or settings.max_per_second:
        return False
    from shared.delivery import drain_requests

    return await drain_requests.request(store, message.partition, now=now)


def fingerprint(request: Mapping[str, Any]) -> str:
    """The content of a request, for telling whether an idempotency key came with the same one."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


async def listed(
    params: Mapping[str, str], store: Store[Message], *, token: str, limit: int
) -> Page[Message]:
    """A page of texts, by `state`, `due_after` and `due_before` (RFC 3339)."""
    from shared.times import instants

    state = None
    if params.get("state"):
        try:
            state = State(params["state"])
        except ValueError as exc:
            raise errors.InvalidRequest("state", f"must be one of {', '.join(State)}") from exc
    after, before = (
        instants.parse(params[name], name, None) if params.get(name) else None
        for name in ("due_after", "due_before")
    )
    return await store.page(state=state, after=after, before=before, token=token, limit=limit)


async def edit(
    message_id: str, request: Mapping[str, Any], store: Store[Message], settings: Settings, *, now: datetime
) -> Message:
    """Change a text that still waits. Raises InvalidRequest, or Conflict once it is too late."""
    from shared.delivery import changes
    from shared.sms.request import edited

    def change(present: Message) -> Message:
        return edited(present, request, settings, now=now)

    present = await changes.waiting(store, message_id)
    new = change(present)
    if new.to != present.to and await store.opted_out(new.to):
        raise errors.Conflict("the new recipient has opted out", state=present.state)
    return await changes.change(store, present, change)


async def cancel(message_id: str, store: Store[Message], *, now: datetime) -> Message:
    """Cancel a text that still waits, and with it the rest of its series. Raises Conflict."""
    from shared.delivery import changes

    return await changes.cancel(store, message_id, now=now)


async def resend(message_id: str, store: Store[Message], *, now: datetime) -> Message:
    """A person decides that an unresolved text shall go out (again). Raises Conflict for any other."""
    from shared.delivery import changes

    present = await store.get(message_id)
    return await changes.resend(store, message_id, opted_out=await store.opted_out(present.to), now=now)


async def show(message_id: str, store: Store[Message], twilio: "Twilio", *, now: datetime) -> Message:
    """One text, with its price."""
    return await priced(await store.get(message_id), store, twilio, now=now)


async def priced(present: Message, store: Store[Message], twilio: "Twilio", *, now: datetime) -> Message:
    """The text with its price, which Twilio knows a little after it has sent it."""
    if not present.sid or present.price or present.state not in PRICED:
        return present
    try:
        known = await twilio.message(present.sid)
    except errors.TwilioError as exc:
        log.warning("Twilio does not tell the price of message %s: %s", present.id, exc)
        return present
    if known.price is None:
        return present
    new = replace(present, price=f"{known.price} {known.price_unit or ''}".strip(), updated=now)
    try:
        return await store.change(present, new)
    except errors.Contended:
        return await store.get(present.id)
