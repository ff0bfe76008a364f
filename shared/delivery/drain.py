"""Send what is due: claim, write that it may leave, POST, write what became of it.

Any number of drains may run at once, on any instances: a claim is an ETag-guarded transaction, and whoever
comes second takes nothing. A message whose request may have left is never posted again from here.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from shared import errors
from shared.calls import placing as calls
from shared.config import Settings
from shared.delivery import daily_limit as limits
from shared.delivery import settle as reconcile
from shared.delivery.sender import GIVE_UP_AFTER, Report, Sender
from shared.delivery.states import State
from shared.delivery.store import OPTED_OUT, PARTITIONS, MessageStore, creation
from shared.sms.message import Message, shard
from shared.storage.rows import TRANSACTION_LIMIT, Row, Write, moment
from shared.times import instants as when
from shared.twilio_helper import Twilio
from shared.web import diagnosis

if TYPE_CHECKING:
    from shared.services import Services

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=90)
"""How long a claim holds: well over Twilio's time limit, so that it never runs out under a living drain."""
BATCH = 24
"""Messages in one claim at most: a larger transaction keeps the event loop from its other work for long."""
WORKERS = 4
"""Partitions that are walked at once."""


async def drain(
    store: MessageStore,
    twilio: Twilio,
    settings: Settings,
    *,
    now: datetime,
    seconds: float,
    partitions: Sequence[str] = PARTITIONS,
    half: int | None = None,
) -> Report:
    """Send what is due at `now` in these partitions, for at most `seconds`, and settle what is in doubt.

    Whatever happens, what was claimed and has not left goes back; `left` names partitions with more due.
    half: 0 or 1, where only every other message is this drain's, and the others are another's.
    """
    return await _Drain(store, twilio, settings, now, seconds, half).run(partitions)


TICK_SECONDS = 10.0
"""How long one tick sends: well under the shortest schedule, so that ticks never pile up."""
PACED_SECONDS = 50.0
"""The same with MAX_PER_SECOND, where nobody else goes on with what is left."""
SHARD_SECONDS = 120.0


async def tick(services: "Services", *, now: datetime) -> Report:
    """Once per schedule: send what is due, and settle calls in doubt."""
    seconds = PACED_SECONDS if services.settings.max_per_second else TICK_SECONDS
    report = await drain(services.messages, services.twilio, services.settings, now=now, seconds=seconds)
    try:
        if not report.stopped:  # the reason to stop holds for them too
            await calls.reconcile(services.calls, services.twilio, now=now)
        await diagnosis.beat(services.messages.table, str(report), now=now)
    except errors.StorageAway as exc:
        report.stopped = report.stopped or str(exc)
    report.left = {half for partition in report.left for half in halves(partition)}
    return report


def halves(partition: str) -> tuple[str, str]:
    """A partition in two, as messages on `sms-drain` name it.

    Azure gives a queue's function an instance for every `batchSize` messages in it (Azure Functions:
    target-based scaling; host.json says 24), so all 16 partitions would go to one: with 32 there are two.
    """
    return f"{partition}/0", f"{partition}/1"


async def one_shard(raw: bytes, services: "Services", *, now: datetime) -> Report:
    """Send what is due in the shard, or the half of it, that a message on `sms-drain` names."""
    name = raw.decode("utf-8", "replace").strip()
    partition = name[:2]
    if partition not in PARTITIONS or name not in (partition, *halves(partition)):
        log.error("a message on sms-drain names no shard")
        return Report()
    half = None if name == partition else int(name[-1])
    report = await drain(
        services.messages,
        services.twilio,
        services.settings,
        now=now,
        seconds=SHARD_SECONDS,
        partitions=[partition],
        half=half,
    )
    if report.left:
        report.left = set(halves(partition)) if half is None else {name}
    return report


def leaves_now(message: Message, settings: Settings, *, now: datetime) -> bool:
    """Shall its shard be drained at once? With MAX_PER_SECOND only the timer sends, at that pace."""
    return message.state is State.PENDING and message.due <= now and not settings.max_per_second


class _Drain:
    def __init__(
        self,
        store: MessageStore,
        twilio: Twilio,
        settings: Settings,
        now: datetime,
        seconds: float,
        half: int | None,
    ) -> None:
        self.store, self.twilio, self.settings, self.now, self.half = store, twilio, settings, now, half
        self.started = monotonic()
        self.seconds = seconds
        self.answers = True
        self.batch = min(BATCH, max(1, int(settings.max_per_second or BATCH)))
        self.sender = Sender(store, twilio, settings, self.clock)
        self.report = self.sender.report
        self.claims: set[asyncio.Task[None]] = set()

    def clock(self) -> datetime:
        """The present, as the drain's `now` and the time since: tests pass their own `now`."""
        return self.now + timedelta(seconds=monotonic() - self.started)

    def over(self) -> bool:
        return bool(self.report.stopped) or monotonic() - self.started > self.seconds

    async def run(self, partitions: Sequence[str]) -> Report:
        order = list(partitions)
        random.shuffle(order)  # drains that begin at different partitions hardly meet
        waiting = iter(order)

        async def worker() -> None:
            for partition in waiting:
                try:
                    await self._partition(partition)
                except errors.StorageAway as exc:
                    self.sender.stop(str(exc))
                except (ValueError, TypeError, KeyError) as exc:  # its words may be those of a row
                    log.error("shard %s holds a row that cannot be read: %s", partition, type(exc).__name__)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(worker())
        except asyncio.CancelledError:
            self.sender.stop("shutting down")
            raise
        finally:
            await asyncio.shield(self._finish())
        if self.settings.max_per_second:
            self.report.left.clear()  # other instances would each keep that pace of their own
        return self.report

    def _claiming(self, partition: str, rows: Sequence[Row]) -> asyncio.Task[None]:
        """Claim and send; a claim that is under way is not cancelled, since it may be written already.

        A slot was taken for each; here those are given back whose sends are not started.
        """

        async def claim_and_send() -> None:
            started: list[int] = []
            try:
                await self._claim_and_send(partition, rows, started)
            finally:
                self.sender.slots.give_back(len(rows) - sum(started))

        claim = asyncio.create_task(claim_and_send())
        self.claims.add(claim)
        claim.add_done_callback(self.claims.discard)
        return claim

    async def _finish(self) -> None:
        if self.claims:
            await asyncio.wait(self.claims)
        await self.sender.finish()

    async def _partition(self, partition: str) -> None:
        """Walk what is due in one partition, oldest first, until nothing is left or time is up."""
        after = ""
        stopped: frozenset[str] = frozenset()
        while True:
            rows = await self.store.agenda(partition, self.now, after=after)
            if not rows:
                return
            if self.over():
                self.report.left.add(partition)
                return
            after = rows[-1].key
            others = [row for row in rows if row.key.split("|")[2] != "m"]
            stopped |= await reconcile.settle(self.store, partition, others, now=self.clock())
            due = [row for row in rows if row.key.split("|")[2] == "m" and self._is_mine(row)]
            due = [row for row in due if _can_be_read(row, self.clock())]
            ready = [row for row in due if await self._is_ready(partition, row, stopped)]
            ready = [row for row in ready if self.sender.failures[row.text("sender")] < GIVE_UP_AFTER]
            while ready:
                taken = await self.sender.slots.take(min(self._fitting(ready), self.batch))
                batch: Sequence[Row] = ()
                try:
                    await self.sender.pace.ready()
                    batch = () if self.over() else ready[:taken]
                finally:
                    if not batch:
                        self.sender.slots.give_back(taken)
                if not batch:
                    break
                ready = ready[taken:]
                await asyncio.shield(self._claiming(partition, batch))
            if not self.half:
                await self._ask_twilio(partition, others)
            if ready:
                self.report.left.add(partition)
                return

    async def _ask_twilio(self, partition: str, rows: Sequence[Row]) -> None:
        """After what is due: Twilio may take its time; where it does not answer once, it is let be."""
        self.answers = await reconcile.ask_twilio(
            self.store,
            self.twilio,
            partition,
            rows,
            now=self.clock(),
            report=self.report.states,
            over=self.over,
            answers=self.answers,
        )

    def _is_mine(self, row: Row) -> bool:
        return self.half is None or int(row.key[-1], 16) % 2 == self.half

    def _fitting(self, rows: Sequence[Row]) -> int:
        """How many of these one transaction can claim: a message of a series brings its next one with it."""
        room = TRANSACTION_LIMIT - 1
        for count, row in enumerate(rows):
            # itself, its place where it is late, the next of its series, the count of its recipient
            room -= 3 + (3 if row.text("repeat") else 0) + (1 if self.settings.daily_limit else 0)
            if room < 0:
                return count
        return len(rows)

    async def _is_ready(self, partition: str, row: Row, stopped: frozenset[str]) -> bool:
        """May it leave now? What may not is moved on: expired, quiet hours, opted out."""
        now = self.clock()
        message: Message | None = None
        to = row.text("to")
        # A message whose recipient was edited lies in another partition than that recipient's STOP.
        if to in stopped or (shard(to) != partition and await self.store.opted_out(to)):
            message = replace(Message.from_row(row), state=State.SUPPRESSED, reason=OPTED_OUT)
        elif row.text("expires") and moment(row.text("expires")) < now:
            message = replace(
                Message.from_row(row), state=State.EXPIRED, reason="its time to be sent has passed"
            )
        elif quiet := row.text("quiet_hours") or self.settings.quiet_hours:
            asleep = Message.from_row(row)
            until = when.quiet_until(quiet, now, when.zone(asleep.time_zone or self.settings.time_zone))
            if until:
                message = replace(asleep, state=State.DEFERRED, due=until, retry=None, reason="quiet hours")
        if message is None:
            return True
        following = message.following(now) if message.state is State.EXPIRED else None
        with suppress(errors.Contended):
            await self.store.leave(partition, row, replace(message, updated=now), following)
            self.report.states[message.state.value] += 1
        return False

    async def _claim_and_send(
        self, partition: str, rows: Sequence[Row], started: list[int], tries: int = 3
    ) -> None:
        """Claim these and start their sends; how many were started is added to `started`."""
        attempt = secrets.token_hex(8)
        now = self.clock()
        rows, extra = await limits.admit(self.store, partition, rows, self.settings, now=now)
        if not rows:
            return
        for row in rows:
            extra += await self._besides(row, now)
        try:
            lease = now + LEASE
            messages = await self.store.claim(partition, rows, attempt, now=now, lease=lease, extra=extra)
        except (errors.Contended, errors.StorageAway) as exc:
            # Another drain was quicker, or storage lost the answer of a write of ours that landed.
            found = await self.store.many(row.key.rpartition("|")[2] for row in rows)
            messages = [message for message in found if message.attempt == attempt]
            if not messages and isinstance(exc, errors.StorageAway):
                raise
            if not messages:
                await self._claim_what_is_left(partition, rows, started, tries)
                return
        self.sender.start(partition, messages, lease)
        started.append(len(messages))

    async def _besides(self, row: Row, now: datetime) -> list[Write]:
        """What comes with the claim of a message: the next of its series.

        Their places in a list that lies in another partition come first: one that leads nowhere does no harm.
        """
        message = Message.from_row(row)
        following = message.following(now)
        for each in (message, following) if shard(message.to) != message.partition else ():
            if each:
                await self.store.list_elsewhere(each, max(each.due, now))
        return creation(following) if following else []

    async def _claim_what_is_left(
        self, partition: str, rows: Sequence[Row], started: list[int], tries: int
    ) -> None:
        """After a claim that failed: those that nobody has taken; halved until the one at fault is alone."""
        keys = sorted(row.key for row in rows)
        again = await self.store.table.read(partition, keys[0][:-1], keys[-1] + "!", limit=1000)
        same = {row.key: row.etag for row in again}
        left = [row for row in rows if same.get(row.key) == row.etag]
        if len(left) < len(rows):
            if left:
                await self._claim_and_send(partition, left, started, tries)
        elif len(rows) > 1:
            half = len(rows) // 2
            await self._claim_and_send(partition, rows[:half], started, tries)
            await self._claim_and_send(partition, rows[half:], started, tries)
        elif self.settings.daily_limit and tries:  # the count of its recipient has changed
            await self._claim_and_send(partition, rows, started, tries - 1)
        else:
            log.error("message %s is due but cannot be claimed", rows[0].key.rpartition("|")[2])


def _can_be_read(row: Row, now: datetime) -> bool:
    """With all that its send needs. One that cannot stays due, and keeps no other from leaving."""
    try:
        message = Message.from_row(row)
        message.following(now)
        if message.quiet_hours:
            when.check_quiet_hours(message.quiet_hours)
            when.zone(message.time_zone or "UTC")
    except errors.Malformed as exc:
        log.error("not sent: %s", exc)
    except (errors.InvalidRequest, ValueError, TypeError, KeyError):
        # What is wrong may name what stands in the row, which is not for a log.
        log.error("not sent: message %s has a time zone, a rule or hours that nobody knows", message.id)
    else:
        return True
    return False
