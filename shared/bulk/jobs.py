"""The jobs of bulk loads in the table `bulk`. Each job has a partition, with these row keys:

job         the job: its state, and how far it has come
e|ROW       an error of one row of the file; the first 1,000 are kept
bad         which rows the check refused
z|NAME      the pseudonym of a person who was erased while the job was unfinished (delivery.store.pseudonym)
d|DIGEST    the SHA-256 of the file after such an erasure

The partition `open` has a row for each job whose file may still be there.
"""

import base64
import zlib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import batched
from typing import TYPE_CHECKING, Any

from shared.errors import Contended, NotFound
from shared.storage.rows import END, TRANSACTION_LIMIT, Delete, Insert, Merge, Put, Row, Rows, moment, stamp

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

MOST_ERRORS = 1000
"""Errors of one job that are kept. All are counted."""
ENDED = frozenset({"done", "failed", "discarded"})
"""States of a load that has ended: its file goes."""
RUNNING = frozenset({"checking", "loading"})
QUEUE = "bulk-load"
OPEN = "open"


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with a row. row: its number, as file.FileRow counts."""

    row: int
    column: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The load of one file.

    state: queued, checking, loading, done, failed; stopped until a person resumes it; discarded by a person.
    rows: how many the file has, known after the check. done_rows: how many the load has handled.
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
        """The columns of its row."""
        names = Job.__dataclass_fields__.keys() - {"id", "etag"}
        return {**{name: getattr(self, name) for name in names}, "created": stamp(self.created)}

    def view(self) -> dict[str, Any]:
        """As the API shows it, without its errors."""
        names = ("id", "state", "rows", "checked", "loaded", "error_count")
        shown = {name: getattr(self, name) for name in names}
        return {**shown, "reason": self.reason or None, "created_at": stamp(self.created)}


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
        """Write the job. Raises Contended where another worker has written it since it was read."""
        try:
            (etag,) = await self._table.commit(job.id, [Merge("job", job.columns(), job.etag)])
        except Contended:
            present = await self.get(job.id)
            if present != job:
                raise
            return present  # this is our own write: its answer was lost, and the SDK repeated it
        return replace(job, etag=etag)

    async def note(self, job: Job, errors: list[RowError]) -> None:
        """Keep these errors. A job keeps MOST_ERRORS at most, with those that it has counted already."""
        errors = errors[: max(0, MOST_ERRORS - job.error_count)]
        rows = (Put(f"e|{each.row:07}", {"column": each.column, "message": each.text}) for each in errors)
        for writes in batched(rows, TRANSACTION_LIMIT, strict=False):
            await self._table.commit(job.id, writes)

    async def errors(self, job_id: str) -> list[Row]:
        """The errors that were kept, in the order of their rows."""
        return await self._table.read(job_id, "e|", "e|" + END, limit=MOST_ERRORS)

    async def forget_errors(self, job_id: str) -> None:
        """Delete the errors of an earlier check, which did not end."""
        while found := await self._table.read(job_id, "e|", "e|" + END, limit=TRANSACTION_LIMIT):
            with suppress(Contended):  # another check has deleted some of them: read again
                await self._table.commit(job_id, [Delete(row.key) for row in found])

    async def refuse(self, job_id: str, refused: bytes) -> None:
        """Keep which rows the check refused: one byte for each row, 1 or 0.

        100,000 rows make 20,000 characters at most: a column holds 32,768.
        """
        text = base64.b64encode(zlib.compress(refused)).decode()
        await self._table.commit(job_id, [Put("bad", {"rows": text})])

    async def refused(self, job_id: str) -> bytes:
        """Which rows the check refused, as `refuse` kept it."""
        row = await self._table.get(job_id, "bad")
        return zlib.decompress(base64.b64decode(row.text("rows"))) if row else b""

    async def open(self, job_id: str) -> None:
        """Enter the job in the partition `open`. Call it before the file is written."""
        await self._table.commit(OPEN, [Put(job_id, {})])

    async def close(self, job_id: str) -> None:
        """Take the job out of the partition `open`: it has ended, and its file is gone."""
        with suppress(Contended):
            await self._table.commit(OPEN, [Delete(job_id)])

    async def unfinished(self) -> list[str]:
        """The ids of the jobs whose file may be there. They are few: a file goes when its load ends."""
        return [row.key for row in await self._all(OPEN, " ", END)]

    async def erase(self, job_id: str, name: str, *, now: datetime) -> None:
        """From now on the load of this job makes no message to the person with this pseudonym."""
        await self._table.commit(job_id, [Put(f"z|{name}", {"at": stamp(now)})])

    async def erased(self, job_id: str) -> dict[str, datetime]:
        """Who was erased while the job was unfinished, by pseudonym, and when."""
        rows = await self._all(job_id, "z|", "z|" + END)
        return {row.key[2:]: moment(row.text("at")) for row in rows}

    async def allow_file(self, job_id: str, digest: str) -> None:
        """Allow another file for the job: its own without the rows of an erased person. digest: SHA-256."""
        await self._table.commit(job_id, [Put(f"d|{digest}", {})])

    async def allows_file(self, job: Job, digest: str) -> bool:
        """Whether a file with this digest is the one that was accepted, or what erasures left of it."""
        return digest == job.digest or await self._table.get(job.id, f"d|{digest}") is not None

    async def _all(self, partition: str, low: str, high: str) -> list[Row]:
        """Every row with low < key < high."""
        found = list[Row]()
        while rows := await self._table.read(partition, low, high, limit=1000):
            low = rows[-1].key
            found += rows
        return found


async def clear_away(job_id: str, jobs: BulkJobs, files: "Blobs") -> None:
    """Remove the file of a load that has ended."""
    await files.remove(job_id)
    await jobs.close(job_id)
