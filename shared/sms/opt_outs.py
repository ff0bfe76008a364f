"""Who has opted out.

A STOP is one transaction in the recipient's partition: the opt-out, and a marker among what is due. While the
marker stands, a drain suppresses what it finds for that recipient, so that a text created while the STOP
came in cannot slip through. At its end everything is suppressed once more, and the marker goes.
"""

import logging
from contextlib import suppress
from datetime import datetime, timedelta

from shared import errors
from shared.delivery import keys
from shared.delivery.changes import suppress_all
from shared.delivery.erasure import commit
from shared.delivery.store import Store
from shared.delivery.timings import STOP_RACE
from shared.sms.message import Message
from shared.storage.rows import END, Delete, Put, Write, read_all, stamp

log = logging.getLogger(__name__)

RECENT = timedelta(days=2)
"""What was due before is left to the marker's end: it is hardly ever there."""


async def opt_out(store: Store[Message], recipient: str, *, now: datetime, source: str) -> None:
    """Never send to this address again, and suppress what waits for it. Safe to repeat.

    source: STOP, 21610, a key press: what the console shows.
    """
    marker = keys.stop(now - STOP_RACE, recipient)  # before whatever can be created meanwhile
    values = {"since": stamp(now), "source": source, "marker": marker}
    writes: list[Write] = [
        Put(keys.opt_out(recipient), values),
        Put(marker, {"until": stamp(now + STOP_RACE)}),
    ]
    await store.table.commit(Message.home_of(recipient), writes)
    try:
        await suppress_all(store, recipient, now=now, since=now - RECENT)
    except (errors.Malformed, errors.Contended) as exc:
        log.error("not suppressed yet: %s", exc)  # the marker stands until it is


async def opt_in(store: Store[Message], recipient: str) -> None:
    """The recipient may be sent to again. What was suppressed stays suppressed."""
    partition = Message.home_of(recipient)
    for name in store.names(recipient):
        row = await store.table.get(partition, keys.opt_out(name))
        for key in (row.key, row.text("marker")) if row else ():
            with suppress(errors.Contended):  # gone already
                await store.table.commit(partition, [Delete(key)])


async def opted_out_in(store: Store[Message], partition: str) -> set[str]:
    """Every recipient of one partition that has opted out."""
    rows = await read_all(store.table, partition, keys.OPT_OUTS, keys.OPT_OUTS + END)
    return {keys.person(row.key) for row in rows}


async def erase(store: Store[Message], recipient: str, name: str) -> bool:
    """Keep a person's opt-out under the hash `name` alone. Whether there is one."""
    partition = Message.home_of(recipient)
    row = await store.table.get(partition, keys.opt_out(recipient))
    if row is None:
        return await store.table.get(partition, keys.opt_out(name)) is not None
    values = {"since": row.text("since"), "source": row.text("source")}
    await commit(store, partition, [Put(keys.opt_out(name), values), Delete(row.key)])
    if marker := row.text("marker"):
        await commit(store, partition, [Delete(marker)])
    return True
