"""Dead letters of calls: what the host gave up, and what a person puts back on the queue."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from shared import errors
from shared.calls.call import Call
from shared.calls.calls import QUEUE, WAITS
from shared.calls.dead_letters import DeadLetters
from shared.calls.placing import QUEUE_COMES
from shared.calls.request import decode, message_id
from shared.delivery.states import WAITING, State
from shared.delivery.store import Store


async def bury(
    raw: bytes, queue_id: str, store: Store[Call], dead_letters: DeadLetters, *, now: datetime
) -> None:
    """Keep what the host gave up, with the last reason known. queue_id: as storage has it."""
    call_id = queue_id
    with suppress(errors.InvalidRequest):
        named = decode(raw).get("id")
        if named is None:
            call_id = message_id(raw, queue_id)
        elif isinstance(named, str) and Call.is_id(named):
            call_id = named
    call: Call | None = None
    with suppress(errors.Malformed):
        call = await store.find(call_id)
    reason = "it was tried several times, and failed before it was stored"
    if call:
        reason = f"given up after {call.state}: {call.reason or 'no reason noted'}"
    await dead_letters.add(raw, reason, call_id=call_id, queue=QUEUE, now=now)
    if call and call.state in WAITING:  # the person who replays it decides when it rings
        with suppress(errors.Contended):
            await store.change(call, replace(call, state=State.FAILED, reason=reason, updated=now))


async def replay(letter_id: str, store: Store[Call], dead_letters: DeadLetters, *, now: datetime) -> str:
    """The queue message of a dead letter, under the id it had.

    Raises NotFound, or Conflict once its call may have left.
    """
    letter = await dead_letters.get(letter_id)
    message = letter.queue_message()
    await reopen(letter.call_id, store, now=now)
    await dead_letters.mark_replayed(letter, now)
    return message


async def reopen(call_id: str, store: Store[Call], *, now: datetime) -> None:
    """Let a call that never left be rung after all. Raises Conflict once it may have left."""
    call = await store.find(call_id)
    if call is None or call.state in WAITING:
        return
    if call.sid or call.state not in (State.FAILED, State.EXPIRED):
        raise errors.Conflict(f"call {call_id} is {call.state}: it may have left", state=call.state)
    again = replace(call, state=State.PENDING, reason="replayed", code=0, updated=now)
    await store.change(call, replace(again, due=now, retry=now + QUEUE_COMES, expires=now + WAITS))
