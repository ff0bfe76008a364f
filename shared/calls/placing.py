"""Outbound calls: placed by their entry in the ledger (shared/calls/ledger.py), where one id rings once.

The protocol is that of the messages (shared/delivery/drain.py): `posting` is written, conditionally, before
the request may leave, and whatever is in doubt afterwards is looked up, never rung again.
"""

import logging
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from shared import errors
from shared.calls.ledger import Call, CallLedger
from shared.calls.request import ID, CallRequest, decode
from shared.config import Settings
from shared.delivery import daily_limit as limits
from shared.delivery.sender import STALE
from shared.delivery.settle import ASK_AFTER, BLIND, FIRST_LOOK, GRACE, SKEW
from shared.delivery.states import IN_DOUBT, WAITING, State, advance, from_twilio, with_report
from shared.delivery.store import OPTED_OUT
from shared.storage.rows import Delete, Insert, Put, Row, Write, stamp
from shared.twilio_helper import Twilio
from shared.twiml.reply import Reply
from shared.twiml.request import TwilioRequest
from shared.voice import menu as voice
from shared.voice import queue as voice_queue

if TYPE_CHECKING:
    from shared.services import Services

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=90)
SETTLED_AT_ONCE = 200
QUEUE = "outbound-calls"
CALL_BACK = "callback-"
RECORDING = re.compile(r"RE[0-9a-f]{32}")
UNDER_WAY = frozenset({State.SUBMITTED, State.RINGING, State.IN_PROGRESS})
EVENTS = ["initiated", "ringing", "answered", "completed"]


async def accept(request: Mapping[str, Any], services: "Services", *, now: datetime) -> CallRequest:
    """Check a call that is asked for, and enter it as pending; it is to be put on the queue.

    Safe to repeat while it is pending. Raises InvalidRequest, or Conflict afterwards.
    """
    asked = CallRequest.from_json(request, uuid4().hex, services.settings)
    call = Call(id=asked.id, to=asked.to, sender=asked.sender, created=now)
    try:
        await services.calls.add(call)
    except errors.Contended:
        present = await services.calls.get(asked.id)
        if present.state is not State.PENDING or present.to != asked.to:
            raise errors.Conflict(f"call {asked.id} was requested before", state=present.state) from None
    return asked


async def place(raw: bytes, message_id: str, services: "Services", *, now: datetime) -> None:
    """Ring the number in one queue message. Raises where the queue shall bring it again.

    What retrying cannot help goes to the dead letters at once, and so does what Twilio refuses.
    """
    began = monotonic()
    settings, ledger, dead = services.settings, services.calls, services.dead_letters
    try:
        request = CallRequest.parse(raw, message_id, settings)
    except errors.InvalidRequest as exc:
        await dead.add(raw, str(exc), call_id=message_id, queue=QUEUE, now=now)
        return
    # Before the claim: where storage fails here, nothing is in doubt yet. Who asks to be called back
    # (voice_queue) is called, though they want no texts.
    opted_out = not request.id.startswith(CALL_BACK) and await services.messages.opted_out(request.to)
    if settings.daily_call_limit and not opted_out and await _is_over_the_limit(raw, request, services, now):
        return
    call = await _claim(request, ledger, now, is_new=request.id == message_id)
    if call is None:
        return
    if opted_out:
        await _outcome(ledger, replace(call, state=State.SUPPRESSED, reason=OPTED_OUT), now)
        return
    query = f"id={call.id}&attempt={call.attempt}"
    base = f"{settings.public_base_url}/api/voice"
    options: dict[str, Any] = {"status_callback_event": EVENTS, "time_limit": request.time_limit}
    if request.twiml:
        options["twiml"] = request.twiml
    elif request.url:
        options["url"] = request.url
    else:  # asked for once more where storage, which has the text, did not answer: nobody else knows it
        options["url"] = options["fallback_url"] = f"{base}/step/outbound?id={call.id}"
    if request.sender:
        options["from_"] = request.sender
    for name in ("machine_detection", "timeout", "record"):
        if getattr(request, name):
            options[name] = getattr(request, name)
    if monotonic() - began > STALE.total_seconds():  # a machine that was paused
        await _outcome(ledger, replace(call, state=State.PENDING, reason="too late to leave"), now)
        raise errors.NotSent(f"the lease of call {call.id} is nearly over")
    try:
        sent = await services.twilio.place_call(
            to=request.to, status_callback=f"{base}/status?{query}", **options
        )
    except errors.Uncertain as exc:
        log.warning("call %s may or may not have left: %s", call.id, exc)
        await _outcome(ledger, replace(call, state=State.UNKNOWN, reason=str(exc)), now)
    except (errors.NotSent, errors.BadCredentials, errors.Misconfigured) as exc:
        # Ours to mend: the queue brings it again, and gives it up to the dead letters in the end.
        await _outcome(ledger, replace(call, state=State.PENDING, reason=str(exc), code=exc.code or 0), now)
        raise
    except errors.TwilioError as exc:
        await _outcome(ledger, replace(call, state=State.FAILED, reason=str(exc), code=exc.code or 0), now)
        await dead.add(raw, f"Twilio error {exc.code}: {exc}", call_id=call.id, queue=QUEUE, now=now)
    else:
        await _outcome(ledger, replace(call, state=State.SUBMITTED, sid=sent.sid, reason="", code=0), now)
        log.info("call %s is placed as %s", call.id, sent.sid)


async def bury(raw: bytes, message_id: str, services: "Services", *, now: datetime) -> None:
    """Keep what the host gave up, with the last reason known."""
    call_id = message_id
    with suppress(errors.InvalidRequest):
        named = decode(raw).get("id")
        call_id = named if isinstance(named, str) and ID.fullmatch(named) else message_id
    call = await services.calls.find(call_id)
    reason = "it was tried several times, and failed before it came to the ledger"
    if call:
        reason = f"given up after {call.state}: {call.reason or 'no reason noted'}"
    await services.dead_letters.add(raw, reason, call_id=call_id, queue=QUEUE, now=now)
    if call and call.state is State.PENDING:  # nothing on the queue will ring it any more
        with suppress(errors.Contended):
            await services.calls.write(replace(call, state=State.FAILED, reason=reason, updated=now))


async def step(name: str, services: "Services", request: TwilioRequest, settings: Settings) -> Reply:
    """A further step of a call; that of a queued call with `say` knows its text by the id in its URL."""
    if name != "outbound":
        return voice.step(name, request, settings)
    call = await services.calls.get(request.state("id"))
    return voice.outbound(request, settings, call.say)


async def _is_over_the_limit(raw: bytes, request: CallRequest, services: "Services", now: datetime) -> bool:
    """Is it one call too many to this number today? Then it is with the dead letters, and may be replayed."""
    ledger, limit = services.calls, services.settings.daily_call_limit or 0
    call = await ledger.find(request.id)
    if call and call.state is not State.PENDING:
        return False  # it has rung, or may have: it counts on that day alone, and does not ring now
    if await limits.may_ring(services.messages.table, request.to, request.id, limit, now=now):
        return False
    reason = f"its number has had {limit} calls today, by UTC (DAILY_CALL_LIMIT): replay it tomorrow"
    await services.dead_letters.add(raw, reason, call_id=request.id, queue=QUEUE, now=now)
    call = call or Call(id=request.id, to=request.to, sender=request.sender, created=now)
    refused = replace(call, state=State.FAILED, reason=reason, updated=now)
    await (ledger.write(refused) if call.etag else ledger.add(refused))
    return True


async def _claim(
    request: CallRequest, ledger: CallLedger, now: datetime, *, is_new: bool = False
) -> Call | None:
    """The call, ours to ring, with its lease; None where it has rung, or may have.

    is_new: nobody gave it an id, so that only an earlier delivery can have entered it: not worth a look.
    """
    attempt = secrets.token_hex(8)

    def claimed(call: Call) -> Call:
        return replace(
            call,
            to=request.to,
            state=State.POSTING,
            attempt=attempt,
            posted=now,
            updated=now,
            say=request.say,
            sender=request.sender,
        )

    lease = Insert(f"q|{stamp(now + LEASE)}|{request.id}", {"attempt": attempt, "to": request.to})
    call = None if is_new else await ledger.find(request.id)
    try:
        if call is None:
            return await ledger.add(claimed(Call(id=request.id, to=request.to, created=now)), lease)
        if call.state is State.PENDING:
            return await ledger.write(claimed(call), lease)
    except (errors.Contended, errors.StorageAway):
        call = await ledger.get(request.id)
        if call.attempt == attempt:
            return call  # our own write landed, and its answer was lost
        if is_new:
            return await _claim(request, ledger, now)
    posting = call.state is State.POSTING and call.posted and now < call.posted + LEASE
    if posting or call.state is State.PENDING:
        # Another delivery is at it. Should it fail before the request leaves, this one is needed.
        raise errors.Contended(f"call {call.id} is being placed")
    log.info("call %s is not rung again: it is %s", call.id, call.state)
    return None


async def _outcome(ledger: CallLedger, call: Call, now: datetime) -> None:
    """Write what became of a call; a callback may have been quicker. The lease goes, or becomes a look-up."""
    assert call.posted is not None  # noqa: S101 - it was claimed
    lease = f"q|{stamp(call.posted + LEASE)}|{call.id}"
    leased = True
    outcome = replace(call, updated=now)
    for _ in range(5):
        writes: list[Write] = [Delete(lease)] if leased else []
        if outcome.state is State.UNKNOWN and leased:
            writes.append(_look(call, now + FIRST_LOOK))
        if outcome.sid:
            writes.append(Put(f"s|{outcome.sid}", {"call": call.id}))
            writes += [_look(call, now + ASK_AFTER[0])] if leased else []
        try:
            await ledger.write(outcome, *writes)
        except errors.Contended:
            present, leased = await ledger.get(call.id), await ledger.holds(lease)
            if present.attempt != call.attempt or (present.state is call.state and not leased):
                return  # our own write landed, and its answer was lost
            state = advance(present.state, call.state)
            joined = present if state == present.state else replace(call, etag=present.etag, state=state)
            outcome = replace(joined, sid=present.sid or call.sid, updated=now)
        else:
            return
    log.error("call %s keeps changing; its lease will settle it", call.id)


def _look(call: Call, at: datetime, asked: int = 0) -> Write:
    return Put(f"q|{stamp(at)}|{call.id}", {"attempt": call.attempt, "asked": asked})


async def reported(request: TwilioRequest, ledger: CallLedger) -> None:
    """A call status callback: ours by the id in its URL; an inbound call by its SID."""
    call_id = request.state("id") or request.get("CallSid")
    state = from_twilio(request.get("CallStatus"))
    if state is None or not call_id:
        log.warning("a call status callback without a status that we know")
        return
    for _ in range(8):
        call = await ledger.find(call_id)
        try:
            if call is None and request.state("id"):
                log.warning("a status callback for call %s, which is not ours", call_id)
                return
            if call is None:
                await ledger.add(_noted(_inbound(call_id, request), state, request))
            else:
                noted = _noted(call, state, request)
                owned = [Put(f"s|{noted.sid}", {"call": call.id})] if noted.sid != call.sid else []
                await ledger.write(noted, *owned)
        except errors.Contended:
            continue
        return
    raise errors.Contended(f"call {call_id} keeps changing")


def _inbound(sid: str, request: TwilioRequest) -> Call:
    """A call that came in. Twilio tells of one at its end, unless asked to tell more."""
    seconds = request.get("CallDuration")
    return Call(
        id=sid,
        to=request.get("To"),
        sender=request.get("From"),
        direction="inbound",
        state=State.SUBMITTED,
        created=request.now - timedelta(seconds=int(seconds) if seconds.isdecimal() else 0),
    )


def _noted(call: Call, state: State, request: TwilioRequest) -> Call:
    sid = request.get("CallSid")
    # It carries our id: where calls to one number were looked up, and mixed up, it knows better.
    mixed_up = call.looked_up and sid and call.sid != sid
    if call.sid and sid and call.sid != sid and not mixed_up:
        log.error("call %s has two SIDs: %s and %s", call.id, call.sid, sid)
        return call
    seconds = request.get("CallDuration")
    present = State.SUBMITTED if mixed_up or call.state in IN_DOUBT | WAITING else call.state
    return replace(
        call,
        state=advance(present, state),
        sid=sid or call.sid,
        looked_up=False,
        seconds=int(seconds) if seconds.isdecimal() else call.seconds,
        answered_by=request.get("AnsweredBy") or call.answered_by,
        reports=with_report(call.reports, state, request.now),
        updated=request.now,
    )


async def reconcile(ledger: CallLedger, twilio: Twilio, *, now: datetime) -> None:
    """Look up the calls in doubt, and those whose end no callback has told, until Twilio does not answer."""
    after, settled = "", 0
    while settled < SETTLED_AT_ONCE and (rows := await ledger.in_doubt(now, after=after)):
        after = rows[-1].key
        for row in rows:
            try:
                await _settle(ledger, twilio, row, now)
            except errors.Contended:
                pass  # a callback was quicker; the next look drops the row
            except errors.Malformed as exc:
                log.error("not settled: %s", exc)
                continue
            except errors.TwilioError as exc:
                log.warning("call %s cannot be looked up yet: %s", row.key.split("|", 2)[2], exc)
                return
            settled += 1


async def _settle(ledger: CallLedger, twilio: Twilio, row: Row, now: datetime) -> None:
    call = await ledger.find(row.key.split("|", 2)[2])
    if call is None or call.attempt != row.text("attempt"):
        await ledger.drop(row)
    elif call.state in (State.POSTING, State.UNKNOWN):
        await _look_up(ledger, twilio, call, row, now)
    elif call.state in UNDER_WAY and call.sid:
        await _ask_after(ledger, twilio, call, row, now)
    else:
        await ledger.drop(row)


async def _look_up(ledger: CallLedger, twilio: Twilio, call: Call, row: Row, now: datetime) -> None:
    """Find a call of unknown fate in Twilio's list, one SID to one call."""
    assert call.posted is not None  # noqa: S101 - it may have left
    if await ledger.being_placed(call.to, now, LEASE):
        return  # what Twilio lists may be that one, whose SID is not written yet
    age = now - call.posted
    writes: list[Write] = [Delete(row.key, row.etag)]
    try:
        listed = await twilio.calls_to(call.to, since=call.posted - SKEW)
    except errors.TwilioError:
        unresolved = replace(call, state=State.UNRESOLVED, reason="it could not be looked up", updated=now)
        unknown = replace(call, state=State.UNKNOWN, updated=now)
        later = [] if age > BLIND else [_look(call, now + FIRST_LOOK)]
        await ledger.write(unknown if later else unresolved, *writes, *later)
        raise
    near = [each for each in listed if each.created and abs(each.created - call.posted) <= SKEW]
    free = [each for each in near if not await ledger.owner(each.sid)]
    if free:
        state = advance(State.UNKNOWN, from_twilio(free[0].status) or State.SUBMITTED)
        settled = replace(call, state=state, sid=free[0].sid, looked_up=True, reason="", updated=now)
        writes.append(Insert(f"s|{free[0].sid}", {"call": call.id}))
        if state in UNDER_WAY:
            writes.append(_look(call, now + ASK_AFTER[0]))
    elif call.looks and age > GRACE:
        log.error("call %s is unresolved: Twilio does not list it", call.id)
        settled = replace(call, state=State.UNRESOLVED, reason="Twilio does not list it", updated=now)
    else:
        settled = replace(call, state=State.UNKNOWN, looks=call.looks + 1, updated=now)
        writes.append(_look(call, max(now + FIRST_LOOK, call.posted + GRACE + FIRST_LOOK)))
    await ledger.write(settled, *writes)


async def _ask_after(ledger: CallLedger, twilio: Twilio, call: Call, row: Row, now: datetime) -> None:
    """Ask Twilio for the end of a call that it has."""
    asked = int(row.values.get("asked") or 0) + 1
    known = await twilio.call(call.sid)
    state = advance(call.state, from_twilio(str(known.status)) or call.state)
    seconds = int(known.duration or 0) or call.seconds
    told = replace(call, state=state, seconds=seconds, updated=now)
    further = state in UNDER_WAY and asked < len(ASK_AFTER)
    await ledger.write(
        told, Delete(row.key, row.etag), *([_look(call, now + ASK_AFTER[asked], asked)] if further else [])
    )


async def reopen(call_id: str, ledger: CallLedger, *, now: datetime) -> None:
    """Let a call that never left be rung after all. Raises Conflict once it may have left."""
    call = await ledger.find(call_id)
    if call is None or call.state is State.PENDING:
        return
    if call.sid or call.state is not State.FAILED:
        raise errors.Conflict(f"call {call_id} is {call.state}: it may have left", state=call.state)
    await ledger.write(replace(call, state=State.PENDING, reason="replayed", code=0, updated=now))


async def recording(sid: str, services: "Services") -> bytes:
    """A voicemail, as a WAV file. Raises InvalidRequest for what is no recording SID, and NotFound."""
    if not RECORDING.fullmatch(sid):
        raise errors.InvalidRequest("sid", "must be a recording SID, RE and 32 hexadecimal digits")
    return await services.twilio.recording(sid)


async def replay(letter_id: str, services: "Services", *, now: datetime) -> str:
    """The queue message of a dead letter, under the id it had.

    Raises NotFound, or Conflict once its call may have left.
    """
    letter = await services.dead_letters.get(letter_id)
    message = letter.queue_message()
    await reopen(letter.call_id, services.calls, now=now)
    await services.dead_letters.mark_replayed(letter, now)
    return message


async def line(services: "Services") -> dict[str, Any]:
    """Who waits to be taken by one of us: the queue, as Twilio knows it."""
    return await services.twilio.waiting(voice_queue.QUEUE)
