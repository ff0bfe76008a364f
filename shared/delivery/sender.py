"""Post what a drain has claimed, and write what became of it.

Outcomes are written together, every little while, each only if its row is as the claim left it. The lease of
a claim goes last, when every one of its outcomes is written: what dies before that is looked up.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared import errors
from shared.delivery import outcome
from shared.delivery.outbox import Outbox
from shared.delivery.record import Delivery
from shared.delivery.states import UNDER_WAY
from shared.delivery.throttle import Pace
from shared.delivery.timings import STALE
from shared.storage.rows import Write

log = logging.getLogger(__name__)

FLUSH = 0.05
"""Seconds that outcomes wait for others to be written with."""
FLUSH_ROWS = 32
"""Outcomes in one transaction: three writes each at most."""
LAST_SENDS = 20.0
"""Seconds that requests under way are waited for at the end of a drain: more than one request may take."""
GIVE_UP_AFTER = 3
"""Failures of one kind, in a row, that end a drain: Twilio is away, or a sender of ours is wrong."""
DOUBTS = 10
"""Lost answers in a row that end a drain: each more would be one more to look up."""
FLUSH_TRIES = 10
"""How often a drain that ends tries to write outcomes while storage is away."""


@dataclass(slots=True)
class Report:
    """What one drain did: items by their new state; why it stopped early; the partitions with more due."""

    states: Counter[str] = field(default_factory=Counter)
    stopped: str = ""
    left: set[str] = field(default_factory=set)

    @property
    def to_do(self) -> list[str]:
        """The partitions that are to be drained on at once: none where the reason to stop holds."""
        return [] if self.stopped else sorted(self.left)

    def __str__(self) -> str:
        done = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items())) or "nothing due"
        return done + (f"; stopped: {self.stopped}" if self.stopped else "")


@dataclass(slots=True)
class _Claim[T: Delivery]:
    """One claim. open: how many of its outcomes are not written yet."""

    attempt: str
    lease: datetime
    open: int
    sent: list[T] = field(default_factory=list)

    def writes(self, item: T | None, now: datetime) -> list[Write]:
        """The writes of one outcome; without an item, those that end the claim."""
        return (
            outcome.writes(item, now)
            if item
            else outcome.lease_ends(self.lease, self.attempt, self.sent, now)
        )


type _Result[T: Delivery] = tuple[T | None, _Claim[T]]


class Sender[T: Delivery]:
    """The sends of one drain. `report` grows as outcomes are written."""

    def __init__(self, outbox: Outbox[T], clock: Callable[[], datetime]) -> None:
        self.store, self.kind, self.slots = outbox.store, outbox.kind, outbox.slots
        self.clock = clock
        self.report = Report()
        self.is_paced = outbox.settings.max_per_second is not None
        self.pace = Pace(outbox.settings.max_per_second)
        self.failures: Counter[str] = Counter()
        self._results: dict[str, list[_Result[T]]] = {}
        self._sends: set[asyncio.Task[None]] = set()
        self._standing_by: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._flusher = asyncio.create_task(self._flush_often())

    def start(self, partition: str, items: Sequence[T], lease: datetime) -> None:
        """Send claimed items while their lease holds; each gives back the slot that was taken for it."""
        claim = _Claim[T](items[0].attempt, lease, len(items))
        for item in items:
            task = asyncio.create_task(self._send(partition, item, claim))
            self._sends.add(task)
            task.add_done_callback(self._sends.discard)

    def stop(self, reason: str) -> None:
        """Start no further request; what has not left goes back to waiting."""
        self.pace.end()
        self._cancel_queued()
        if not self.report.stopped:
            self.report.stopped = reason
            log.error("the drain stops: %s; nothing is lost", reason)

    async def finish(self) -> None:
        """Let requests end, and for a while those begin that stand ready; write every outcome."""
        if self.is_paced:
            self.pace.end()
        if self._sends:
            await asyncio.wait(self._sends, timeout=LAST_SENDS)
        self._cancel_queued()
        self._closing = True
        await self._flusher

    def _cancel_queued(self) -> None:
        """Cancel the sends that still wait for their turn."""
        for task in self._standing_by:
            task.cancel()

    async def _send(self, partition: str, item: T, claim: _Claim[T]) -> None:
        try:
            result = await self._in_turn(item)
        finally:
            self.slots.give_back()
        self._results.setdefault(partition, []).append((result, claim))

    async def _in_turn(self, item: T) -> T:
        """POST it when its turn comes; where no turn comes any more, it goes back to waiting."""
        task = asyncio.current_task()
        assert task  # noqa: S101 - it is one of _sends
        self._standing_by.add(task)
        try:
            await self.pace.turn()
            if self.pace.ended:
                return outcome.unsent(item)
            await self.slots.enter()
        except asyncio.CancelledError:
            return outcome.unsent(item)
        finally:
            self._standing_by.discard(task)
        try:
            # After a stall the lease may be over, the item looked up, and resent by a person.
            if self.pace.ended or (item.posted and self.clock() - item.posted > STALE):
                return outcome.unsent(item)
            result, error = await outcome.post(self.kind, item, self.clock)
            self._count(result, error)
            return result
        finally:
            self.slots.leave()

    def _count(self, item: T, error: errors.TwilioError | None) -> None:
        """Slow down, or stop the drain, where others would fail the same way."""
        match error:
            case None:
                self.failures.clear()
                self.slots.faster()
            case errors.BadCredentials():
                self.stop(f"Twilio refuses the credentials ({error.code})")
            case errors.Throttled():
                self.slots.slower()
            case errors.NotSent():
                self.failures["connect"] += 1
            case errors.Misconfigured():
                self.failures[item.sender] += 1
            case errors.Uncertain():
                self.failures["doubt"] += 1
        if self.failures["connect"] >= GIVE_UP_AFTER:
            self.stop("Twilio cannot be reached")
        if self.failures["doubt"] >= DOUBTS:
            self.stop("Twilio's answers are lost")

    async def _flush_often(self) -> None:
        """Write outcomes together, every little while; while storage is away, keep them and try again."""
        tries = FLUSH_TRIES
        while not (self._closing and not self._sends and not self._results):
            await asyncio.sleep(FLUSH)
            try:
                await self._flush()
                tries = FLUSH_TRIES
            except errors.StorageAway as exc:
                tries -= 1
                log.error("what became of sent items cannot be written yet: %s", exc)
                if self._closing and tries <= 0:
                    return  # their lease runs out, and they are looked up

    async def _flush(self) -> None:
        for partition in list(self._results):
            results = self._results[partition]
            while results:
                chunk = results[:FLUSH_ROWS]
                await self._write(partition, chunk)
                del results[: len(chunk)]
            del self._results[partition]

    async def _write(self, partition: str, chunk: Sequence[_Result[T]]) -> None:
        """One transaction for all; where a callback was quicker with one of them, each alone."""
        now = self.clock()
        try:
            await self.store.table.commit(
                partition, [write for item, claim in chunk for write in claim.writes(item, now)]
            )
            written = list(chunk)
        except errors.Contended:
            written = [each for each in chunk if await self._write_alone(partition, *each)]
        for item, claim in written:
            if not item:
                continue
            self.report.states[item.state.value] += 1
            claim.open -= 1
            if item.state in UNDER_WAY:
                claim.sent.append(item)
            if not claim.open:
                self._results[partition].append((None, claim))

    async def _write_alone(self, partition: str, item: T | None, claim: _Claim[T]) -> bool:
        """Write one; False where it cannot be written, and its lease must settle it."""
        try:
            if item:
                return await outcome.write_joined(self.store, item, now=self.clock())
            await self.store.table.commit(partition, claim.writes(None, self.clock()))
        except errors.Contended:  # the lease ran out and was settled by another drain
            return False
        except (errors.Malformed, errors.NotFound) as exc:
            log.error("an outcome cannot be written: %s", exc)
            return False
        return True
