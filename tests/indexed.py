"""The index of rare ends against the messages themselves, after whatever a test did to them."""

from shared.delivery.states import RARE
from shared.delivery.store import END, PARTITIONS, MessageStore
from shared.sms.message import Message


async def astray(store: MessageStore) -> set[tuple[str, str]]:
    """(state, id) that the index has and should not have, or has not and should have."""
    index: set[tuple[str, str]] = set()
    ended: set[tuple[str, str]] = set()
    for partition in PARTITIONS:
        for row in await store.table.read(partition, "x|", "x|" + END, limit=100_000):
            _, state, message_id = row.key.split("|")
            index.add((state, message_id))
        for row in await store.table.read(partition, "m|", "m|" + END, limit=100_000):
            message = Message.from_row(row)
            if message.state in RARE:
                ended.add((message.state.value, message.id))
    return index ^ ended
