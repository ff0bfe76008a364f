"""The index of rare ends against the texts or calls themselves, after whatever a test did to them."""

from shared.delivery.record import Delivery
from shared.delivery.states import RARE
from shared.delivery.store import Store
from shared.storage.rows import END


async def astray[T: Delivery](store: Store[T]) -> set[tuple[str, str]]:
    """(state, id) that the index has and should not have, or has not and should have."""
    index: set[tuple[str, str]] = set()
    ended: set[tuple[str, str]] = set()
    for partition in store.partitions:
        for row in await store.table.read(partition, "x|", "x|" + END, limit=100_000):
            _, state, item_id = row.key.split("|")
            index.add((state, item_id))
        for row in await store.table.read(partition, "m|", "m|" + END, limit=100_000):
            item = store.record.from_row(row)
            if item.state in RARE:
                ended.add((item.state.value, item.id))
    return index ^ ended
