"""Send one item at once, outside a drain, by the same protocol: claim, POST, outcome."""

import logging
import secrets
from contextlib import suppress
from datetime import datetime
from time import monotonic

from shared import errors
from shared.delivery import outcome
from shared.delivery.outbox import Outbox
from shared.delivery.record import Delivery
from shared.delivery.states import WAITING
from shared.delivery.timings import LEASE, STALE

log = logging.getLogger(__name__)


async def send_now[T: Delivery](outbox: Outbox[T], present: T | None, item: T, *, now: datetime) -> T | None:
    """Claim one item, enter it where it is new, and POST it; what became of it.

    present: how it is stored and waits, or None where it is new. None where it has left, may have, or is in
    another one's hands. Raises StorageAway: before the claim nothing is in doubt, and after it the lease is.
    """
    began = monotonic()
    taken = await _claimed(outbox, present, item, now)
    if taken is None:
        return None
    if monotonic() - began > STALE.total_seconds():  # a machine that was paused: the lease is nearly over
        result = outcome.unsent(taken)
    else:
        result, _ = await outcome.post(outbox.kind, taken, lambda: now)
    ends = outcome.lease_ends(now + LEASE, taken.attempt, [result], now)
    try:
        await outbox.store.table.commit(item.partition, [*outcome.writes(result, now), *ends])
    except errors.Contended:  # a callback was quicker, or our own write landed and its answer was lost
        if await outcome.write_joined(outbox.store, result, now=now):
            with suppress(errors.Contended):
                await outbox.store.table.commit(item.partition, ends)
    return result


async def _claimed[T: Delivery](outbox: Outbox[T], present: T | None, item: T, now: datetime) -> T | None:
    """The item, ours to send, with its lease; None where it is another one's."""
    attempt, store = secrets.token_hex(8), outbox.store
    try:
        return await store.claim_one(present, item, attempt, now=now, lease=now + LEASE)
    except (errors.Contended, errors.StorageAway):
        found = await store.find(item.id)
        if found is None:
            raise
        if found.attempt == attempt:
            return found  # our own write landed, and its answer was lost
        if present is None and found.state in WAITING:
            return await _claimed(outbox, found, item, now)
        log.info("%s %s is not sent from here: it is %s", item.what, item.id, found.state)
        return None
