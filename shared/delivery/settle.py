"""Settle what was left in doubt: leases that ran out, answers that never came, ends that no callback told.

This is the drain's housekeeping, which comes after what is due.
"""

import asyncio
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared import errors
from shared.delivery import keys, outcome
from shared.delivery.outbox import Listed, Outbox
from shared.delivery.record import Delivery
from shared.delivery.states import UNDER_WAY, State, advance, from_twilio
from shared.delivery.timings import BLIND, FIRST_LOOK, GRACE, SKEW
from shared.storage.rows import Delete, Row, Write

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Settling[T: Delivery]:
    """The housekeeping of one drain. answers: whether Twilio answers; where not, it is asked no more.

    over: whether time is up. report: items by the state that a look-up found.
    """

    outbox: Outbox[T]
    now: datetime
    over: Callable[[], bool]
    report: Counter[str]
    answers: bool = True
    _first: asyncio.Lock = field(default_factory=asyncio.Lock)
    _has_answered: bool = False

    async def partition(self, partition: str) -> None:
        """Settle what has its time in one partition, oldest first, until time is up."""
        after = ""
        while not self.over():
            rows = await self.outbox.store.housekeeping(partition, self.now, after=after)
            if not rows:
                return
            after = rows[-1].key
            await self._rows(partition, rows)

    async def _rows(self, partition: str, rows: Sequence[Row]) -> None:
        look_ups: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            match keys.kind(row.key):
                case keys.LEASE:
                    with _left_as_it_is():
                        await self._lease_ran_out(partition, row)
                case keys.LOOK_UP:
                    look_ups[row.text("to")].append(row)
        for recipient, unknown in look_ups.items():
            if self.over():
                return
            with _left_as_it_is():
                await self._look_up(partition, recipient, unknown)
        for row in rows:
            if keys.kind(row.key) == keys.ASK_AFTER and self.answers and not self.over():
                with _left_as_it_is():
                    await self._ask_after(partition, row)

    # Leases

    async def _lease_ran_out(self, partition: str, row: Row) -> None:
        """Its drain died: what it had claimed, and whose outcome is not written, may have left."""
        attempt = keys.last(row.key)
        found = await self.outbox.store.every(json.loads(row.text("ids")))
        mine = [each for each in found if each.attempt == attempt]
        for item in mine:
            if item.state is State.POSTING:
                unknown = replace(item, state=State.UNKNOWN, updated=self.now, reason="its sender died")
                if not await self._settle(item, unknown, outcome.look_up(unknown, self.now)):
                    return  # it has changed: the lease stays for the next drain, which reads it anew
        await self._commit(partition, [Delete(row.key), *outcome.ask_after(attempt, mine, self.now)])

    # Look-ups

    async def _look_up(self, partition: str, recipient: str, rows: Sequence[Row]) -> None:
        """Find one recipient's items of unknown fate in Twilio's list, one SID to one item."""
        doubtful = await self._still_in_doubt(partition, rows)
        if not doubtful:
            return
        since = min(item.posted for _, item in doubtful if item.posted) - SKEW
        listed: Sequence[Listed] | None = None
        try:
            listed = await self._ask(lambda: self.outbox.kind.listed(recipient, since=since))
        except errors.TwilioError as exc:
            log.warning("%s %s cannot be looked up yet: %s", doubtful[0][1].what, doubtful[0][1].id, exc)
        if listed is None:
            for row, item in doubtful:
                await self._again(row, item, "it could not be looked up", counts=False)
            return
        kin = await self.outbox.store.recent(recipient, since=since) if listed else []
        taken = {each.sid for each in kin}
        for row, item in doubtful:
            taken.add(await self._match(row, item, listed, kin, taken))

    async def _still_in_doubt(self, partition: str, rows: Sequence[Row]) -> list[tuple[Row, T]]:
        """Those whose fate is still unknown. The others were settled meanwhile, and their rows go."""
        found = {item.id: item for item in await self.outbox.store.every(keys.last(r.key) for r in rows)}
        doubtful: list[tuple[Row, T]] = []
        for row in rows:
            item = found.get(keys.last(row.key))
            if item and item.state is State.UNKNOWN and item.posted:
                doubtful.append((row, item))
                continue
            further = outcome.ask_after(item.id, [item], self.now) if item else []
            await self._commit(partition, [Delete(row.key, row.etag), *further])
        return doubtful

    async def _ask[A](self, question: Callable[[], Awaitable[A]]) -> A | None:
        """Ask Twilio; None where it has failed to answer before. The first question is asked alone.

        So a Twilio that is away is asked once, and one that answers is asked for many at a time.
        """
        async with nullcontext() if self._has_answered else self._first:
            if not self.answers:
                return None
            try:
                answer = await question()
            except errors.TwilioError:
                self.answers = False
                raise
            self._has_answered = True
            return answer

    async def _match(
        self, row: Row, item: T, listed: Sequence[Listed], kin: Sequence[T], taken: set[str]
    ) -> str:
        """Give an item the nearest entry of the list that is nobody else's; its SID, or "" for none."""
        kind = self.outbox.kind
        near = [each for each in listed if kind.could_be(item, each) and _apart(item, each) <= SKEW]
        free = sorted((each for each in near if each.sid not in taken), key=lambda each: _apart(item, each))
        if not free:
            await self._again(row, item, "Twilio does not list it")
            return ""
        if any(each.state is State.POSTING and kind.are_alike(item, each) for each in kin):
            # What is listed may be that one, whose SID is not written yet.
            await self._again(row, item, "another like it is being sent", counts=False)
            return ""
        for entry in free:
            if await self.outbox.store.reserve_sid(entry.sid, item):
                await self._found(row, item, entry)
                return entry.sid
        await self._again(row, item, "Twilio does not list it")
        return ""

    async def _found(self, row: Row, item: T, entry: Listed) -> None:
        state = advance(State.UNKNOWN, from_twilio(entry.status) or State.SUBMITTED)
        settled = replace(
            item, state=state, sid=entry.sid, looked_up=True, updated=self.now, reason="", code=0
        )
        further = outcome.ask_after(item.id, [settled], self.now)
        if await self._settle(item, settled, Delete(row.key, row.etag), *further):
            self.report[state.value] += 1

    async def _again(self, row: Row, item: T, why: str, *, counts: bool = True) -> None:
        """Look again later; after two empty looks past the grace period only a person can say more."""
        assert item.posted is not None  # noqa: S101 - only what was posted is looked up
        now, age = self.now, self.now - item.posted
        looks = item.looks + 1 if counts else item.looks
        gone = Delete(row.key, row.etag)
        if (looks >= 2 and age >= GRACE) if counts else age >= BLIND:
            log.error("%s %s is unresolved: %s", item.what, item.id, why)
            ended = replace(item, state=State.UNRESOLVED, looks=looks, updated=now, reason=why)
            await self._settle(item, ended, gone)
            return
        later = max(now + FIRST_LOOK, item.posted + GRACE) if counts else now + FIRST_LOOK
        looked = replace(item, looks=looks, updated=now, reason=why)
        await self._settle(item, looked, gone, outcome.look_up(looked, later))

    # What no callback has told the end of

    async def _ask_after(self, partition: str, row: Row) -> None:
        """Ask Twilio after the items of one row."""
        items = await self.outbox.store.every(json.loads(row.text("ids")))
        asked = int(row.values.get("asked") or 0) + 1
        try:
            told = await asyncio.gather(*(self._told(each) for each in items if each.sid))
        except errors.TwilioError as exc:
            log.warning("%ss cannot be asked after yet: %s", self.outbox.store.record.what, exc)
        if not self.answers:
            return
        further = outcome.ask_after(keys.last(row.key), told, self.now, asked)
        await self._commit(partition, [Delete(row.key, row.etag), *further])

    async def _told(self, item: T) -> T:
        if item.state not in UNDER_WAY:
            return item
        known = await self._ask(lambda: self.outbox.kind.fetch(item.sid))
        if known is None:  # deleted there, or not answered
            return item
        state = advance(item.state, known.state or item.state)
        if state is item.state:
            return item
        told = replace(
            item, state=state, code=known.code, reason=known.reason, updated=self.now, **known.changes
        )
        await self._settle(item, told)
        return told

    async def _settle(self, item: T, new: T, *further: Write) -> bool:
        return await self._commit(item.partition, [*self.outbox.store.put(item, new), *further])

    async def _commit(self, partition: str, writes: Sequence[Write]) -> bool:
        """Commit; False where someone else settled it first."""
        try:
            await self.outbox.store.table.commit(partition, writes)
        except errors.Contended:
            return False
        return True


async def disown[T: Delivery](outbox: Outbox[T], owner: T, *, now: datetime) -> None:
    """A callback says whose SID this is: an item that a look-up gave it to is in doubt again."""
    assert owner.posted  # noqa: S101 - it was sent
    settling = Settling(outbox, now, lambda: False, Counter())
    kin: list[T] = []
    with _left_as_it_is():
        kin = await outbox.store.recent(owner.to, since=owner.posted - 2 * SKEW)
    for each in kin:
        if each.sid == owner.sid and each.id != owner.id and each.looked_up:
            reason = "what Twilio lists was another one like it"
            doubted = replace(each, state=State.UNKNOWN, sid="", looked_up=False, updated=now, reason=reason)
            await settling._settle(each, doubted, outcome.look_up(doubted, now))


def _apart(item: Delivery, entry: Listed) -> timedelta:
    """How much time lies between our POST and the entry, either way: clocks differ."""
    if item.posted is None or entry.created is None:
        return timedelta.max
    return abs(entry.created - item.posted)


@contextmanager
def _left_as_it_is() -> Iterator[None]:
    """Where a row cannot be read, what is to be settled of it stays until the row is mended."""
    try:
        yield
    except errors.Malformed as exc:
        log.error("not settled: %s", exc)
