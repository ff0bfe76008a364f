"""What one tick of the timer does: send what is due, place what waits, settle what is in doubt."""

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from shared import errors
from shared.delivery.drain import drain
from shared.delivery.outbox import Outbox
from shared.delivery.sender import Report
from shared.sms.message import Message
from shared.storage import heartbeat
from shared.storage.partitions import PARTITIONS

if TYPE_CHECKING:
    from shared.calls.call import Call

log = logging.getLogger(__name__)

TICK_SECONDS = 10.0
"""How long one tick sends: well under the shortest schedule, so that ticks never pile up."""
PACED_SECONDS = 50.0
"""The same with MAX_PER_SECOND, where no other drain goes on with what is left."""
SHARD_SECONDS = 120.0


async def tick(texts: "Outbox[Message]", calls: "Outbox[Call]", *, now: datetime) -> Report:
    """Once per schedule: drain the texts and the calls, and note that the timer has run."""
    seconds = PACED_SECONDS if texts.settings.max_per_second else TICK_SECONDS
    report = await drain(texts, now=now, seconds=seconds)
    if not report.stopped:  # the reason to stop holds for calls too
        rung = await drain(calls, now=now, seconds=seconds)
        report.states.update({f"call {state}": count for state, count in rung.states.items()})
        report.stopped = rung.stopped
    try:
        await heartbeat.beat(texts.store.table, str(report), now=now)
    except errors.StorageAway as exc:
        report.stopped = report.stopped or str(exc)
    return report


async def one_shard(raw: bytes, texts: Outbox[Message], *, now: datetime) -> Report:
    """Send what is due in the shard that a message on `sms-drain` names."""
    partition = raw.decode("utf-8", "replace").strip()
    if partition not in PARTITIONS:
        log.error("a message on sms-drain names no shard")
        return Report()
    return await drain(texts, now=now, seconds=SHARD_SECONDS, partitions=[partition])
