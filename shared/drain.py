"""Send what is due: claim, write that it may leave, POST, write what became of it.

Any number of drains may run at once, on any instances: a claim is an ETag-guarded transaction, and whoever
comes second takes nothing. A message whose request may have left is never posted again from here.
"""

import asyncio
import logging
import random
import secrets
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from shared import calls, errors, limits, recipients, reconcile, when
from shared.config import Settings
from shared.message import Message, shard
from shared.message_store import PARTITIONS, MessageStore, creation
from shared.rows import TRANSACTION_LIMIT, Delete, Insert, Put, Row, Write, moment, stamp
from shared.states import State, advance
from shared.twilio_helper import TIMEOUT, Twilio

if TYPE_CHECKING:
    from shared.services import Services

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=90)
"""How long a claim holds: well over Twilio's time limit, so that it never runs out under a living drain."""
BATCH = 48
"""Messages in one claim: two writes each and the lease make a transaction."""
FLUSH = 0.05
"""Seconds that results wait for others to be written with."""
FLUSH_ROWS = 32
"""Results in one transaction: three writes each at most."""
HOLD = timedelta(minutes=15)
"""After which a held message is tried again: by then our configuration may be mended."""
GIVE_UP_AFTER = 3
"""Failures of one kind, in a row, that end a drain: Twilio is away, or a sender of ours is wrong."""


@dataclass(slots=True)
class Report:
    """What one drain did: messages by their new state; why it stopped early; what it left due."""

    states: Counter[str] = field(default_factory=Counter)
    stopped: str = ""
    left: set[str] = field(default_factory=set)

    @property
    def to_do(self) -> list[str]:
        """The partitions that other instances shall drain at once: none where the reason to stop holds."""
        return [] if self.stopped else sorted(self.left)

    def __str__(self) -> str:
        done = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items())) or "nothing due"
        return done + (f"; stopped: {self.stopped}" if self.stopped else "")


class Slots:
    """How many requests are under way at once; Twilio's 429 makes them fewer, success more again."""

    def __init__(self, most: int) -> None:
        self.most = self.limit = most
        self.used = 0
        self._changed = asyncio.Condition()

    async def take(self, wanted: int) -> int:
        """Wait until a good part of the slots is free; how many of them were taken, at most `wanted`."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: self.limit - self.used >= min(wanted, max(1, self.limit // 2))
            )
            taken = min(wanted, self.limit - self.used)
            self.used += taken
            return taken

    async def give_back(self, count: int = 1) -> None:
        async with self._changed:
            self.used -= count
            self._changed.notify_all()

    def slower(self) -> None:
        self.limit = max(1, self.limit // 2)

    def faster(self) -> None:
        self.limit = min(self.most, self.limit + 1)


class Pace:
    """At most so many a second, evenly; no limit where the rate is None."""

    def __init__(self, rate: float | None) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._next = 0.0

    async def wait(self) -> None:
        if self._gap:
            self._next = max(self._next + self._gap, monotonic())
            await asyncio.sleep(self._next - monotonic())


async def drain(
    store: MessageStore,
    twilio: Twilio,
    settings: Settings,
    *,
    now: datetime,
    seconds: float,
    partitions: Sequence[str] = PARTITIONS,
) -> Report:
    """Send what is due at `now` in these partitions, for at most `seconds`, and settle what is in doubt.

    Whatever happens, what was claimed and has not left goes back; `left` names partitions with more due.
    """
    return await _Drain(store, twilio, settings, now, seconds).run(partitions)


@dataclass(slots=True)
class _Batch:
    """The messages of one claim, until the last of them is written off."""

    lease: str
    open: int


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one message, and the writes that go with it."""

    message: Message | None
    extra: tuple[Write, ...] = ()
    batch: _Batch | None = None

    def writes(self) -> list[Write]:
        kept = (
            [Put(f"m|{self.message.id}", self.message.columns(), self.message.etag)] if self.message else []
        )
        return [*kept, *self.extra]


TICK_SECONDS = 10.0
"""How long one tick sends: well under the shortest schedule, so that ticks never pile up."""
SHARD_SECONDS = 120.0


async def tick(services: "Services", *, now: datetime) -> Report:
    """Once per schedule: send what is due, and settle calls in doubt."""
    report = await drain(services.messages, services.twilio, services.settings, now=now, seconds=TICK_SECONDS)
    await calls.reconcile(services.calls, services.twilio, now=now)
    return report


async def one_shard(raw: bytes, services: "Services", *, now: datetime) -> Report:
    """Send what is due in the shard that a message on `sms-drain` names."""
    partition = raw.decode("utf-8", "replace").strip()
    if partition not in PARTITIONS:
        log.error("a message on sms-drain names no shard")
        return Report()
    return await drain(
        services.messages,
        services.twilio,
        services.settings,
        now=now,
        seconds=SHARD_SECONDS,
        partitions=[partition],
    )


def leaves_now(message: Message, settings: Settings, *, now: datetime) -> bool:
    """Shall its shard be drained at once? With MAX_PER_SECOND only the timer sends, at that pace."""
    return message.state is State.PENDING and message.due <= now and not settings.max_per_second


class _Drain:
    def __init__(
        self, store: MessageStore, twilio: Twilio, settings: Settings, now: datetime, seconds: float
    ) -> None:
        self.store, self.twilio, self.settings, self.now = store, twilio, settings, now
        self.started = monotonic()
        self.seconds = seconds
        self.slots = Slots(settings.send_concurrency)
        self.pace = Pace(settings.max_per_second)
        self.batch = min(BATCH, max(1, int(settings.max_per_second or BATCH)))
        self.report = Report()
        self.results: dict[str, list[_Outcome]] = {}
        self.closing = False
        self.sends: set[asyncio.Task[None]] = set()
        self.failures: Counter[str] = Counter()

    def clock(self) -> datetime:
        """The present, as the drain's `now` and the time since: tests pass their own `now`."""
        return self.now + timedelta(seconds=monotonic() - self.started)

    @property
    def over(self) -> bool:
        return bool(self.report.stopped) or monotonic() - self.started > self.seconds

    async def run(self, partitions: Sequence[str]) -> Report:
        order = list(partitions)
        random.shuffle(order)  # drains that begin at different partitions hardly meet
        flusher = asyncio.create_task(self._flush_often())
        waiting = iter(order)

        async def worker() -> None:
            for partition in waiting:
                try:
                    await self._partition(partition)
                except errors.StorageAway as exc:
                    self._stop(str(exc))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(4):
                    group.create_task(worker())
        except asyncio.CancelledError:
            self.report.stopped = "shutting down"
            raise
        finally:
            await asyncio.shield(self._finish(flusher))
        return self.report

    async def _finish(self, flusher: asyncio.Task[None]) -> None:
        """Let requests under way end, write their results, and only then go."""
        if self.sends:
            await asyncio.wait(self.sends, timeout=TIMEOUT + 5)
        self.closing = True
        await flusher

    async def _partition(self, partition: str) -> None:
        """Walk what is due in one partition, oldest first, until nothing is left or time is up."""
        after = ""
        stopped: frozenset[str] = frozenset()
        while True:
            rows = await self.store.agenda(partition, self.now, after=after)
            if not rows:
                return
            if self.over:
                self.report.left.add(partition)
                return
            after = rows[-1].key
            others = [row for row in rows if row.key.split("|")[2] != "m"]
            stopped |= await reconcile.settle(
                self.store, self.twilio, partition, others, now=self.clock(), report=self.report.states
            )
            due = [row for row in rows if row.key.split("|")[2] == "m"]
            ready = [row for row in due if await self._is_ready(partition, row, stopped)]
            ready = [row for row in ready if self.failures[row.text("sender")] < GIVE_UP_AFTER]
            while ready and not self.over:
                taken = await self.slots.take(min(self._fitting(ready), self.batch))
                batch, ready = ready[:taken], ready[taken:]
                sent = 0
                try:
                    sent = await self._claim_and_send(partition, batch)
                finally:
                    await self.slots.give_back(taken - sent)
            if ready:
                self.report.left.add(partition)
                return

    def _fitting(self, rows: Sequence[Row]) -> int:
        """How many of these one transaction can claim: a message of a series brings its next one with it."""
        room = TRANSACTION_LIMIT - 1
        for count, row in enumerate(rows):
            room -= 2 + (3 if row.text("repeat") else 0) + (1 if self.settings.daily_limit else 0)
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
            message = replace(
                Message.from_row(row), state=State.SUPPRESSED, reason="the recipient has opted out"
            )
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

    async def _claim_and_send(self, partition: str, rows: Sequence[Row]) -> int:
        """Claim these and start their sends; how many were started."""
        attempt = secrets.token_hex(8)
        now = self.clock()
        rows, extra = await limits.admit(self.store, partition, rows, self.settings, now=now)
        if not rows:
            return 0
        for row in rows:
            if following := Message.from_row(row).following(now):
                extra += creation(following)
        try:
            lease = now + LEASE
            messages = await self.store.claim(partition, rows, attempt, now=now, lease=lease, extra=extra)
        except errors.Contended:
            # Another drain was quicker, or storage lost the answer of a write of ours that landed.
            found = await self.store.many(row.key.rpartition("|")[2] for row in rows)
            messages = [message for message in found if message.attempt == attempt]
            if not messages:
                return await self._claim_what_is_left(partition, rows)
        batch = _Batch(f"q|{stamp(lease)}|l|{attempt}", len(messages))
        for message in messages:
            task = asyncio.create_task(self._send(partition, message, batch))
            self.sends.add(task)
            task.add_done_callback(self.sends.discard)
        return len(messages)

    async def _claim_what_is_left(self, partition: str, rows: Sequence[Row]) -> int:
        """After a claim that failed: those that nobody has taken; halved until the one at fault is alone."""
        again = await self.store.table.read(partition, "q|", rows[-1].key + "!", limit=1000)
        same = {row.key: row.etag for row in again}
        left = [row for row in rows if same.get(row.key) == row.etag]
        if len(left) < len(rows):
            return await self._claim_and_send(partition, left) if left else 0
        if len(rows) == 1:
            log.error("message %s is due but cannot be claimed", rows[0].key.rpartition("|")[2])
            return 0
        half = len(rows) // 2
        return await self._claim_and_send(partition, rows[:half]) + await self._claim_and_send(
            partition, rows[half:]
        )

    async def _send(self, partition: str, message: Message, batch: _Batch) -> None:
        try:
            await self.pace.wait()
            if self.report.stopped:  # it has not left: it goes back
                outcome: Message = replace(message, state=State.PENDING, attempts=message.attempts - 1)
                extra: tuple[Write, ...] = (_due(outcome),)
            else:
                outcome, extra = await self._post(message)
        finally:
            await self.slots.give_back()
        self.results.setdefault(partition, []).append(_Outcome(outcome, extra, batch))

    async def _post(self, message: Message) -> tuple[Message, tuple[Write, ...]]:
        """POST it once; what became of it, and the writes that go with that."""
        query = f"id={message.id}&attempt={message.attempt}"
        try:
            sent = await self.twilio.send_sms(
                to=message.to,
                body=message.body,
                media_urls=message.media_urls,
                sender=message.sender or None,
                status_callback=f"{self.settings.public_base_url}/api/sms/status?{query}",
            )
        except errors.TwilioError as exc:
            return await self._failed(message, exc)
        self.failures.clear()
        self.slots.faster()
        state = State.SUBMITTED
        return replace(message, state=state, sid=sent.sid, updated=self.clock()), ()

    async def _failed(self, message: Message, exc: errors.TwilioError) -> tuple[Message, tuple[Write, ...]]:
        """DESIGN: Twilio outcomes, each class to its state."""
        now = self.clock()
        why = replace(message, code=exc.code or 0, reason=str(exc), updated=now)
        match exc:
            case errors.BadCredentials():
                self._stop(f"Twilio refuses the credentials ({exc.code})")
                waiting = replace(why, state=State.PENDING, attempts=message.attempts - 1)
            case errors.NotSent():
                if isinstance(exc, errors.Throttled):
                    self.slots.slower()
                elif self._count("connect") >= GIVE_UP_AFTER:
                    self._stop("Twilio cannot be reached")
                waiting = replace(why, state=State.PENDING, retry=now + _backoff(message.attempts))
            case errors.Misconfigured():
                self._count(message.sender)
                log.error("message %s is held: Twilio error %s, %s", message.id, exc.code, exc)
                waiting = replace(why, state=State.HELD, retry=now + HOLD)
            case errors.Uncertain():
                log.warning("message %s may or may not have left: %s", message.id, exc)
                unknown = replace(why, state=State.UNKNOWN)
                return unknown, (reconcile.look_up(unknown, now + reconcile.FIRST_LOOK),)
            case errors.OptedOut():
                await recipients.opt_out(self.store, message.to, now=now, source="21610")
                return replace(why, state=State.SUPPRESSED), ()
            case _:
                return replace(why, state=State.FAILED), ()
        return waiting, (_due(waiting),)

    def _count(self, key: str) -> int:
        self.failures[key] += 1
        return self.failures[key]

    def _stop(self, reason: str) -> None:
        if not self.report.stopped:
            self.report.stopped = reason
            log.error("the drain stops: %s; every message is kept", reason)

    async def _flush_often(self) -> None:
        """Write results together, every little while; while storage is away, keep them and try again."""
        patience = 10
        while not (self.closing and not self.results):
            await asyncio.sleep(FLUSH)
            try:
                await self._flush()
            except errors.StorageAway as exc:
                patience -= 1
                log.error("what became of sent messages cannot be written yet: %s", exc)
                if self.closing and not patience:
                    return  # their lease runs out, and they are looked up

    async def _flush(self) -> None:
        for partition in list(self.results):
            results = self.results[partition]
            while results:
                chunk = results[:FLUSH_ROWS]
                await self._write(partition, chunk)
                del results[: len(chunk)]
            del self.results[partition]

    async def _write(self, partition: str, chunk: Sequence[_Outcome]) -> None:
        """One transaction for all; where a callback was quicker with one of them, each alone."""
        try:
            await self.store.table.commit(partition, [write for each in chunk for write in each.writes()])
        except errors.Contended:
            for each in chunk:
                await self._write_alone(partition, each)
        for each in chunk:
            if each.message:
                self.report.states[each.message.state.value] += 1
            if each.batch:
                each.batch.open -= 1
                if not each.batch.open:  # only now that all of it is written may its lease go
                    self.results[partition].append(_Outcome(None, (Delete(each.batch.lease),)))

    async def _write_alone(self, partition: str, outcome: _Outcome) -> None:
        message, extra = outcome.message, outcome.extra
        for _ in range(5):
            if message is None:
                with suppress(errors.Contended):  # the lease ran out and was settled by another drain
                    await self.store.table.commit(partition, extra)
                return
            present = await self.store.get(message.id)
            joined = merged(present, message)
            writes = _Outcome(joined, extra if joined.state == message.state else ()).writes()
            with suppress(errors.Contended):
                await self.store.table.commit(partition, writes)
                return
        log.error("message %s keeps changing; its lease will settle it", message and message.id)


def merged(present: Message, outcome: Message) -> Message:
    """The row as it is, joined with what a send found out: a rank never goes down, a SID never changes."""
    if present.sid and outcome.sid and present.sid != outcome.sid:
        log.error("message %s has two SIDs: %s and %s", present.id, present.sid, outcome.sid)
        return present
    state = advance(present.state, outcome.state)
    if state == present.state:
        return replace(present, sid=present.sid or outcome.sid)
    return replace(outcome, state=state, etag=present.etag)


def _due(message: Message) -> Write:
    return Insert(f"q|{stamp(message.next)}|m|{message.id}", message.columns())


def _backoff(attempts: int) -> timedelta:
    from tenacity import RetryCallState, wait_random_exponential

    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]
    state.attempt_number = max(1, attempts)
    return timedelta(seconds=wait_random_exponential(multiplier=2, min=1, max=600)(state))
