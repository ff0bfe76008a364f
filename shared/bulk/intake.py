"""What people do with the load of a file: hand it in, look at it, resume it, discard it.

Functions that only read or write jobs take no `files`: they need not load the library for blobs.
"""

import hashlib
import json
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from shared.bulk.file import CSV, NDJSON
from shared.bulk.jobs import ENDED, BulkJobs, Job, clear_away
from shared.errors import Conflict, Contended, InvalidRequest, NotFound

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

log = logging.getLogger(__name__)

MOST_BYTES = 64 * 1024 * 1024


async def accept(
    data: bytes, content_type: str, params: dict[str, str], jobs: BulkJobs, files: "Blobs", *, now: datetime
) -> str:
    """Keep a file, and return the id of its job. The caller puts `queue_message(id)` on the queue.

    params: `partial`=true loads the good rows of a file that has wrong ones. A file with an
    `idempotency_key` is taken once. Raises InvalidRequest or Conflict.
    """
    job = _job_of(data, content_type, params, now)
    try:
        await jobs.add(job)
    except Contended:
        present = await jobs.get(job.id)
        if present.digest != job.digest:
            raise Conflict("idempotency_key was used before with another file") from None
        if present.state in ENDED:
            return job.id  # do not keep the file: nothing would load it, and it has people's numbers
    await jobs.open(job.id)  # before the file is written, so that an erasure finds it
    await files.write(job.id, data)
    if (await jobs.get(job.id)).state in ENDED:
        await clear_away(job.id, jobs, files)  # the load ended while the file came a second time
    return job.id


def _job_of(data: bytes, content_type: str, params: dict[str, str], now: datetime) -> Job:
    """The new job of a file. Raises InvalidRequest."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (CSV, NDJSON):
        raise InvalidRequest("Content-Type", f"must be {CSV} or {NDJSON}", status=415)
    if not data.strip():
        raise InvalidRequest(None, "the file is empty")
    if len(data) > MOST_BYTES:
        raise InvalidRequest(None, "the file is over 64 MB", code="too_large", status=413)
    if params.get("partial", "false") not in ("true", "false"):
        raise InvalidRequest("partial", "must be true or false")
    key = params.get("idempotency_key", "")
    return Job(
        id=hashlib.sha256(key.encode()).hexdigest()[:32] if key else uuid4().hex,
        content_type=kind,
        digest=hashlib.sha256(data).hexdigest(),
        partial=params.get("partial") == "true",
        created=now,
    )


async def progress(job_id: str, jobs: BulkJobs) -> dict[str, Any]:
    """How far a load has come, and what is wrong with the rows of its file. Raises NotFound."""
    job = await jobs.get(job_id)
    errors = [
        {"row": int(row.key[2:]), "column": row.text("column") or None, "message": row.text("message")}
        for row in await jobs.errors(job_id)
    ]
    return {**job.view(), "errors": errors}


async def unfinished(jobs: BulkJobs) -> dict[str, Any]:
    """The loads that have not ended, the oldest first."""
    found = [await jobs.get(job_id) for job_id in await jobs.unfinished()]
    left = sorted((job for job in found if job.state not in ENDED), key=lambda job: job.created)
    return {"bulk_loads": [job.view() for job in left]}


async def resume(job_id: str, jobs: BulkJobs) -> str:
    """Let a load that has not ended go on. Raises NotFound or Conflict.

    The caller puts another message on the queue, whatever the state: the first may be lost, and a second one
    does no harm to a load that is under way.
    """
    job = await jobs.get(job_id)
    if job.state in ENDED:
        raise Conflict(f"it is {job.state}", state=job.state)
    if job.state == "stopped":
        await jobs.save(replace(job, state="loading" if job.rows else "queued", reason=""))
    return job.id


async def discard(job_id: str, jobs: BulkJobs, files: "Blobs") -> Job:
    """End a load that has not ended, and remove its file. The messages that it made stay.

    Raises NotFound or Conflict.
    """
    job = await jobs.get(job_id)
    if job.state in ENDED:
        await clear_away(job_id, jobs, files)  # an earlier request may have died before it did
        raise Conflict(f"it is {job.state}", state=job.state)
    running = job.state == "loading"
    count = f"at least {job.loaded}" if running else f"{job.loaded}"
    reason = f"discarded; {count} of its rows were loaded before, and stay"
    job = await jobs.save(replace(job, state="discarded", reason=reason))
    await files.remove(job_id)
    if not running:  # else its worker closes the job after its batch: until then an erasure must find it
        await jobs.close(job_id)
    log.info("bulk load %s is discarded at %s of %s rows", job.id, job.loaded, job.rows)
    return job


async def give_up(job_id: str, jobs: BulkJobs, files: "Blobs") -> None:
    """Loading has failed five times: stop the load, and keep its file, so that a person can resume it."""
    with suppress(NotFound):
        job = await jobs.get(job_id)
        if job.state in ENDED:
            await clear_away(job_id, jobs, files)
            return
        await jobs.save(replace(job, state="stopped", reason="loading failed five times"))
        log.error("bulk load %s has stopped at %s of %s rows", job.id, job.loaded, job.rows)


def queue_message(job_id: str) -> str:
    """The message on `bulk-load` that starts the load of a job."""
    return json.dumps({"id": job_id})


def job_in(raw: bytes) -> str:
    """The id of the job that a message on `bulk-load` names, or ""."""
    try:
        value = json.loads(raw)
    except ValueError:
        return ""
    return str(value.get("id", "")) if isinstance(value, dict) else ""
