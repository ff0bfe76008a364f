"""Many messages from one file: kept as a blob, checked row by row, then loaded, from where it was left off.

The job's row and the errors found lie in one partition of the table `bulk`. Ids follow from the job and the
row's number, so a piece that is loaded twice makes nothing twice.
"""

import asyncio
import hashlib
import json
import logging
import tempfile
from collections import defaultdict
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from time import monotonic
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from shared import bulk_file, message, recipients
from shared.config import Settings
from shared.errors import Conflict, Contended, InvalidRequest, NotFound
from shared.message import Message
from shared.message_store import END, OPTED_OUT, PARTITIONS, MessageStore, Rows, creation
from shared.rows import TRANSACTION_LIMIT, Insert, Merge, Put, Row, Write, moment, stamp
from shared.states import State

if TYPE_CHECKING:
    from shared.services import Services

log = logging.getLogger(__name__)

QUEUE = "bulk-load"
MOST_BYTES = 64 * 1024 * 1024
MOST_ERRORS = 1000
"""Errors that are kept; all are counted."""
PIECE = 3000
"""Rows between two checkpoints."""
AT_ONCE = 4
"""Transactions under way at once: more gain nothing on one account."""
LOOK_AGAIN = 240.0
"""Seconds for which a reading of the opt-outs holds: less than a STOP's marker stands (recipients.RACE)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One file. state: queued, checking, loading, done or failed; rows: how many it has, once checked."""

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

    def columns(self) -> dict[str, Any]:
        """Its columns."""
        values = {name: getattr(self, name) for name in Job.__dataclass_fields__ if name != "id"}
        return {**values, "created": stamp(self.created)}

    def view(self) -> dict[str, Any]:
        """As the API shows it, without its errors."""
        shown = {
            name: getattr(self, name) for name in ("id", "state", "rows", "checked", "loaded", "error_count")
        }
        return {**shown, "reason": self.reason or None, "created_at": stamp(self.created)}


class BulkJobs:
    """The table of jobs and their errors."""

    def __init__(self, table: Rows) -> None:
        self._table = table

    async def get(self, job_id: str) -> Job:
        """Raises NotFound."""
        row = await self._table.get(job_id, "job")
        if row is None:
            raise NotFound(f"there is no bulk load {job_id}")
        names = Job.__dataclass_fields__.keys() & row.values.keys()
        values = {name: row.values[name] for name in names}
        return Job(**{**values, "id": job_id, "created": moment(row.text("created"))})

    async def add(self, job: Job) -> None:
        """Raises Contended where it is there already."""
        await self._table.commit(job.id, [Insert("job", job.columns())])

    async def save(self, job: Job) -> Job:
        """Write how far it has come."""
        await self._table.commit(job.id, [Merge("job", job.columns())])
        return job

    async def note(self, job: Job, errors: list[tuple[int, str, str]]) -> None:
        """Keep errors, as (row, column, message)."""
        for start in range(0, len(errors), TRANSACTION_LIMIT):
            found = errors[start : start + TRANSACTION_LIMIT]
            await self._table.commit(
                job.id,
                [Put(f"e|{row:07}", {"column": column, "message": text}) for row, column, text in found],
            )

    async def errors(self, job_id: str) -> list[Row]:
        """The errors that were kept, by row."""
        return await self._table.read(job_id, "e|", "e|" + END, limit=MOST_ERRORS)


async def accept(
    data: bytes, content_type: str, params: dict[str, str], services: "Services", *, now: datetime
) -> str:
    """Take a file; the id of its job, and the queue message. Raises InvalidRequest or Conflict.

    params: `partial`=true loads the good rows of a file that has bad ones; `idempotency_key`, under which the
    same file is taken once.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (bulk_file.CSV, bulk_file.NDJSON):
        raise InvalidRequest("Content-Type", f"must be {bulk_file.CSV} or {bulk_file.NDJSON}", status=415)
    if not data.strip():
        raise InvalidRequest(None, "the file is empty")
    if len(data) > MOST_BYTES:
        raise InvalidRequest(None, "the file is over 64 MB", code="too_large", status=413)
    if params.get("partial", "false") not in ("true", "false"):
        raise InvalidRequest("partial", "must be true or false")
    key = params.get("idempotency_key", "")
    digest = hashlib.sha256(data).hexdigest()
    job = Job(
        id=hashlib.sha256(key.encode()).hexdigest()[:32] if key else uuid4().hex,
        content_type=kind,
        digest=digest,
        partial=params.get("partial") == "true",
        created=now,
    )
    await services.files.write(job.id, data)
    try:
        await services.bulk_jobs.add(job)
    except Contended:
        present = await services.bulk_jobs.get(job.id)
        if present.state in ("done", "failed"):
            await services.files.remove(job.id)  # nobody will load it, and it holds people's numbers
        if present.digest != digest:
            raise Conflict("idempotency_key was used before with another file") from None
    return job.id


async def progress(job_id: str, services: "Services") -> dict[str, Any]:
    """How far a job has come, and what is wrong with its rows."""
    if len(job_id) != 32 or not job_id.isalnum():
        raise NotFound(f"there is no bulk load {job_id}")
    job = await services.bulk_jobs.get(job_id)
    errors = [
        {"row": int(row.key[2:]), "column": row.text("column") or None, "message": row.text("message")}
        for row in await services.bulk_jobs.errors(job_id)
    ]
    return {**job.view(), "errors": errors}


async def load(job_id: str, services: "Services") -> Job | None:
    """Check a file, then load it; called again, it goes on where it was. None where there is no such job."""
    try:
        job = await services.bulk_jobs.get(job_id)
    except NotFound:
        log.error("a message on %s names no job", QUEUE)
        return None
    if job.state in ("done", "failed"):
        return job
    with tempfile.TemporaryFile() as file:
        await services.files.read(job.id, file)
        if job.state != "loading":
            job = await _check(job, file, services)
        if job.state == "loading":
            job = await _load(job, file, services)
    if job.state in ("done", "failed"):
        await services.files.remove(job.id)
    log.info("bulk load %s: %s, %s of %s rows", job.id, job.state, job.loaded, job.rows)
    return job


async def give_up(job_id: str, services: "Services") -> None:
    """The queue gave it up: say so, and keep the file, so that a person can have it go on."""
    with suppress(NotFound):
        job = await services.bulk_jobs.get(job_id)
        if job.state in ("done", "failed"):
            return  # all but its file was seen to
        await services.bulk_jobs.save(replace(job, state="stopped", reason="loading failed five times"))
        log.error("bulk load %s has stopped at %s of %s rows", job.id, job.loaded, job.rows)


async def resume(job_id: str, services: "Services") -> str:
    """Let a load that has stopped go on; the queue message. Raises Conflict."""
    job = await services.bulk_jobs.get(job_id)
    if job.state != "stopped":
        raise Conflict(f"it is {job.state}", state=job.state)
    state = "loading" if job.rows else "queued"
    await services.bulk_jobs.save(replace(job, state=state, reason=""))
    return job.id


async def _check(job: Job, file: IO[bytes], services: "Services") -> Job:
    """Look at every row before one is stored."""
    job = await services.bulk_jobs.save(replace(job, state="checking", checked=0, rows=0, error_count=0))
    errors: list[tuple[int, str, str]] = []
    count = 0
    try:
        for found in _parsed(job, file, services.settings):
            count += 1
            if isinstance(found, _Bad):
                job = replace(job, error_count=job.error_count + 1)
                if len(errors) < MOST_ERRORS:
                    errors.append((found.row, found.column, found.text))
            if count > bulk_file.MOST_ROWS:
                raise InvalidRequest(None, f"the file has over {bulk_file.MOST_ROWS:,} rows")
            if count % 100 == 0:
                await asyncio.sleep(0)  # others have their turn
            if count % PIECE == 0:
                job = await services.bulk_jobs.save(replace(job, checked=count))
        if not count:
            raise InvalidRequest(None, "the file has no rows")
    except InvalidRequest as exc:
        return await services.bulk_jobs.save(replace(job, state="failed", checked=count, reason=str(exc)))
    await services.bulk_jobs.note(job, errors)
    bad = job.error_count and not (job.partial and job.error_count < count)
    reason = "nothing was stored: rows are wrong" if bad else ""
    state = "failed" if bad else "loading"
    return await services.bulk_jobs.save(replace(job, state=state, checked=count, rows=count, reason=reason))


async def _load(job: Job, file: IO[bytes], services: "Services") -> Job:
    """Store the good rows, a piece at a time, each piece with its checkpoint behind it."""
    gate = _OptOuts(services.messages)
    with closing(_parsed(job, file, services.settings)) as found:
        for _ in islice(found, job.done_rows):
            pass  # stored before
        while piece := list(islice(found, PIECE)):
            good = [each for each in piece if isinstance(each, Message)]
            await _store(services.messages, await gate.applied(good))
            job = replace(job, done_rows=job.done_rows + len(piece), loaded=job.loaded + len(good))
            job = await services.bulk_jobs.save(job)
    return await services.bulk_jobs.save(replace(job, state="done"))


@dataclass(frozen=True, slots=True)
class _Bad:
    row: int
    column: str
    text: str


def _parsed(job: Job, file: IO[bytes], settings: Settings) -> Generator[Message | _Bad]:
    """The message of each row, as of the time the file came; or what is wrong with the row."""
    file.seek(0)
    with closing(bulk_file.rows(file, job.content_type)) as rows:
        for row in rows:
            try:
                made, _ = message.parse(row.request(), settings, now=job.created)
            except InvalidRequest as exc:
                yield _Bad(row.number, exc.field or "", exc.message)
            else:
                unique = message.new_id(made.to, made.due, f"{job.id}|{row.number}")
                yield replace(made, id=unique)


class _OptOuts:
    """Who has opted out, by a range read of each partition, repeated while the load goes on."""

    def __init__(self, store: MessageStore) -> None:
        self._store = store
        self._known: set[str] = set()
        self._at = -LOOK_AGAIN

    async def applied(self, messages: list[Message]) -> list[Message]:
        if monotonic() - self._at > LOOK_AGAIN:
            self._at = monotonic()
            self._known = set()
            for partition in PARTITIONS:
                self._known |= await recipients.opted_out_in(self._store, partition)
        return [
            replace(each, state=State.SUPPRESSED, reason=OPTED_OUT) if self._has(each.to) else each
            for each in messages
        ]

    def _has(self, recipient: str) -> bool:
        return bool(self._known) and any(name in self._known for name in self._store.names(recipient))


async def _store(store: MessageStore, messages: list[Message]) -> None:
    by_partition: dict[str, list[Message]] = defaultdict(list)
    for each in messages:
        by_partition[each.partition].append(each)
    size = TRANSACTION_LIMIT // 3
    batches = [
        (partition, group[start : start + size])
        for partition, group in by_partition.items()
        for start in range(0, len(group), size)
    ]
    waiting = iter(batches)

    async def worker() -> None:
        for partition, batch in waiting:
            await _create(store, partition, batch)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())


async def _create(store: MessageStore, partition: str, batch: list[Message]) -> None:
    writes: list[Write] = [write for each in batch for write in creation(each)]
    try:
        await store.table.commit(partition, writes)
    except Contended:  # some of it was stored before a crash: one at a time, as each is one transaction
        for each in batch:
            with suppress(Contended):
                await store.table.commit(partition, creation(each))


def queue_message(job_id: str) -> str:
    """What goes onto `bulk-load`."""
    return json.dumps({"id": job_id})


def job_in(raw: bytes) -> str:
    """The job that a message on `bulk-load` names, or ""."""
    try:
        value = json.loads(raw)
    except ValueError:
        return ""
    return str(value.get("id", "")) if isinstance(value, dict) else ""
