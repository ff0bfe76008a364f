"""What people do with a text or call that waits, or that nobody can say the fate of."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import batched

from shared import errors
from shared.delivery import keys
from shared.delivery.record import Delivery
from shared.delivery.states import OPTED_OUT, WAITING, State
from shared.delivery.store import Store

TRIES = 8
AT_ONCE = 100
"""Changes under way at once."""


async def waiting[T: Delivery](store: Store[T], item_id: str) -> T:
    """One that still waits. Raises NotFound, or Conflict once it is too late."""
    present = await store.get(item_id)
    if present.state not in WAITING:
        raise errors.Conflict(f"it is too late: the {present.what} is {present.state}", state=present.state)
    return present


async def change[T: Delivery](store: Store[T], present: T, new: Callable[[T], T]) -> T:
    """Change one that waits; where someone else was quicker, look at it again. Raises Conflict."""
    for _ in range(TRIES):
        try:
            return await store.change(present, new(present))
        except errors.Contended:
            present = await waiting(store, present.id)
    raise errors.Contended(f"{present.what} {present.id} keeps changing")


async def cancel[T: Delivery](store: Store[T], item_id: str, *, now: datetime) -> T:
    """Cancel one that still waits, and with it the rest of its series. Raises Conflict."""

    def canceled(present: T) -> T:
        return replace(present, state=State.CANCELED, reason="", updated=now)

    return await change(store, await waiting(store, item_id), canceled)


async def resend[T: Delivery](store: Store[T], item_id: str, *, opted_out: bool, now: datetime) -> T:
    """A person decides that an unresolved one shall go out (again). Raises Conflict for any other.

    opted_out: whether its recipient has.
    """
    present = await store.get(item_id)
    if present.state is not State.UNRESOLVED:
        raise errors.Conflict(
            f"it is {present.state}: only an unresolved {present.what} is resent", state=present.state
        )
    if present.to.startswith("-"):
        raise errors.Conflict("its recipient was erased", state=present.state)
    if opted_out:
        raise errors.Conflict(OPTED_OUT, state=present.state)
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
    return await store.change(present, again)


async def suppress_all[T: Delivery](
    store: Store[T], person: str, *, now: datetime, since: datetime | None = None
) -> int:
    """Suppress whatever waits for this person; how many there were.

    since: of those that are due from then on. Raises Malformed, in the end, where one could not be read, and
    Contended where one keeps changing.
    """
    waits: list[T] = []
    wrong: errors.Malformed | None = None
    places = await store.conversation(person, since=since)
    for row in await store.rows(dict.fromkeys(keys.last(place.key) for place in places)):
        try:
            item = store.record.from_row(row)
        except errors.Malformed as exc:
            wrong = exc
            continue
        if item.state in WAITING and item.to == person:
            waits.append(item)
    count = 0
    for some in batched(waits, AT_ONCE, strict=False):
        count += sum(await asyncio.gather(*(_suppress(store, item, now) for item in some)))
    if wrong:
        raise wrong
    return count


async def _suppress[T: Delivery](store: Store[T], item: T, now: datetime) -> bool:
    def suppressed(present: T) -> T:
        return replace(present, state=State.SUPPRESSED, reason=OPTED_OUT, updated=now)

    try:
        await change(store, item, suppressed)
    except errors.Conflict:  # it does not wait any more
        return False
    return True
