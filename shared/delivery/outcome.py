"""What becomes of one item after its POST, and the writes that say so. DESIGN: Twilio outcomes."""

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from shared import errors
from shared.delivery import keys
from shared.delivery.outbox import Kind
from shared.delivery.record import Delivery
from shared.delivery.states import UNDER_WAY, WAITING, State, advance
from shared.delivery.store import Store, indexed, waiting
from shared.delivery.throttle import backoff
from shared.delivery.timings import ASK_AFTER, FIRST_LOOK, HOLD
from shared.storage.rows import Delete, Insert, Put, Write

log = logging.getLogger(__name__)


def sent[T: Delivery](item: T, sid: str, now: datetime) -> T:
    """Twilio has accepted it."""
    return replace(item, state=State.SUBMITTED, sid=sid, updated=now)


def unsent[T: Delivery](item: T) -> T:
    """It did not leave: back to waiting, and no attempt is used up."""
    return replace(item, state=State.PENDING, attempts=item.attempts - 1)


def refused[T: Delivery](item: T, exc: errors.TwilioError, now: datetime) -> T:
    """Twilio refused it, or did not answer: each class of error means a state."""
    why = replace(item, code=exc.code or 0, reason=str(exc), updated=now)
    match exc:
        case errors.BadCredentials():
            return unsent(why)
        case errors.NotSent():
            return replace(why, state=State.PENDING, retry=now + backoff(item.attempts))
        case errors.Misconfigured():
            log.error("%s %s is held: Twilio error %s, %s", item.what, item.id, exc.code, exc)
            return replace(why, state=State.HELD, retry=now + HOLD)
        case errors.Uncertain():
            log.warning("%s %s may or may not have left: %s", item.what, item.id, exc)
            return replace(why, state=State.UNKNOWN)
        case errors.OptedOut():
            return replace(why, state=State.SUPPRESSED)
        case _:
            return replace(why, state=State.FAILED)


async def post[T: Delivery](
    kind: Kind[T], item: T, clock: Callable[[], datetime]
) -> tuple[T, errors.TwilioError | None]:
    """POST one item once; what became of it, and the error where Twilio refused it or did not answer."""
    try:
        sid = await kind.post(item)
    except errors.TwilioError as exc:
        result = refused(item, exc, clock())
        if result.state in (State.FAILED, State.SUPPRESSED):
            try:
                await kind.before_end(result, now=clock())
            except errors.SwitchboardError as problem:  # the outcome is written in any case
                log.error("what goes with the end of %s %s is not kept: %s", item.what, item.id, problem)
        return result, exc
    return sent(item, sid, clock()), None


def writes(item: Delivery, now: datetime) -> list[Write]:
    """The writes that replace a posted item; it waits again, or is looked up, where its state says so."""
    found: list[Write] = [Put(keys.record(item.id), item.columns(), item.etag), *indexed(State.POSTING, item)]
    if item.state in WAITING:
        found.append(waiting(item))
    if item.state is State.UNKNOWN:
        found.append(look_up(item, now + FIRST_LOOK))
    return found


def joined[T: Delivery](present: T, outcome: T) -> T:
    """The row as it is, joined with what a send found out: a state never goes back, a SID never changes.

    One that waits was resent by a person meanwhile: only that it had left before ends its waiting.
    """
    if present.sid and outcome.sid and present.sid != outcome.sid:
        log.error("%s %s has two SIDs: %s and %s", present.what, present.id, present.sid, outcome.sid)
        return present
    state = advance(present.state, outcome.state)
    if state == present.state or {state, present.state} <= WAITING:
        return replace(present, sid=present.sid or outcome.sid)
    return replace(outcome, state=state, etag=present.etag)


def look_up(item: Delivery, at: datetime) -> Write:
    """The write that has an item of unknown fate looked up, not before `at`."""
    return Insert(keys.look_up(at, item.id), {"to": item.to})


def ask_after(name: str, items: Sequence[Delivery], now: datetime, asked: int = 0) -> list[Write]:
    """The write that has Twilio asked after the items that have no end; none after the last time.

    items: of one partition. name: of the row, such as the attempt under which they left. asked: how often
    Twilio was asked before.
    """
    ids = [item.id for item in items if item.state in UNDER_WAY]
    if not ids or asked >= len(ASK_AFTER):
        return []
    values = {"ids": json.dumps(ids), "asked": asked}
    return [Put(keys.ask_after(now + ASK_AFTER[asked], name), values)]


def lease_ends(until: datetime, attempt: str, items: Sequence[Delivery], now: datetime) -> list[Write]:
    """All outcomes of a claim are written: its lease goes, and Twilio is asked later after what was sent."""
    return [Delete(keys.lease(until, attempt)), *ask_after(attempt, items, now)]


async def write_joined[T: Delivery](store: Store[T], item: T, *, now: datetime) -> bool:
    """Write an outcome, joined with what others wrote meanwhile. False where the row keeps changing."""
    for _ in range(5):
        present = await store.get(item.id)
        if present.attempt != item.attempt or present.state is item.state:
            return True  # our own write landed, and its answer was lost
        new = joined(present, item)
        is_unknown = new.state is State.UNKNOWN and present.state is not State.UNKNOWN
        with suppress(errors.Contended):
            await store.change(present, new, *([look_up(new, now + FIRST_LOOK)] if is_unknown else []))
            return True
    log.error("%s %s keeps changing; its lease will settle it", item.what, item.id)
    return False
