"""The messages in their table, laid out so that every look-up is a point or a range read.

One partition holds all that concerns a recipient (message.shard), so that what belongs together changes in
one transaction. The row keys in it:

m|ID                    the message
q|TIME|m|ID             what is due when: waiting messages only, each with all that a send needs
q|TIME|l|ATTEMPT        the lease of a batch that is being sent, until TIME
q|TIME|u|ID             a message of unknown fate, to be looked up at TIME
q|TIME|f|ATTEMPT        messages that were sent, to be asked after at TIME where no callback told their end
q|TIME|s|RECIPIENT      a STOP that came at TIME, until nothing can race with it any more
t|RECIPIENT|TIME|ID     the messages of a recipient by due time; an earlier place of a message may stay
x|STATE|ID              what came to a rare end (states.RARE), such as failed; or is unresolved
o|RECIPIENT             an opt-out
n|RECIPIENT|DAY         how many were sent to a recipient that day, where a limit is set (daily_limit.py)
n|RECIPIENT|DAY|ID      that it counts a message of another partition
n|NUMBER|DAY|calls      how many calls were placed to a number that day, and ...|ID that it counts a call
"""

import asyncio
import hmac
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol

from shared.delivery import paging as listing
from shared.delivery.states import RARE, WAITING, State
from shared.errors import Conflict, Contended, Malformed, NotFound, StorageAway
from shared.sms.message import SHARDS, Message, is_id, shard
from shared.storage.rows import Delete, Insert, Merge, Put, Row, Write, stamp

log = logging.getLogger(__name__)

PARTITIONS = tuple(f"{number:02x}" for number in range(SHARDS))
LATE = timedelta(days=1)
"""A message that leaves so long after it was first due is entered in its recipient's list again."""
OPTED_OUT = "the recipient has opted out"
END = "~"
"""Sorts behind everything that a row key may hold."""


def pseudonym(erasure_key: str, recipient: str) -> str:
    """What stands for an erased recipient: - and 40 hexadecimal digits (HMAC-SHA-256)."""
    return "-" + hmac.new(erasure_key.encode(), recipient.encode(), sha256).hexdigest()[:40]


class Rows(Protocol):
    """A table, as shared/storage/tables.py has it."""

    async def get(self, partition: str, key: str) -> Row | None: ...
    async def read(
        self,
        partition: str,
        low: str,
        high: str,
        *,
        limit: int,
        select: Sequence[str] = (),
    ) -> list[Row]: ...
    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages, and the token that the next ones begin behind, or ""."""

    messages: tuple[Message, ...]
    token: str = ""

    def view(self) -> dict[str, Any]:
        """As the API shows it."""
        return {"messages": [message.view() for message in self.messages], "token": self.token or None}


class MessageStore:
    """Every read and write of messages, each atomic on its own."""

    def __init__(self, table: Rows, erasure_key: str | None = None) -> None:
        self.table = table
        self._erasure_key = erasure_key

    async def create(self, message: Message, key: str = "", fingerprint: str = "") -> Message:
        """Keep a new message; it is due from here on, or suppressed where its recipient has opted out.

        With an idempotency key the same content answers the same message. Raises Conflict for other content.
        The key's row comes first: a crash behind it leaves a key that the repeated request completes.
        """
        if key:
            message = replace(message, id=await self._reserve(message, key, fingerprint))
        if await self.opted_out(message.to):
            message = replace(message, state=State.SUPPRESSED, reason=OPTED_OUT)
        try:
            await self.table.commit(message.partition, creation(message))
        except Contended:
            pass  # it is there already: the same key
        except StorageAway:
            with suppress(NotFound):  # it may be there: the write landed, and its answer was lost
                return await self.get(message.id)
            raise
        made = await self.get(message.id)
        if made.state in WAITING and await self.opted_out(made.to):
            # A STOP came in between, and may have looked before the message was there.
            with suppress(Contended):
                return await self.change(made, replace(made, state=State.SUPPRESSED, reason=OPTED_OUT))
        return made

    async def _reserve(self, message: Message, key: str, fingerprint: str) -> str:
        digest = sha256(key.encode()).hexdigest()
        partition, row_key = f"k{digest[:2]}", f"k|{digest}"
        values = {"message": message.id, "fingerprint": fingerprint}
        try:
            await self.table.commit(partition, [Insert(row_key, values)])
        except Contended:
            row = await self.table.get(partition, row_key)
            if row is None or row.text("fingerprint") != fingerprint:
                raise Conflict("idempotency_key was used before with other content") from None
            return row.text("message")
        return message.id

    async def get(self, message_id: str) -> Message:
        """The message by its id. Raises NotFound."""
        row = await self.table.get(message_id[:2], f"m|{message_id}") if is_id(message_id) else None
        if row is None:
            raise NotFound("there is no message by that id")
        return Message.from_row(row)

    async def change(self, message: Message, new: Message) -> Message:
        """Replace a message, and its place among what is due. Raises Contended where it has changed."""
        etags = await self.table.commit(message.partition, [*self.put(message, new), *_moved(message, new)])
        return replace(new, etag=etags[0])

    async def agenda(self, partition: str, now: datetime, *, after: str = "", limit: int = 200) -> list[Row]:
        """What is due in one partition, oldest first: messages, leases, look-ups, STOPs; behind `after`."""
        return await self.table.read(partition, after or "q|", f"q|{stamp(now)}|{END}", limit=limit)

    async def leave(self, partition: str, row: Row, new: Message, following: Message | None = None) -> None:
        """Move a due message on without sending it. `row` is its place among what is due, and the guard.

        following: the next of its series, which comes into being with it.
        """
        writes: list[Write] = [Delete(row.key, row.etag), Put(f"m|{new.id}", new.columns())]
        writes += indexed(None, new)
        if new.state in WAITING:
            writes.append(Insert(f"q|{stamp(new.next)}|m|{new.id}", new.columns()))
        if new.state is State.DEFERRED:
            await self.enlist(new)
        if following:
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
    ) -> list[Message]:
        """Take due messages and write that their requests may leave now, in one transaction.

        Raises Contended, and takes none, where another drain, an edit, a cancel or a STOP was quicker.
        """
        messages = [Message.from_row(row) for row in rows]
        writes: list[Write] = [
            Put(f"q|{stamp(lease)}|l|{attempt}", {"ids": json.dumps([m.id for m in messages])})
        ]
        writes += [Delete(row.key, row.etag) for row in rows]
        taken = [
            replace(
                message,
                state=State.POSTING,
                attempt=attempt,
                attempts=message.attempts + 1,
                posted=now,
                updated=now,
                retry=None,
                reason="",
                code=0,
                followed=bool(message.repeat),
            )
            for message in messages
        ]
        first = len(writes)
        for message in taken:
            columns = ("state", "attempt", "attempts", "posted", "updated", "followed")
            cleared = {"retry": "", "reason": "", "code": 0}
            writes.append(Merge(f"m|{message.id}", {**cleared, **_only(message, columns)}))
        writes += [Put(_place(message, now), {}) for message in taken if is_late(message, now)]
        etags = await self.table.commit(partition, [*writes, *extra])
        return [replace(message, etag=etags[first + n]) for n, message in enumerate(taken)]

    async def page(
        self,
        *,
        state: State | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        token: str = "",
        limit: int = 50,
    ) -> Page:
        """Messages by time, oldest first: a range read of each partition, merged.

        What waits is listed by when it is due; anything else by when it was first due, which its id says.
        A page may be short, or even empty, and still have a token: so much and no more is read for it.
        """
        time = stamp if state in WAITING else due_key
        rows, following = await listing.merged(
            self.table,
            {partition: _prefix(state, partition) for partition in PARTITIONS},
            token or (time(after) if after else ""),
            time(before) if before else END,
            state=state,
            limit=limit,
        )
        if state is None:
            return Page(tuple(readable(rows)), following)
        found = await self.many(row.key.rpartition("|")[2] for row in rows)
        return Page(tuple(each for each in found if each.state is state), following)

    async def to(
        self, recipient: str, *, since: datetime | None = None, token: str = "", limit: int = 50
    ) -> Page:
        """The messages of one recipient, by due time."""
        prefix, partition = f"t|{recipient}|", shard(recipient)
        after = token or prefix + (stamp(since) if since else "")
        rows = await self.table.read(partition, after, prefix + END, limit=limit + 1)
        places = {row.key for row in rows[:limit]}
        found = await self.many(dict.fromkeys(row.key.rpartition("|")[2] for row in rows[:limit]))
        shown = tuple(message for message in found if _place(message) in places)
        return Page(shown, rows[limit - 1].key if len(rows) > limit else "")

    async def enlist(self, message: Message) -> None:
        """Enter a message in its recipient's list where it may be missing: its due time or recipient is new.

        Before the message itself changes, so that a STOP finds it; a place that leads nowhere does no harm.
        """
        place = Insert(_place(message), {"state": message.state.value})
        with suppress(Contended):
            await self.table.commit(shard(message.to), [place])

    async def many(self, ids: Iterable[str]) -> list[Message]:
        """The messages by these ids; one that is not there, or cannot be read, is left out."""
        return list(readable(await self.rows(ids)))

    async def each(self, ids: Iterable[str]) -> list[Message]:
        """The same for what must not be passed over. Raises Malformed for one that cannot be read."""
        return [Message.from_row(row) for row in await self.rows(ids)]

    async def rows(self, ids: Iterable[str]) -> list[Row]:
        """Their rows as they are."""
        rows = await asyncio.gather(*(self.table.get(each[:2], f"m|{each}") for each in ids))
        return [row for row in rows if row]

    async def recent(self, recipient: str, *, since: datetime) -> list[Message]:
        """The messages of this recipient that can have left since then. Raises Malformed."""
        prefix = f"t|{recipient}|"
        after, ids = prefix + stamp(since - LATE), dict[str, None]()
        while rows := await self.table.read(shard(recipient), after, prefix + END, limit=1000):
            after = rows[-1].key
            ids |= dict.fromkeys(row.key.rpartition("|")[2] for row in rows)
        return await self.each(ids)

    async def list_elsewhere(self, message: Message, at: datetime) -> None:
        """Enter it in its recipient's list where that lies in another partition, as it may after an edit."""
        if shard(message.to) != message.partition:
            await self.table.commit(shard(message.to), [Put(_place(message, at), {})])

    def put(self, message: Message, new: Message) -> list[Write]:
        """The writes that replace a message that does not wait, if it has not changed since it was read."""
        return [Put(f"m|{new.id}", new.columns(), message.etag), *indexed(message.state, new)]

    async def opted_out(self, recipient: str) -> bool:
        """Has this recipient said STOP? It is known also of one that was erased since."""
        names = self.names(recipient)
        found = await asyncio.gather(*(self.table.get(shard(recipient), f"o|{name}") for name in names))
        return any(found)

    def names(self, recipient: str) -> list[str]:
        """What a recipient may be called in rows: the address, and the hash that is left after an erasure."""
        return [recipient, *([pseudonym(self._erasure_key, recipient)] if self._erasure_key else [])]


def readable(rows: Iterable[Row]) -> Iterator[Message]:
    """The messages in rows of a list: one that cannot be read is told in the log, and hides no other."""
    for row in rows:
        try:
            yield Message.from_row(row)
        except Malformed as exc:
            log.error("left out of a list: %s", exc)


def indexed(before: State | None, message: Message) -> list[Write]:
    """The writes that go with a change of state: out of the index of one rare end, into that of another."""
    after, writes = message.state, list[Write]()
    if before in RARE and before is not after:
        writes.append(Delete(f"x|{before}|{message.id}"))
    if after in RARE and before is not after:
        writes.append(Put(f"x|{after}|{message.id}", {"state": after.value}))
    return writes


def creation(message: Message) -> list[Write]:
    """The writes that make a message: its row, its places in its recipient's list and by its state."""
    columns = message.columns()
    writes: list[Write] = [Insert(f"m|{message.id}", columns)]
    if shard(message.to) == message.partition:
        writes.append(Insert(_place(message), {"state": message.state.value}))
    if message.state in WAITING:
        writes.append(Insert(f"q|{stamp(message.next)}|m|{message.id}", columns))
    return [*writes, *indexed(None, message)]


def _prefix(state: State | None, partition: str) -> str:
    """What the keys begin with in which messages in this state are listed, before what they are sorted by."""
    if state in WAITING:
        return "q|"
    return f"x|{state}|{partition}" if state in RARE else f"m|{partition}"


def is_late(message: Message, now: datetime) -> bool:
    """Does it leave so late that its recipient's list, if it is here, would not be searched for it?"""
    return now - message.listed > LATE and shard(message.to) == message.partition


def _place(message: Message, at: datetime | None = None) -> str:
    return f"t|{message.to}|{stamp(at or message.due)}|{message.id}"


def _moved(old: Message, new: Message) -> list[Write]:
    writes: list[Write] = []
    if old.state in WAITING:
        writes.append(Delete(f"q|{stamp(old.next)}|m|{old.id}"))
    if new.state in WAITING:
        writes.append(Insert(f"q|{stamp(new.next)}|m|{new.id}", new.columns()))
    if old.state in WAITING and new.state in WAITING and old.next == new.next:
        writes = [Put(f"q|{stamp(new.next)}|m|{new.id}", new.columns())]
    return writes


def _only(message: Message, names: Sequence[str]) -> dict[str, Any]:
    columns = message.columns()
    return {name: columns[name] for name in names if name in columns}


def due_key(moment: datetime) -> str:
    """The part of an id that says when its message was first due."""
    return f"{int(moment.timestamp() * 1000):011x}"
