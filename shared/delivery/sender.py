"""Post what a drain has claimed, and write what became of it.

Outcomes are written together, every little while, each only if its row is as the claim left it. The lease of
a claim goes last, when every one of its outcomes is written: whatever dies before that is looked up.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared import errors
from shared.config import Settings
from shared.delivery import settle as reconcile
from shared.delivery.states import State, advance
from shared.delivery.store import MessageStore, indexed
from shared.delivery.throttle import Pace, backoff
from shared.sms import opt_outs as recipients
from shared.sms.message import Message
from shared.storage.rows import Delete, Insert, Put, Write, stamp
from shared.twilio_helper import TIMEOUT, Twilio

log = logging.getLogger(__name__)

FLUSH = 0.05
"""Seconds that outcomes wait for others to be written with."""
FLUSH_ROWS = 32
"""Outcomes in one transaction: three writes each at most."""
HOLD = timedelta(minutes=15)
"""After which a held message is tried again: by then our configuration may be mended."""
GIVE_UP_AFTER = 3
"""Failures of one kind, in a row, that end a drain: Twilio is away, or a sender of ours is wrong."""
STALE = timedelta(seconds=60)
"""After its claim a request no longer leaves: its lease would not outlive it."""
DOUBTS = 10
"""Lost answers in a row that end a drain: each more would be one more to look up."""


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


@dataclass(slots=True)
class _Batch:
    """The messages of one claim, until the last of them is written off."""

    attempt: str
    lease: datetime
    open: int
    sent: list[str] = field(default_factory=list)

    def end(self, now: datetime) -> tuple[Write, ...]:
        """The lease goes; what was sent is asked after later, where no callback tells its end."""
        gone = Delete(f"q|{stamp(self.lease)}|l|{self.attempt}")
        return (gone, *reconcile.ask_after(self.attempt, self.sent, now))


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one message, and the writes that go with it."""

    message: Message | None
    extra: tuple[Write, ...] = ()
    batch: _Batch | None = None

    def writes(self, before: State = State.POSTING) -> list[Write]:
        if self.message is None:
            return list(self.extra)
        kept = Put(f"m|{self.message.id}", self.message.columns(), self.message.etag)
        return [kept, *indexed(before, self.message), *self.extra]


class Sender:
    """The sends of one drain. `report` grows as outcomes are written."""

    def __init__(
        self, store: MessageStore, twilio: Twilio, settings: Settings, clock: Callable[[], datetime]
    ) -> None:
        self.store, self.twilio, self.settings, self.clock = store, twilio, settings, clock
        self.report = Report()
        self.slots = twilio.slots
        self.pace = Pace(settings.max_per_second)
        self.failures: Counter[str] = Counter()
        self._results: dict[str, list[_Outcome]] = {}
        self._sends: set[asyncio.Task[None]] = set()
        self._standing_by: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._flusher = asyncio.create_task(self._flush_often())

    def start(self, partition: str, messages: Sequence[Message], lease: datetime) -> None:
        """Send claimed messages while their lease holds; each gives back the slot that was taken for it."""
        batch = _Batch(messages[0].attempt, lease, len(messages))
        for message in messages:
            task = asyncio.create_task(self._send(partition, message, batch))
            self._sends.add(task)
            task.add_done_callback(self._sends.discard)

    def stop(self, reason: str) -> None:
        """Start no further request; what has not left goes back to waiting."""
        self.pace.end()
        self._send_back()
        if not self.report.stopped:
            self.report.stopped = reason
            log.error("the drain stops: %s; every message is kept", reason)

    async def finish(self) -> None:
        """Let requests end, and for a while those begin that stand ready; write what became of them, and
        only then go. What has not left by then goes back."""
        if self.settings.max_per_second:
            self.pace.end()
        if self._sends:
            await asyncio.wait(self._sends, timeout=TIMEOUT + 5)
        self._send_back()
        self._closing = True
        await self._flusher

    def _send_back(self) -> None:
        """Have nobody wait for a turn any longer."""
        for task in self._standing_by:
            task.cancel()

    async def _send(self, partition: str, message: Message, batch: _Batch) -> None:
        try:
            outcome, extra = await self._in_turn(message)
        finally:
            self.slots.give_back()
        self._results.setdefault(partition, []).append(_Outcome(outcome, extra, batch))

    async def _in_turn(self, message: Message) -> tuple[Message, tuple[Write, ...]]:
        """POST it when its turn comes; where there is none for it any more, it goes back to waiting."""
        back = replace(message, state=State.PENDING, attempts=message.attempts - 1)
        task = asyncio.current_task()
        assert task  # noqa: S101 - it is one of _sends
        self._standing_by.add(task)
        try:
            await self.pace.turn()
            if self.pace.ended:
                return back, (_due(back),)
            await self.slots.enter()
        except asyncio.CancelledError:
            return back, (_due(back),)
        finally:
            self._standing_by.discard(task)
        try:
            # After a stall the lease may be over, the message looked up, and resent by a person.
            if self.pace.ended or (message.posted and self.clock() - message.posted > STALE):
                return back, (_due(back),)
            return await self._post(message)
        finally:
            self.slots.leave()

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
                self.stop(f"Twilio refuses the credentials ({exc.code})")
                waiting = replace(why, state=State.PENDING, attempts=message.attempts - 1)
            case errors.NotSent():
                if isinstance(exc, errors.Throttled):
                    self.slots.slower()
                elif self._count("connect") >= GIVE_UP_AFTER:
                    self.stop("Twilio cannot be reached")
                waiting = replace(why, state=State.PENDING, retry=now + backoff(message.attempts))
            case errors.Misconfigured():
                self._count(message.sender)
                log.error("message %s is held: Twilio error %s, %s", message.id, exc.code, exc)
                waiting = replace(why, state=State.HELD, retry=now + HOLD)
            case errors.Uncertain():
                log.warning("message %s may or may not have left: %s", message.id, exc)
                if self._count("doubt") >= DOUBTS:
                    self.stop("Twilio's answers are lost")
                unknown = replace(why, state=State.UNKNOWN)
                return unknown, (reconcile.look_up(unknown, now + reconcile.FIRST_LOOK),)
            case errors.OptedOut():
                try:
                    await recipients.opt_out(self.store, message.to, now=now, source="21610")
                except (errors.StorageAway, errors.Contended) as not_kept:
                    log.error("the opt-out that message %s met is not kept: %s", message.id, not_kept)
                return replace(why, state=State.SUPPRESSED), ()
            case _:
                return replace(why, state=State.FAILED), ()
        return waiting, (_due(waiting),)

    def _count(self, key: str) -> int:
        self.failures[key] += 1
        return self.failures[key]

    async def _flush_often(self) -> None:
        """Write results together, every little while; while storage is away, keep them and try again."""
        patience = 10
        while not (self._closing and not self._sends and not self._results):
            await asyncio.sleep(FLUSH)
            try:
                await self._flush()
                patience = 10
            except errors.StorageAway as exc:
                patience -= 1
                log.error("what became of sent messages cannot be written yet: %s", exc)
                if self._closing and patience <= 0:
                    return  # their lease runs out, and they are looked up

    async def _flush(self) -> None:
        for partition in list(self._results):
            results = self._results[partition]
            while results:
                chunk = results[:FLUSH_ROWS]
                await self._write(partition, chunk)
                del results[: len(chunk)]
            del self._results[partition]

    async def _write(self, partition: str, chunk: Sequence[_Outcome]) -> None:
        """One transaction for all; where a callback was quicker with one of them, each alone."""
        written = list(chunk)
        try:
            await self.store.table.commit(partition, [write for each in chunk for write in each.writes()])
        except errors.Contended:
            written = [each for each in chunk if await self._write_alone(partition, each)]
        for each in written:
            if each.message:
                self.report.states[each.message.state.value] += 1
            if each.message and each.batch:
                each.batch.open -= 1
                if each.message.state is State.SUBMITTED:
                    each.batch.sent.append(each.message.id)
                if not each.batch.open:  # only now that all of it is written may its lease go
                    self._results[partition].append(_Outcome(None, each.batch.end(self.clock())))

    async def _write_alone(self, partition: str, outcome: _Outcome) -> bool:
        """Join it with what others wrote. False where it cannot be written: its lease must settle it."""
        message, extra = outcome.message, outcome.extra
        for _ in range(5):
            if message is None:
                with suppress(errors.Contended):  # the lease ran out and was settled by another drain
                    await self.store.table.commit(partition, extra)
                return True
            present = await self.store.get(message.id)
            if present.attempt != message.attempt or present.state is message.state:
                return True  # our own write landed, and its answer was lost
            joined = merged(present, message)
            further = extra if joined.state == message.state else ()
            writes = _Outcome(joined, further).writes(present.state)
            with suppress(errors.Contended):
                await self.store.table.commit(partition, writes)
                return True
        log.error("message %s keeps changing; its lease will settle it", message and message.id)
        return False


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
