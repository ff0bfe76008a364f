"""Messages to measure with, stored as the app stores them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from shared.delivery.store import MessageStore, creation
from shared.sms.message import Message, new_id
from shared.storage.rows import TRANSACTION_LIMIT, Write

PEOPLE = tuple(f"+1202555{number:04}" for number in range(101, 200))


def messages(count: int, due: datetime, *, created: datetime) -> Iterator[Message]:
    """Messages to 99 people, due one after the other from `due` on, a millisecond apart."""
    for number in range(count):
        to, at = PEOPLE[number % len(PEOPLE)], due + timedelta(milliseconds=number)
        body = f"Your appointment is tomorrow, number {number}"
        yield Message(id=new_id(to, at), to=to, body=body, due=at, created=created)


async def store(store: MessageStore, found: Iterable[Message], *, only_due: bool = False) -> None:
    """Write them, a hundred rows in a transaction. only_due: their places among what is due alone."""
    partitions: dict[str, list[Write]] = defaultdict(list)
    for message in found:
        writes = creation(message)
        partitions[message.partition] += [each for each in writes if each.key[:2] == "q|" or not only_due]
    # Each message is written whole: 99 rows are 33 of them.
    size = TRANSACTION_LIMIT if only_due else TRANSACTION_LIMIT // 3 * 3

    async def partition(name: str, writes: list[Write]) -> None:
        for start in range(0, len(writes), size):
            await store.table.commit(name, writes[start : start + size])

    first, *others = partitions.items()
    await partition(*first)  # makes the table
    await asyncio.gather(*(partition(*each) for each in others))
