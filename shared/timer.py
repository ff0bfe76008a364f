"""What one tick of the timer does: send what is due, place what waits, settle what is in doubt."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared import errors
from shared.delivery import drain_requests
from shared.delivery.drain import drain
from shared.delivery.outbox import Outbox
from shared.delivery.sender import Report
from shared.sms.message import Message
from shared.storage import heartbeat
from shared.storage.partitions import PARTITIONS

if TYPE_CHECKING:
    from shared.bulk.jobs import BulkJobs
    from shared.calls.call import Call
    from shared.calls.dead_letters import DeadLetters
    from shared.delivery.store import Store
    from shared.storage.blobs import Blobs
    from shared.storage.queues import Queues

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
    await _keep_unrequested(texts, report, now)
    if not report.stopped:  # the reason to stop holds for calls too
        rung = await drain(calls, now=now, seconds=seconds)
        report.states.update({f"call {state}": count for state, count in rung.states.items()})
        report.stopped = rung.stopped
    try:
        await heartbeat.beat(texts.store.table, str(report), now=now)
    except errors.StorageAway as exc:
        report.stopped = report.stopped or str(exc)
    return report


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What the host gave up: it lies in the poison queues until a tick keeps it where people see it."""

    queues: "Queues"
    calls: "Store[Call]"
    dead_letters: "DeadLetters"
    bulk_jobs: "BulkJobs"
    files: "Blobs"

    async def keep(self, *, now: datetime) -> None:
        """Make the queues that are missing; keep what the host gave up, and only then delete it there.

        A call becomes a dead letter, and a load stops. A message of `sms-drain` goes: the timer drains too.
        """
        from shared.bulk import intake
        from shared.calls import replay
        from shared.storage.queues import BULK, CALLS

        try:
            await self.queues.make_missing()
            async for message in self.queues.given_up():
                raw = message.text.encode()
                if message.queue == CALLS:
                    await replay.bury(raw, message.id, self.calls, self.dead_letters, now=now)
                elif message.queue == BULK:
                    await intake.give_up(intake.job_in(raw), self.bulk_jobs, self.files)
                else:
                    log.error("a message of %s was given up", message.queue)
                await message.delete()
        except errors.StorageAway as exc:
            log.error("the poison queues are not emptied yet: %s", exc)


async def one_shard(raw: bytes, texts: Outbox[Message], *, now: datetime) -> Report:
    """Send what is due in the shard that a message on `sms-drain` names."""
    partition = raw.decode("utf-8", "replace").strip()
    if partition not in PARTITIONS:
        log.error("a message on sms-drain names no shard")
        return Report()
    await drain_requests.started(texts.store, partition)
    if texts.settings.max_per_second:
        return Report()  # ticks alone keep that rate
    report = await drain(texts, now=now, seconds=SHARD_SECONDS, partitions=[partition])
    await _keep_unrequested(texts, report, now + timedelta(seconds=SHARD_SECONDS))
    return report


async def _keep_unrequested(texts: Outbox[Message], report: Report, now: datetime) -> None:
    """Of the shards that have more due, keep those that no message on `sms-drain` names yet."""
    if not report.stopped:
        asked = {each for each in report.left if await drain_requests.request(texts.store, each, now=now)}
        report.left = asked
