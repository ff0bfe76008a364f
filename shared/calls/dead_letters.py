"""What was given up, each with its reason, kept until a person replays or discards it."""

import json
import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.errors import Conflict, Contended, InvalidRequest, NotFound
from shared.storage.rows import END, Delete, Insert, Merge, Row, Rows, read_all, stamp

log = logging.getLogger(__name__)

PARTITION = "dead"
KEPT = 32_000
"""Characters of a queue message that are kept: a text column holds 64 KB of UTF-16."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One queue message that was given up. `call_id` is the id that makes it ring once."""

    id: str
    call_id: str
    queue: str
    reason: str
    body: str = field(repr=False)
    died: str
    replayed: str
    etag: str = field(repr=False)

    @classmethod
    def from_row(cls, row: Row) -> "DeadLetter":
        """What stands in a row."""
        names = ("call_id", "queue", "reason", "body", "died", "replayed")
        return cls(id=row.key, etag=row.etag, **{name: row.text(name) for name in names})

    def queue_message(self) -> str:
        """The message to put back on the queue, under the id it had. Raises Conflict."""
        from shared.calls.request import decode

        try:
            request = decode(self.body.encode())
        except InvalidRequest as exc:
            raise Conflict(f"it cannot be replayed: {exc}") from exc
        return json.dumps({**request, "id": request.get("id") or self.call_id}, ensure_ascii=False)

    def view(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "call_id": self.call_id,
            "queue": self.queue,
            "reason": self.reason,
            "body": self.body,
            "died_at": self.died,
            "replayed_at": self.replayed or None,
        }


class DeadLetters:
    """The dead-letter table, newest first."""

    def __init__(self, table: Rows) -> None:
        self._table = table

    async def add(
        self, raw: bytes, reason: str, *, call_id: str, queue: str, now: datetime, to: str = ""
    ) -> None:
        """Keep what was given up; the same message at the same time only once.

        to: whom it is about, where that is known, so that an erasure finds it.
        """
        newest_first = 10**14 - int(now.timestamp() * 1000)
        values = {
            "call_id": call_id,
            "queue": queue,
            "reason": reason,
            "body": raw.decode("utf-8", "replace")[:KEPT],
            "died": stamp(now),
            "to": to,
        }
        try:
            await self._table.commit(PARTITION, [Insert(f"{newest_first}-{call_id}", values)])
        except Contended:
            return
        log.error("dead letter %s from %s: %s", call_id, queue, reason)

    async def page(self, *, token: str = "", limit: int = 50) -> dict[str, Any]:
        """Some of them as the API shows them, newest first, and the token of the next page."""
        rows = await self._table.read(PARTITION, token, END, limit=limit + 1)
        following = rows[limit - 1].key if len(rows) > limit else None
        return {"dead_letters": [DeadLetter.from_row(row).view() for row in rows[:limit]], "token": following}

    async def get(self, letter_id: str) -> DeadLetter:
        """Raises NotFound."""
        row = await self._table.get(PARTITION, letter_id)
        if row is None:
            raise NotFound(f"there is no dead letter {letter_id}")
        return DeadLetter.from_row(row)

    async def mark_replayed(self, letter: DeadLetter, now: datetime) -> None:
        """Note when it was put back on the queue."""
        await self._table.commit(PARTITION, [Merge(letter.id, {"replayed": stamp(now)}, letter.etag)])

    async def erase(self, number: str) -> int:
        """Take the content from every dead letter that names this number; how many there were.

        Dead letters are few: they are read in full, which nothing else does.
        """
        rows = await read_all(self._table, PARTITION, "", END)
        named = [row for row in rows if number == row.text("to") or number in row.text("body")]
        for row in named:
            await self._table.commit(PARTITION, [Merge(row.key, {"body": "", "to": "", "reason": "erased"})])
        return len(named)

    async def discard(self, letter_id: str) -> None:
        """Forget it. Raises NotFound."""
        letter = await self.get(letter_id)
        await self._table.commit(PARTITION, [Delete(letter.id, letter.etag)])
