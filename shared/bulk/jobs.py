"""The jobs of bulk loads in the table `bulk`: how far each has come, which rows are wrong, who is erased.

One partition holds all of a job: its row `job`, `e|ROW` for each error that is kept, `bad` for the rows that
the check refused, `z|NAME` for a person who was erased while it was unfinished (message_store.pseudonym), and
`d|DIGEST` for each file that may lie there since. The partition `open` names the jobs that are unfinished.
"""

import base64
import zlib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.delivery.store import END, Rows
from shared.errors import Contended, NotFound
from shared.storage.rows import TRANSACTION_LIMIT, Delete, Insert, Merge, Put, Row, moment, stamp

MOST_ERRORS = 1000
"""Errors that are kept; all are counted."""
ENDED = frozenset({"done", "failed", "discarded"})
"""States in which nobody needs the file any more."""
RUNNING = frozenset({"checking", "loading"})
OPEN = "open"


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with a row. row: as bulk_file.FileRow counts."""

    row: int
    column: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One file. rows: how many it has, once checked; done_rows: how many were seen to by the load.

    state: queued, checking, loading, done or failed; stopped, where a person has it go on; discarded.
    error_count: rows that did not become messages.
    """

    id: str
    state: str = "queued"
    content_type: str
    digest: str = ""
    partial: bool = False
    created: datetime
    rows: int = 0
    checked: int = 0
    loaded: int = 0
    done_rows: int = 0
    error_count: int = 0
    reason: str = ""
    etag: str = field(default="", compare=False, repr=False)

    def columns(self) -> dict[str, Any]:
        """Its columns."""
        names = Job.__dataclass_fields__.keys() - {"id", "etag"}
        return {**{name: getattr(self, name) for name in names}, "created": stamp(self.created)}

    def view(self) -> dict[str, Any]:
        """As the API shows it, without its errors."""
        shown = {
            name: getattr(self, name) for name in ("id", "state", "rows", "checked", "loaded", "error_count")
        }
        return {**shown, "reason": self.reason or None, "created_at": stamp(self.created)}


class Places:
    """Some rows of a file, each by its place from 0 on: a bit a row, so that one column holds them."""

    def __init__(self, bits: bytes = b"") -> None:
        self._bits = bytearray(bits)

    def add(self, place: int) -> None:
        """Put a row among them."""
        self._bits.extend(bytes(max(0, place // 8 + 1 - len(self._bits))))
        self._bits[place // 8] |= 1 << place % 8

    def __contains__(self, place: int) -> bool:
        return place // 8 < len(self._bits) and bool(self._bits[place // 8] & 1 << place % 8)

    def to_text(self) -> str:
        """At most 17,000 characters for 100,000 rows."""
        return base64.b64encode(zlib.compress(bytes(self._bits))).decode()

    @classmethod
    def from_text(cls, text: str) -> "Places":
        return cls(zlib.decompress(base64.b64decode(text)))


class BulkJobs:
    """The table of jobs."""

    def __init__(self, table: Rows) -> None:
        self._table = table

    async def get(self, job_id: str) -> Job:
        """Raises NotFound."""
        row = await self._table.get(job_id, "job") if len(job_id) == 32 and job_id.isalnum() else None
        if row is None:
            raise NotFound(f"there is no bulk load {job_id}")
        names = Job.__dataclass_fields__.keys() & row.values.keys()
        values = {name: row.values[name] for name in names}
        return Job(**{**values, "id": job_id, "created": moment(row.text("created")), "etag": row.etag})

    async def add(self, job: Job) -> None:
        """Raises Contended where it is there already."""
        await self._table.commit(job.id, [Insert("job", job.columns())])

    async def save(self, job: Job) -> Job:
        """Write how far it has come. Raises Contended where someone else wrote since it was read."""
        try:
            (etag,) = await self._table.commit(job.id, [Merge("job", job.columns(), job.etag)])
        except Contended:
            present = await self.get(job.id)
            if present != job:
                raise
            return present  # our own write: it landed, its answer was lost, and it was repeated
        return replace(job, etag=etag)

    async def note(self, job: Job, errors: list[RowError]) -> None:
        """Keep errors, as many as are kept beside those that the job has counted already."""
        errors = errors[: max(0, MOST_ERRORS - job.error_count)]
        for start in range(0, len(errors), TRANSACTION_LIMIT):
            found = errors[start : start + TRANSACTION_LIMIT]
            await self._table.commit(
                job.id,
                [Put(f"e|{each.row:07}", {"column": each.column, "message": each.text}) for each in found],
            )

    async def errors(self, job_id: str) -> list[Row]:
        """The errors that were kept, by row."""
        return await self._table.read(job_id, "e|", "e|" + END, limit=MOST_ERRORS)

    async def forget_errors(self, job_id: str) -> None:
        """Before a check: what an earlier one found that was cut off."""
        while found := await self._table.read(job_id, "e|", "e|" + END, limit=TRANSACTION_LIMIT):
            try:
                await self._table.commit(job_id, [Delete(row.key) for row in found])
            except (
                Contended
            ):  # another check of the file forgot some of them: a transaction is all or nothing
                for row in found:
                    with suppress(Contended):
                        await self._table.commit(job_id, [Delete(row.key)])

    async def refuse(self, job_id: str, places: Places) -> None:
        """Keep which rows the check found wrong."""
        await self._table.commit(job_id, [Put("bad", {"rows": places.to_text()})])

    async def refused(self, job_id: str) -> Places:
        """The rows that the check found wrong."""
        row = await self._table.get(job_id, "bad")
        return Places.from_text(row.text("rows")) if row else Places()

    async def open(self, job_id: str) -> None:
        """Name it among the unfinished, before its file is written."""
        await self._table.commit(OPEN, [Put(job_id, {})])

    async def close(self, job_id: str) -> None:
        """It has ended and its file is gone."""
        with suppress(Contended):
            await self._table.commit(OPEN, [Delete(job_id)])

    async def unfinished(self) -> list[str]:
        """The jobs whose file may be there; few, since a file goes with the end of its load."""
        found, after = list[str](), " "
        while rows := await self._table.read(OPEN, after, END, limit=1000):
            after = rows[-1].key
            found += [row.key for row in rows]
        return found

    async def erase(self, job_id: str, name: str, *, now: datetime) -> None:
        """From here on its load makes no message to the person whom this name stands for."""
        await self._table.commit(job_id, [Put(f"z|{name}", {"at": stamp(now)})])

    async def erased(self, job_id: str) -> dict[str, datetime]:
        """Who was erased while it was unfinished, and when."""
        found: dict[str, datetime] = {}
        after = "z|"
        while rows := await self._table.read(job_id, after, "z|" + END, limit=1000):
            after = rows[-1].key
            found |= {row.key[2:]: moment(row.text("at")) for row in rows}
        return found

    async def take(self, job_id: str, digest: str) -> None:
        """A file with this digest (SHA-256) is the job's own too: its file without someone who was erased."""
        await self._table.commit(job_id, [Put(f"d|{digest}", {})])

    async def takes(self, job: Job, digest: str) -> bool:
        """Is a file with this digest the one that was accepted, or what erasures left of it?"""
        return digest == job.digest or await self._table.get(job.id, f"d|{digest}") is not None
