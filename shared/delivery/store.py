"""The table of texts, or of calls: every read and write of it is here, each atomic on its own.

Every look-up is a point or a range read; keys.py has the layout. Texts lie in their recipient's partition, so
that they change in one transaction with the opt-out and the counts of that person. Calls lie by their id, so
that one id is entered once; what concerns a person is then spread over all partitions.
"""

import asyncio
import hmac
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from itertools import chain
from typing import Any

from shared.delivery import keys
from shared.delivery.record import Delivery
from shared.delivery.states import RARE, WAITING, State
from shared.delivery.timings import LATE
from shared.errors import Conflict, Contended, Malformed, NotFound, StorageAway
from shared.storage.partitions import shard_names
from shared.storage.rows import END, Delete, Insert, Merge, Put, Row, Rows, Write, read_all, stamp

log = logging.getLogger(__name__)


def pseudonym(erasure_key: str, person: str) -> str:
    """What stands for an erased person: - and 40 hexadecimal digits (HMAC-SHA-256)."""
    return "-" + hmac.new(erasure_key.encode(), person.encode(), sha256).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Page[T: Delivery]:
    """Some of a list, and the token that the next page begins behind, or ""."""

    name: str
    items: tuple[T, ...]
    token: str = ""

    def view(self) -> dict[str, Any]:
        """As the API shows it."""
        return {self.name: [item.view() for item in self.items], "token": self.token or None}


class Store[T: Delivery]:
    """Texts or calls in their table."""

    def __init__(self, table: Rows, record: type[T], erasure_key: str | None = None) -> None:
        self.table = table
        self.record = record
        self.partitions = shard_names(record.shards)
        self._erasure_key = erasure_key

    # Where a person's rows are

    def names(self, person: str) -> list[str]:
        """What a person may be called in rows: the address, and the hash that is left after an erasure."""
        return [person, *([pseudonym(self._erasure_key, person)] if self._erasure_key else [])]

    def places_of(self, person: str) -> Sequence[str]:
        """The partitions that a person's conversation may be in."""
        return [self.record.home_of(person)] if self.record.by_person else self.partitions

    # One text or call

    async def reserve(self, key: str, item: T, fingerprint: str) -> T:
        """The item under the id that this idempotency key stands for. Raises Conflict for other content.

        The key's row comes before the item: after a crash in between, the repeated request completes it.
        """
        partition, row_key = keys.idempotency(key)
        values = {"message": item.id, "fingerprint": fingerprint}
        try:
            await self.table.commit(partition, [Insert(row_key, values)])
        except Contended:
            row = await self.table.get(partition, row_key)
            if row is None or row.text("fingerprint") != fingerprint:
                raise Conflict("idempotency_key was used before with other content") from None
            return replace(item, id=row.text("message"))
        return item

    async def add(self, item: T) -> T:
        """Enter a new one. Raises Contended where its id is there already."""
        etags = await self.table.commit(item.partition, creation(item))
        return replace(item, etag=etags[0])

    async def enter(self, item: T) -> T:
        """Enter one, unless it is there already; what is there then."""
        try:
            await self.table.commit(item.partition, creation(item))
        except Contended:
            pass
        except StorageAway:
            with suppress(NotFound):  # the write may have landed, and its answer was lost
                return await self.get(item.id)
            raise
        return await self.get(item.id)

    async def find(self, item_id: str) -> T | None:
        """By its id, or None. Raises Malformed."""
        if not self.record.is_id(item_id):
            return None
        row = await self.table.get(self.record.partition_of(item_id), keys.record(item_id))
        return self.record.from_row(row) if row else None

    async def get(self, item_id: str) -> T:
        """By its id. Raises NotFound, or Malformed."""
        found = await self.find(item_id)
        if found is None:
            raise NotFound(f"there is no {self.record.what} by that id")
        return found

    async def change(self, present: T, new: T, *extra: Write) -> T:
        """Replace one, and its copy among what is due. Raises Contended where it has changed meanwhile.

        What waits from now on at another time, or for another person, is entered in the conversation first.
        """
        if new.state in WAITING and (new.person, new.due) != (present.person, present.due):
            await self.enlist(new)
        writes = [*self.put(present, new), *_moved(present, new), *extra]
        etags = await self.table.commit(present.partition, writes)
        return replace(new, etag=etags[0])

    def put(self, present: T, new: T) -> list[Write]:
        """The writes that replace one that has not changed; not its copy among what is due."""
        return [Put(keys.record(new.id), new.columns(), present.etag), *indexed(present.state, new)]

    # What is due

    async def due(self, partition: str, now: datetime, *, after: str = "", limit: int = 200) -> list[Row]:
        """What is due in a partition, oldest first, and the STOPs that still count; behind `after`."""
        high = keys.until(keys.DUE, now)
        return await self.table.read(partition, after or keys.DUE, high, limit=limit)

    async def housekeeping(
        self, partition: str, now: datetime, *, after: str = "", limit: int = 200
    ) -> list[Row]:
        """The leases, look-ups and questions to Twilio whose time has come, oldest first; behind `after`."""
        high = keys.until(keys.HOUSEKEEPING, now)
        return await self.table.read(partition, after or keys.HOUSEKEEPING, high, limit=limit)

    async def move_on(self, partition: str, row: Row, new: T, following: T | None = None) -> None:
        """Move what is due on without sending it. `row` is its copy among what is due, and the guard.

        following: the next occurrence of its series, which is created with it.
        """
        writes: list[Write] = [Delete(row.key, row.etag), Put(keys.record(new.id), new.columns())]
        writes += indexed(None, new)
        if new.state in WAITING:
            writes.append(waiting(new))
        if new.state is State.DEFERRED:
            await self.enlist(new)
        if following:
            if not following.is_listed_here:
                await self.enlist(following)
            writes += creation(following)
        await self.table.commit(partition, writes)

    async def claim(
        self,
        partition: str,
        rows: Sequence[Row],
        attempt: str,
        *,
        now: datetime,
        lease: datetime,
        extra: Sequence[Write] = (),
    ) -> list[T]:
        """Take what is due and note that its requests may leave now, in one transaction.

        Raises Contended, and takes none, where another drain, an edit, a cancel or a STOP was quicker.
        """
        taken = [claimed(self.record.from_row(row), attempt, now) for row in rows]
        writes: list[Write] = [_lease(lease, attempt, taken)]
        writes += [Delete(row.key, row.etag) for row in rows]
        first = len(writes)
        for item in taken:
            names = ("state", "attempt", "attempts", "posted", "updated", "followed")
            cleared = {"retry": "", "reason": "", "code": 0}
            columns = item.columns()
            known = {name: columns[name] for name in names if name in columns}
            writes.append(Merge(keys.record(item.id), {**cleared, **known}))
        for item in taken:  # so late that a look-up would not search its person's conversation for it
            if item.is_listed_here and now - item.due > LATE:
                writes.append(Put(keys.place(item.person, now, item.id), {}))
        etags = await self.table.commit(partition, [*writes, *extra])
        return [replace(item, etag=etags[first + n]) for n, item in enumerate(taken)]

    async def claim_one(
        self, present: T | None, item: T, attempt: str, *, now: datetime, lease: datetime
    ) -> T:
        """Enter and claim one in a single transaction, or claim it as it is stored. Raises Contended.

        present: how it is stored and waits, or None where it is new. item: what it is to be.
        """
        taken = claimed(item, attempt, now)
        if present is None:
            writes = creation(taken)
        else:
            if taken.person != present.person:  # a sender used one id for two people
                await self.enlist(taken)
            writes = [*self.put(present, taken), Delete(keys.due(present.next, present.id))]
        etags = await self.table.commit(taken.partition, [*writes, _lease(lease, attempt, [taken])])
        return replace(taken, etag=etags[0])

    # Lists

    async def page(
        self,
        *,
        state: State | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        token: str = "",
        limit: int = 50,
    ) -> Page[T]:
        """Some of all, or of those in one state, in the order that paging.py says."""
        from shared.delivery import paging

        rows, following = await paging.page(
            self.table, self.record, state=state, after=after, before=before, token=token, limit=limit
        )
        if state is None and self.record.by_person:  # these rows are the records themselves
            found = list(self.read(rows))
        else:
            found = await self.readable(keys.last(row.key) for row in rows)
        shown = tuple(each for each in found if state is None or each.state is state)
        return Page(f"{self.record.what}s", shown, following)

    async def to(
        self, person: str, *, since: datetime | None = None, token: str = "", limit: int = 50
    ) -> Page[T]:
        """Those to one person, by due time."""
        prefix = keys.conversation(person)
        low, high = token or prefix + (stamp(since) if since else ""), prefix + END
        reads = (self.table.read(each, low, high, limit=limit + 1) for each in self.places_of(person))
        rows = sorted(chain.from_iterable(await asyncio.gather(*reads)), key=lambda row: row.key)
        places = dict.fromkeys(row.key for row in rows[:limit])
        found = await self.readable(dict.fromkeys(map(keys.last, places)))
        shown = (item for item in found if keys.place(item.person, item.due, item.id) in places)
        token = rows[limit - 1].key if len(rows) > limit else ""
        return Page(f"{self.record.what}s", tuple(shown), token)

    async def conversation(
        self, person: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[Row]:
        """The places of a person's conversation from `since` on and before `until`, by partition and time.

        A place may be an old one: its item was moved since.
        """
        prefix = keys.conversation(person)
        low, high = prefix + (stamp(since) if since else ""), prefix + (stamp(until) if until else END)
        reads = (read_all(self.table, each, low, high, select=["state"]) for each in self.places_of(person))
        return list(chain.from_iterable(await asyncio.gather(*reads)))

    async def enlist(self, item: T, at: datetime | None = None) -> None:
        """Enter one in its person's conversation at its due time, or at another one.

        Before the item itself changes, so that a STOP finds it. A dangling place is harmless.
        """
        if item.person:
            place = Put(keys.place(item.person, at or item.due, item.id), {})
            await self.table.commit(item.place_partition, [place])

    async def readable(self, ids: Iterable[str]) -> list[T]:
        """Those by these ids, for a list: one that is not there, or cannot be read, is left out."""
        return list(self.read(await self.rows(ids)))

    async def every(self, ids: Iterable[str]) -> list[T]:
        """The same where none may be passed over. Raises Malformed for one that cannot be read."""
        return [self.record.from_row(row) for row in await self.rows(ids)]

    async def rows(self, ids: Iterable[str]) -> list[Row]:
        """Their rows as they are."""
        rows = await asyncio.gather(
            *(self.table.get(self.record.partition_of(each), keys.record(each)) for each in ids)
        )
        return [row for row in rows if row]

    def read(self, rows: Iterable[Row]) -> Iterator[T]:
        """What stands in rows of a list: one that cannot be read is told in the log, and hides no other."""
        for row in rows:
            try:
                yield self.record.from_row(row)
            except Malformed as exc:
                log.error("left out of a list: %s", exc)

    async def recent(self, person: str, *, since: datetime) -> list[T]:
        """Those to this person that can have left since then. Raises Malformed."""
        rows = await self.conversation(person, since=since - LATE)
        return await self.every(dict.fromkeys(keys.last(row.key) for row in rows))

    # Opt-outs, and SIDs

    async def opted_out(self, person: str) -> bool:
        """Has this person opted out? It is known also of one that was erased since."""
        return await self.opt_out_row(person) is not None

    async def opt_out_row(self, person: str) -> Row | None:
        """The row of a person's opt-out, under whichever name, or None."""
        partition = self.record.home_of(person)
        reads = (self.table.get(partition, keys.opt_out(name)) for name in self.names(person))
        return next((row for row in await asyncio.gather(*reads) if row), None)

    async def reserve_sid(self, sid: str, item: T) -> bool:
        """Make a SID that a look-up found this one's own. False where a look-up gave it to another."""
        partition, key = keys.sid(sid)
        try:
            await self.table.commit(partition, [Insert(key, {"id": item.id})])
        except Contended:
            row = await self.table.get(partition, key)
            if row is None or row.text("id") == item.id:
                return row is not None
            other = await self.find(row.text("id"))
            if other and other.sid in ("", sid):
                return False
            try:  # it has another by now
                await self.table.commit(partition, [Put(key, {"id": item.id}, row.etag)])
            except Contended:
                return False
        return True


def claimed[T: Delivery](item: T, attempt: str, now: datetime) -> T:
    """It as a claim leaves it: its request may leave from now on."""
    return replace(
        item,
        state=State.POSTING,
        attempt=attempt,
        attempts=item.attempts + 1,
        posted=now,
        updated=now,
        retry=None,
        reason="",
        code=0,
        followed=bool(item.repeat),
    )


def creation(item: Delivery) -> list[Write]:
    """The writes that make one: its row, its places in the lists, its copy among what is due."""
    writes: list[Write] = [Insert(keys.record(item.id), item.columns())]
    writes.append(Insert(keys.accepted(item.created, item.id), {}))
    if item.is_listed_here:
        writes.append(Put(keys.place(item.person, item.due, item.id), {}))
    if item.state in WAITING:
        writes.append(waiting(item))
    return [*writes, *indexed(None, item)]


def waiting(item: Delivery) -> Write:
    """The copy among what is due of one that waits."""
    return Insert(keys.due(item.next, item.id), item.columns())


def indexed(before: State | None, item: Delivery) -> list[Write]:
    """The writes that go with a change of state: out of the index of one rare end, into that of another."""
    after, writes = item.state, list[Write]()
    if before in RARE and before is not after:
        writes.append(Delete(keys.end(before, item.id)))
    if after in RARE and before is not after:
        writes.append(Put(keys.end(after, item.id), {"state": after.value}))
    return writes


def _lease(until: datetime, attempt: str, taken: Sequence[Delivery]) -> Write:
    return Put(keys.lease(until, attempt), {"ids": json.dumps([item.id for item in taken])})


def _moved(present: Delivery, new: Delivery) -> list[Write]:
    """The writes that move its copy among what is due."""
    was, will = present.state in WAITING, new.state in WAITING
    if was and will and present.next == new.next:
        return [Put(keys.due(new.next, new.id), new.columns())]
    writes: list[Write] = [Delete(keys.due(present.next, present.id))] if was else []
    return [*writes, waiting(new)] if will else writes
