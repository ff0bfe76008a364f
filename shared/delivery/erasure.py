"""Erase one person's texts or calls: their rows name a keyed hash from then on (store.pseudonym)."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from shared import errors
from shared.delivery import keys
from shared.delivery.record import Delivery
from shared.delivery.states import IN_DOUBT, WAITING, State
from shared.delivery.store import Store
from shared.storage.rows import END, Delete, Put, Row, Write

TRIES = 8


async def erase_all[T: Delivery](
    store: Store[T], person: str, name: str, *, now: datetime
) -> tuple[int, int]:
    """Erase a person's conversation and daily counts; how many items were erased, and how many were not.

    name: what stands for the person from here on. What waits is canceled. An item whose fate is in doubt
    keeps its person until it is settled, since it is looked up by that address.
    """
    erased = in_doubt = 0
    for partition in store.places_of(person):
        prefix = keys.conversation(person)
        after = prefix
        while rows := await store.table.read(partition, after, prefix + END, limit=100):
            after = rows[-1].key
            for row in rows:
                done = await _erase(store, partition, person, name, row.key, now)
                erased, in_doubt = erased + done, in_doubt + (not done)
    await _forget_counts(store, person)
    return erased, in_doubt


async def erase_one[T: Delivery](store: Store[T], item: T, name: str, *, now: datetime) -> None:
    """Erase one item, if it is there. name: what stands for its person."""
    place = keys.place(item.person, item.due, item.id)
    await _erase(store, item.place_partition, item.person, name, place, now)


async def _erase[T: Delivery](
    store: Store[T], partition: str, person: str, name: str, place: str, now: datetime
) -> bool:
    """One item and its place in the conversation. False while its fate is in doubt, or it changes."""
    for _ in range(TRIES):
        item = await store.find(keys.last(place))
        if item is None or item.person != person:
            break  # another person's since it was edited, or erased before
        if item.state in IN_DOUBT - {State.UNRESOLVED}:
            return False
        state = State.CANCELED if item.state in WAITING else item.state
        with suppress(errors.Contended):
            await store.change(item, replace(item.without_person(name), state=state, updated=now))
            break
    else:
        return False  # it keeps changing
    await commit(store, partition, [Put(keys.moved(place, name), {}), Delete(place)])
    return True


async def _forget_counts[T: Delivery](store: Store[T], person: str) -> None:
    partition, prefix = store.record.home_of(person), keys.counts(person)
    rows: list[Row]
    while rows := await store.table.read(partition, prefix, prefix + END, limit=100):
        await commit(store, partition, [Delete(row.key) for row in rows])


async def commit[T: Delivery](store: Store[T], partition: str, writes: Iterable[Write]) -> None:
    """Commit, unless the same request did so before."""
    with suppress(errors.Contended):
        await store.table.commit(partition, list(writes))
