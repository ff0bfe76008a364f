"""Which shards have a message on `sms-drain`: at most one each, however long a backlog lasts."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta

from shared import errors
from shared.delivery import keys
from shared.delivery.record import Delivery
from shared.delivery.store import Store
from shared.storage.rows import Delete, Insert, Put, moment, stamp

log = logging.getLogger(__name__)

HOLDS = timedelta(minutes=10)
"""After which a message that no drain began with is taken to be lost: the host hides one for so long."""


async def request[T: Delivery](store: Store[T], partition: str, *, now: datetime) -> bool:
    """Note that a shard is to be drained; True where a message is to be put on the queue for it.

    False where one lies there: its drain starts later, and reads what is due by then.
    """
    values = {"until": stamp(now + HOLDS)}
    try:
        row = await store.table.get(partition, keys.DRAIN_REQUEST)
        if row and moment(row.text("until")) > now:
            return False
        mark = Put(keys.DRAIN_REQUEST, values, row.etag) if row else Insert(keys.DRAIN_REQUEST, values)
        await store.table.commit(partition, [mark])
    except errors.Contended:
        return False  # another one puts it there
    except errors.StorageAway as exc:
        log.warning("shard %s may get one message too many on its queue: %s", partition, exc)
    return True


async def started[T: Delivery](store: Store[T], partition: str) -> None:
    """A drain of this shard begins: what is accepted from now on asks for another one."""
    with suppress(errors.Contended):  # there was no note
        await store.table.commit(partition, [Delete(keys.DRAIN_REQUEST)])
