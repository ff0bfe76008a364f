"""Send what is due: claim it, note that it may leave, POST it, write what became of it.

Any number of drains may run at once, on any instances: a claim is a transaction guarded by ETags, and the
drain that comes second takes nothing. An item whose request may have left is never posted again from here.
"""

import asyncio
import logging
import random
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from time import monotonic

from shared import errors
from shared.delivery import daily_count, keys
from shared.delivery.outbox import Outbox
from shared.delivery.record import Delivery
from shared.delivery.sender import GIVE_UP_AFTER, Report, Sender
from shared.delivery.settle import Settling
from shared.delivery.states import OPTED_OUT, State
from shared.delivery.store import creation
from shared.delivery.timings import LEASE
from shared.storage.rows import TRANSACTION_LIMIT, Delete, Row, Write, moment
from shared.times import instants, quiet_hours

log = logging.getLogger(__name__)

BATCH = 24
"""Items in one claim at most: a larger transaction keeps the event loop from its other work for long."""
WORKERS = 4
"""Partitions that are walked at once."""
HOUSEKEEPING_SECONDS = 5.0
"""What is due may take all the time that a drain has, each time: housekeeping has so much besides."""
COUNT_TRIES = 3
"""How often one is claimed again whose person's daily count others change too."""
EXPIRED = "its time to be sent has passed"


async def drain[T: Delivery](
    outbox: Outbox[T], *, now: datetime, seconds: float, partitions: Sequence[str] | None = None
) -> Report:
    """Send what is due at `now` in these partitions, or in all, for at most `seconds`; then settle doubts.

    Whatever happens, what was claimed and has not left goes back; `left` names partitions with more due.
    """
    return await _Drain(outbox, now, seconds).run(
        outbox.store.partitions if partitions is None else partitions
    )


class _Drain[T: Delivery]:
    def __init__(self, outbox: Outbox[T], now: datetime, seconds: float) -> None:
        self.outbox, self.store, self.settings = outbox, outbox.store, outbox.settings
        self.now, self.seconds, self.started = now, seconds, monotonic()
        self.batch = min(BATCH, max(1, int(self.settings.max_per_second or BATCH)))
        self.sender = Sender(outbox, self.clock)
        self.report = self.sender.report
        self.claims: set[asyncio.Task[None]] = set()
        self.alone: Counter[str] = Counter()

    def clock(self) -> datetime:
        """The present: the drain's `now`, and the time since then."""
        return self.now + timedelta(seconds=monotonic() - self.started)

    def over(self, more: float = 0.0) -> bool:
        return bool(self.report.stopped) or monotonic() - self.started > self.seconds + more

    async def run(self, partitions: Sequence[str]) -> Report:
        try:
            await self._walk(partitions, self._partition)
            if self.over() and self.settings.max_per_second:
                self.sender.pace.end()
            settling = Settling(
                self.outbox, self.clock(), partial(self.over, HOUSEKEEPING_SECONDS), self.report.states
            )
            await self._walk(partitions, settling.partition)
        except asyncio.CancelledError:
            self.sender.stop("shutting down")
            raise
        finally:
            await asyncio.shield(self._finish())
        if self.settings.max_per_second:
            self.report.left.clear()  # another instance would keep that rate of its own
        return self.report

    async def _walk(self, partitions: Sequence[str], visit: Callable[[str], object]) -> None:
        """Visit each partition, a few at once, in random order: so drains that run at once hardly meet."""
        waiting = iter(random.sample(partitions, len(partitions)))

        async def worker() -> None:
            for partition in waiting:
                try:
                    await visit(partition)  # type: ignore[misc]
                except errors.StorageAway as exc:
                    self.sender.stop(str(exc))
                except errors.SwitchboardError as exc:
                    log.error("shard %s is not done: %s", partition, exc)
                except (ValueError, TypeError, KeyError) as exc:  # its words may be those of a row
                    log.error("shard %s holds a row that cannot be read: %s", partition, type(exc).__name__)

        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(worker())

    async def _finish(self) -> None:
        if self.claims:
            await asyncio.wait(self.claims)
        await self.sender.finish()

    async def _partition(self, partition: str) -> None:
        """Walk what is due in one partition, oldest first, until nothing is left or time is up."""
        after = ""
        stopped: frozenset[str] = frozenset()
        while True:
            rows = await self.store.due(partition, self.now, after=after)
            if not rows:
                return
            if self.over():
                self.report.left.add(partition)
                return
            after = rows[-1].key
            stopped |= await self._stops(partition, rows)
            due = [row for row in rows if keys.kind(row.key) == keys.ITEM]
            ready = [row for row in due if await self._may_leave(partition, row, stopped)]
            ready = [row for row in ready if self.sender.failures[row.text("sender")] < GIVE_UP_AFTER]
            if await self._send(partition, ready):
                self.report.left.add(partition)
                return

    async def _send(self, partition: str, ready: list[Row]) -> bool:
        """Claim these, a batch at a time, and start their sends. True where some are left over."""
        while ready:
            taken = await self.sender.slots.take(min(self._fitting(ready), self.batch))
            batch, ready = ready[:taken], ready[taken:]
            claim: asyncio.Task[None] | None = None
            try:
                await self.sender.pace.ready()
                if self.over():
                    return True
                claim = asyncio.create_task(self._claim_and_send(partition, batch))
            finally:
                if not claim:
                    self.sender.slots.give_back(taken)
            self.claims.add(claim)
            claim.add_done_callback(self.claims.discard)
            await asyncio.shield(claim)  # it may be written already: a canceled drain waits for it
        return False

    def _fitting(self, rows: Sequence[Row]) -> int:
        """How many of these one transaction can claim: an occurrence brings the next one of its series."""
        room = TRANSACTION_LIMIT - 1
        for number, row in enumerate(rows):
            # itself, its place where it is late, the next occurrence, the count of its person
            room -= 3 + (4 if row.text("repeat") else 0) + (1 if self.outbox.kind.daily_limit else 0)
            if room < 0:
                return number
        return len(rows)

    # May it leave?

    async def _stops(self, partition: str, rows: Sequence[Row]) -> frozenset[str]:
        """The people whose STOP still counts here. Behind its time its marker goes."""
        found: set[str] = set()
        for row in rows:
            if keys.kind(row.key) != keys.STOP:
                continue
            person = keys.person(row.key)
            gone = not await self.store.opted_out(person)  # START came since
            if not gone:
                found.add(person)
                if self.clock() >= moment(row.text("until")):
                    gone = await self._suppress_rest(person)
            if gone:
                with suppress(errors.Contended):
                    await self.store.table.commit(partition, [Delete(row.key, row.etag)])
        return frozenset(found)

    async def _suppress_rest(self, person: str) -> bool:
        """Suppress whatever waits for a person. False where something cannot be read."""
        from shared.delivery.changes import suppress_all

        try:
            await suppress_all(self.store, person, now=self.clock())
        except (errors.Malformed, errors.Contended) as exc:
            log.error("not settled: %s", exc)
            return False
        return True

    async def _may_leave(self, partition: str, row: Row, stopped: frozenset[str]) -> bool:
        """May it leave now? What may not is moved on: opted out, expired, quiet hours."""
        now, item = self.clock(), self._readable(row)
        if item is None:
            return False
        new: T | None = None
        if item.to in stopped or (not item.is_at_home and await self.outbox.kind.opted_out(item)):
            new = replace(item, state=State.SUPPRESSED, reason=OPTED_OUT)
        elif item.expires and item.expires < now:
            why = f"{EXPIRED}; before that: {item.reason}" if item.reason else EXPIRED
            new = replace(item, state=State.EXPIRED, reason=why)
        elif until := self._quiet_until(item, now):
            put_off = self.outbox.kind.put_off(item, until)
            new = replace(put_off, state=State.DEFERRED, due=until, retry=None, reason="quiet hours")
        if new is None:
            return True
        new = replace(new, updated=now)
        following = item.following(now) if new.state is State.EXPIRED else None
        if new.state is not State.DEFERRED:
            await self.outbox.kind.before_end(new, now=now)
        with suppress(errors.Contended):
            await self.store.move_on(partition, row, new, following)
            self.report.states[new.state.value] += 1
        return False

    def _readable(self, row: Row) -> T | None:
        """What stands in a row, with all that its send needs; else it stays due, and keeps no other back."""
        try:
            item = self.store.record.from_row(row)
            item.following(self.clock())
            self._quiet_until(item, self.clock())
            if item.quiet_hours:
                quiet_hours.check_quiet_hours(item.quiet_hours)
        except errors.Malformed as exc:
            log.error("not sent: %s", exc)
        except (errors.InvalidRequest, ValueError, TypeError, KeyError):
            # What is wrong may name what stands in the row, which is not for a log.
            what, item_id = self.store.record.what, keys.last(row.key)
            log.error("not sent: %s %s has a time zone, a rule or hours that nobody knows", what, item_id)
        else:
            return item
        return None

    def _quiet_until(self, item: T, now: datetime) -> datetime | None:
        hours = item.quiet_hours or self.settings.quiet_hours
        if not hours:
            return None
        return quiet_hours.quiet_until(hours, now, instants.zone(item.time_zone or self.settings.time_zone))

    # Claims

    async def _claim_and_send(self, partition: str, rows: Sequence[Row]) -> None:
        """Claim these and start their sends. A slot was taken for each: give back those that no send has."""
        unused, batches = len(rows), [rows]
        try:
            while batches:
                admitted = await daily_count.admit(self.outbox, partition, batches.pop(), now=self.clock())
                if not admitted[0]:
                    continue
                if items := await self._claim(partition, *admitted):
                    unused -= len(items)
                else:
                    batches += await self._unclaimed(partition, admitted[0])
        finally:
            self.sender.slots.give_back(unused)

    async def _claim(self, partition: str, rows: Sequence[Row], extra: list[Write]) -> Sequence[T]:
        """Claim these and start their sends; what was claimed: nothing where another drain was quicker."""
        attempt, now = secrets.token_hex(8), self.clock()
        for row in rows:
            extra += await self._besides(row, now)
        lease = now + LEASE
        try:
            items = await self.store.claim(partition, rows, attempt, now=now, lease=lease, extra=extra)
        except (errors.Contended, errors.StorageAway) as exc:
            # Where storage lost the answer, the claim may have landed.
            found = await self.store.readable(keys.last(row.key) for row in rows)
            items = [item for item in found if item.attempt == attempt]
            if not items and isinstance(exc, errors.StorageAway):
                raise
        if items:
            self.sender.start(partition, items, lease)
        return items

    async def _besides(self, row: Row, now: datetime) -> list[Write]:
        """What comes with a claim: the next occurrence of its series.

        Places in a conversation of another partition are written first: a dangling one is harmless.
        """
        item = self.store.record.from_row(row)
        following = item.following(now)
        for each in (item, following):
            if each and not each.is_listed_here:
                await self.store.enlist(each, max(each.due, now))
        return creation(following) if following else []

    async def _unclaimed(self, partition: str, rows: Sequence[Row]) -> list[Sequence[Row]]:
        """After a claim that failed: what nobody has taken, in halves where that is all of it.

        So in the end the one at fault is alone. The count of its person may have changed: it is tried again.
        """
        due = sorted(row.key for row in rows)
        again = await self.store.table.read(partition, due[0][:-1], due[-1] + "!", limit=1000)
        same = {row.key: row.etag for row in again}
        left = [row for row in rows if same.get(row.key) == row.etag]
        if len(left) < len(rows):
            return [left] if left else []
        if len(rows) > 1:
            half = len(rows) // 2
            return [rows[half:], rows[:half]]
        self.alone[due[0]] += 1
        if self.outbox.kind.daily_limit and self.alone[due[0]] <= COUNT_TRIES:
            return [rows]
        log.error("%s %s is due but cannot be claimed", self.store.record.what, keys.last(due[0]))
        return []
