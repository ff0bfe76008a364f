"""Messages to measure with, stored as the app stores them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import batched

from shared.delivery import keys
from shared.delivery.store import Store, creation
from shared.sms.message import Message, new_id
from shared.storage.rows import TRANSACTION_LIMIT, Write

PEOPLE = tuple(f"+1202555{number:04}" for number in range(101, 200))


def messages(count: int, due: datetime, *, created: datetime) -> Iterator[Message]:
    """Messages to 99 people, due one after the other from `due` on, a millisecond apart."""
    for number in range(count):
        to, at = PEOPLE[number % len(PEOPLE)], due + timedelta(milliseconds=number)
        body = f"Your appointment is tomorrow, number {number}"
        yield Message(id=new_id(to, at), to=to, body=body, due=at, created=created)


async def store(store: Store[Message], found: Iterable[Message], *, only_due: bool = False) -> None:
    """Write them, in transactions as large as may be. only_due: their places among what is due alone."""
    partitions: dict[str, list[list[Write]]] = defaultdict(list)
    for message in found:
        writes = [each for each in creation(message) if each.key.startswith(keys.DUE) or not only_due]
        partitions[message.partition].append(writes)

    async def partition(name: str, made: list[list[Write]]) -> None:
        for some in batched(made, TRANSACTION_LIMIT // len(made[0]), strict=False):
            await store.table.commit(name, [write for writes in some for write in writes])

    first, *others = partitions.items()
    await partition(*first)  # makes the table
    await asyncio.gather(*(partition(*each) for each in others))
