"""What people do with messages: create, list, edit, cancel, resend; and what Twilio reports of them."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared import errors
from shared.config import Settings
from shared.delivery import settle as reconcile
from shared.delivery.states import IN_DOUBT, WAITING, State, advance, from_twilio, with_report
from shared.delivery.store import MessageStore, Page
from shared.sms import message
from shared.sms.message import Message
from shared.times import instants as when
from shared.twilio_helper import meaning
from shared.twiml.request import TwilioRequest

if TYPE_CHECKING:
    from shared.services import Services

log = logging.getLogger(__name__)

SETTLED = {State.SENT, State.DELIVERED, State.UNDELIVERED, State.FAILED, State.READ}


async def create(
    request: Mapping[str, Any], store: MessageStore, settings: Settings, *, now: datetime
) -> Message:
    """Accept one message, to be sent now or at its time. Raises InvalidRequest or Conflict."""
    new, key = message.parse(request, settings, now=now)
    return await store.create(new, key, message.fingerprint(request) if key else "")


async def listed(params: Mapping[str, str], store: MessageStore, *, token: str, limit: int) -> Page:
    """A page of messages, by `state`, `due_after` and `due_before` (RFC 3339)."""
    state = None
    if params.get("state"):
        try:
            state = State(params["state"])
        except ValueError as exc:
            raise errors.InvalidRequest("state", f"must be one of {', '.join(State)}") from exc
    after, before = (
        when.parse(params[name], name, None) if params.get(name) else None
        for name in ("due_after", "due_before")
    )
    return await store.page(state=state, after=after, before=before, token=token, limit=limit)


async def edit(
    message_id: str, request: Mapping[str, Any], services: "Services", *, now: datetime
) -> Message:
    """Change a message that still waits. Raises InvalidRequest, or Conflict once it is too late."""

    def change(present: Message) -> Message:
        return message.edited(present, request, services.settings, now=now)

    store = services.messages
    present = await _waiting(message_id, store)
    new = change(present)
    if new.to != present.to and await store.opted_out(new.to):
        raise errors.Conflict("the new recipient has opted out", state=present.state)
    await store.enlist(new)
    return await _changed(present, store, change)


async def cancel(message_id: str, store: MessageStore, *, now: datetime) -> Message:
    """Cancel a message that still waits, and with it the rest of its series. Raises Conflict."""

    def change(present: Message) -> Message:
        return replace(present, state=State.CANCELED, reason="", updated=now)

    return await _changed(await _waiting(message_id, store), store, change)


async def resend(message_id: str, store: MessageStore, *, now: datetime) -> Message:
    """A person decides that an unresolved message shall go out (again). Raises Conflict for any other."""
    present = await store.get(message_id)
    if present.state is not State.UNRESOLVED:
        raise errors.Conflict(
            f"it is {present.state}: only an unresolved message is resent", state=present.state
        )
    if present.to.startswith("-"):
        raise errors.Conflict("its recipient was erased", state=present.state)
    if await store.opted_out(present.to):
        raise errors.Conflict("the recipient has opted out", state=present.state)
    again = replace(
        present,
        state=State.PENDING,
        due=now,
        retry=None,
        expires=None,
        looks=0,
        reason="resent",
        updated=now,
    )
    await store.enlist(again)
    return await store.change(present, again)


async def show(message_id: str, services: "Services", *, now: datetime) -> Message:
    """One message, with its price."""
    return await priced(await services.messages.get(message_id), services, now=now)


async def priced(present: Message, services: "Services", *, now: datetime) -> Message:
    """The message with its price, which Twilio knows a little after it has sent it."""
    if not present.sid or present.price or present.state not in SETTLED:
        return present
    try:
        known = await services.twilio.message(present.sid)
    except errors.TwilioError as exc:
        log.warning("the price of message %s is not to be had: %s", present.id, exc)
        return present
    if known.price is None:
        return present
    new = replace(present, price=f"{known.price} {known.price_unit or ''}".strip(), updated=now)
    try:
        return await services.messages.change(present, new)
    except errors.Contended:
        return await services.messages.get(present.id)


async def reported(request: TwilioRequest, store: MessageStore) -> None:
    """A message status callback: it may come before our own write, twice, or out of order."""
    message_id = request.state("id")
    state = from_twilio(request.get("MessageStatus"))
    if not message.is_id(message_id) or state is None:
        log.info("a message status callback that is none of the schedule's")
        return
    for _ in range(8):
        try:
            present = await store.get(message_id)
        except errors.NotFound:
            log.warning("a status callback for message %s, which is not there", message_id)
            return
        new = _noted(present, state, request)
        if new == present:
            return
        try:
            await store.change(present, new)
        except errors.Contended:
            continue
        if new.sid != present.sid and (present.looks or present.looked_up):
            await reconcile.disown(store, new, now=request.now)
        return
    raise errors.Contended(f"message {message_id} keeps changing")


def _noted(present: Message, state: State, request: TwilioRequest) -> Message:
    sid = request.get("MessageSid")
    # It carries our id: where messages alike were looked up, and mixed up, it knows better.
    mixed_up = present.looked_up and present.sid != sid
    if request.state("attempt") != present.attempt or (present.sid and present.sid != sid and not mixed_up):
        log.error(
            "message %s: a callback of SID %s, attempt %s; it has SID %s, attempt %s",
            present.id,
            sid,
            request.state("attempt"),
            present.sid or "none yet",
            present.attempt,
        )
        return present
    # A callback proves that it left, so a message that waits to be sent again (refused for now, or resent by
    # a person) is settled by it too.
    certain = not mixed_up and present.state not in IN_DOUBT | WAITING
    before = present.state if certain else State.SUBMITTED
    after = advance(before, state)
    reports = with_report(present.reports, state, request.now)
    if after is present.state:
        return replace(present, sid=sid, looked_up=False, reports=reports)
    code = request.get("ErrorCode")
    code = code if code.isdecimal() and after in {State.FAILED, State.UNDELIVERED} else ""
    return replace(
        present,
        state=after,
        sid=sid,
        looked_up=False,
        code=int(code or 0),
        reason=meaning(int(code)) if code else "",
        updated=request.now,
        reports=reports,
    )


async def _waiting(message_id: str, store: MessageStore) -> Message:
    present = await store.get(message_id)
    if present.state not in WAITING:
        raise errors.Conflict(f"it is too late: the message is {present.state}", state=present.state)
    return present


async def _changed(present: Message, store: MessageStore, change: Callable[[Message], Message]) -> Message:
    """Change a waiting message; where someone else was quicker, look at it again."""
    for _ in range(8):
        try:
            return await store.change(present, change(present))
        except errors.Contended:
            present = await _waiting(present.id, store)
    raise errors.Contended(f"message {present.id} keeps changing")
