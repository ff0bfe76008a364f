"""Many messages from one file: kept as a blob, checked row by row, then loaded, from where it was left off.

Ids follow from the job and the row's number, so a piece that is loaded twice makes nothing twice. Where a
file comes twice onto the queue, whoever writes the job's row first goes on with it; the other's message comes
again, until the load has ended.
"""

import asyncio
import hashlib
import json
import logging
import tempfile
from collections.abc import Generator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from shared.bulk import file as bulk_file
from shared.bulk.file import FileRow
from shared.bulk.jobs import ENDED, MOST_ERRORS, Job, Places, RowError
from shared.bulk.writer import OptOuts, keep
from shared.config import Settings
from shared.delivery.store import MessageStore
from shared.errors import Conflict, Contended, InvalidRequest, NotFound
from shared.recipients import erasure
from shared.sms import message
from shared.sms.message import Message

if TYPE_CHECKING:
    from shared.services import Services

log = logging.getLogger(__name__)

QUEUE = "bulk-load"
MOST_BYTES = 64 * 1024 * 1024
PIECE = 3000
"""Rows between two checkpoints."""
TURN = 100
"""Rows that are parsed before others have their turn."""
ERASED = "its recipient was erased"
AT_ONCE = 4
"""Transactions under way at once: more gain nothing on one account."""


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
    jobs = services.bulk_jobs
    try:
        await jobs.add(job)
    except Contended:
        present = await jobs.get(job.id)
        if present.digest != digest:
            raise Conflict("idempotency_key was used before with another file") from None
        if present.state in ENDED:
            return job.id  # nobody will load the file, and it holds people's numbers
    await jobs.open(job.id)  # so that an erasure finds the file
    await services.files.write(job.id, data)
    if (await jobs.get(job.id)).state in ENDED:
        await _clear_away(job.id, services)  # it ended while the file came again
    return job.id


async def progress(job_id: str, services: "Services") -> dict[str, Any]:
    """How far a job has come, and what is wrong with its rows."""
    job = await services.bulk_jobs.get(job_id)
    errors = [
        {"row": int(row.key[2:]), "column": row.text("column") or None, "message": row.text("message")}
        for row in await services.bulk_jobs.errors(job_id)
    ]
    return {**job.view(), "errors": errors}


async def load(job_id: str, services: "Services") -> Job | None:
    """Check a file, then load it; called again, it goes on where it was. None where there is no such job.

    Raises Contended where someone else has it in hand: its message is to be kept until the load has ended.
    """
    try:
        job = await services.bulk_jobs.get(job_id)
    except NotFound:
        log.error("a message on %s names no job", QUEUE)
        return None
    if job.state == "stopped":
        return job  # a person has it go on
    if job.state not in ENDED:
        try:
            job = await _brought_in(job, services)
        except Contended:
            job = await services.bulk_jobs.get(job_id)
            if job.state != "stopped" and job.state not in ENDED:
                # It came twice onto the queue. Who wrote may die yet, and both may hold the same message: by
                # raising it stays, and comes again.
                log.warning("bulk load %s goes on elsewhere", job.id)
                raise
    if job.state in ENDED:
        await _clear_away(job.id, services)
    log.info("bulk load %s: %s, %s of %s rows", job.id, job.state, job.loaded, job.rows)
    return job


async def give_up(job_id: str, services: "Services") -> None:
    """The queue gave it up: say so, and keep the file, so that a person can have it go on."""
    with suppress(NotFound):
        job = await services.bulk_jobs.get(job_id)
        if job.state in ENDED:
            await _clear_away(job_id, services)
            return
        await services.bulk_jobs.save(replace(job, state="stopped", reason="loading failed five times"))
        log.error("bulk load %s has stopped at %s of %s rows", job.id, job.loaded, job.rows)


async def unfinished(services: "Services") -> dict[str, Any]:
    """The loads that have not ended, those first that came first."""
    found = []
    for job_id in await services.bulk_jobs.unfinished():
        job = await services.bulk_jobs.get(job_id)
        if job.state not in ENDED:
            found.append(job)
    return {"bulk_loads": [job.view() for job in sorted(found, key=lambda job: job.created)]}


async def resume(job_id: str, services: "Services") -> str:
    """Let a load that has not ended go on; the queue message. Raises Conflict.

    One that is under way takes no harm from a second message, and one whose message is lost needs it.
    """
    job = await services.bulk_jobs.get(job_id)
    if job.state in ENDED:
        raise Conflict(f"it is {job.state}", state=job.state)
    if job.state == "stopped":
        state = "loading" if job.rows else "queued"
        await services.bulk_jobs.save(replace(job, state=state, reason=""))
    return job.id


async def discard(job_id: str, services: "Services") -> Job:
    """Give up a load that has not ended, and its file; what it loaded stays. Raises Conflict."""
    jobs = services.bulk_jobs
    job = await jobs.get(job_id)
    if job.state in ENDED:
        await _clear_away(job_id, services)  # as an earlier try may not have
        raise Conflict(f"it is {job.state}", state=job.state)
    in_hand = job.state == "loading"
    count = f"at least {job.loaded}" if in_hand else f"{job.loaded}"
    reason = f"discarded; {count} of its rows were loaded before, and stay"
    job = await jobs.save(replace(job, state="discarded", reason=reason))
    await services.files.remove(job_id)
    if not in_hand:  # else whoever stores a piece of it closes it: until then an erasure must know of it
        await jobs.close(job_id)
    log.info("bulk load %s is discarded at %s of %s rows", job.id, job.loaded, job.rows)
    return job


async def _clear_away(job_id: str, services: "Services") -> None:
    """Remove a file that nobody needs any more."""
    await services.files.remove(job_id)
    await services.bulk_jobs.close(job_id)


async def _brought_in(job: Job, services: "Services") -> Job:
    """Raises Contended where someone else goes on with it."""
    jobs = services.bulk_jobs
    with tempfile.TemporaryFile() as file:
        try:
            version = await services.files.read(job.id, file)
        except NotFound:
            return await jobs.save(replace(job, state="failed", reason="its file is not there any more"))
        if not await jobs.takes(job, version.digest):
            reason = "its file is not the one that was accepted: their digests (SHA-256) differ"
            return await jobs.save(replace(job, state="failed", reason=reason))
        if job.state != "loading":
            job = await _check(job, file, services)
        if job.state == "loading":
            job = await _load(job, file, services)
    return job


async def _check(job: Job, file: IO[bytes], services: "Services") -> Job:
    """Look at every row before one is stored."""
    jobs = services.bulk_jobs
    before = await jobs.save(replace(job, state="checking", checked=0, rows=0, error_count=0))
    await jobs.forget_errors(job.id)
    erased = await jobs.erased(job.id)
    job, errors, refused, count, wrong = before, list[RowError](), Places(), 0, 0
    try:
        with closing(_rows(file, job)) as rows:
            for row in rows:
                found = _made(row, job, services.settings, erased)
                if isinstance(found, RowError):
                    refused.add(count)
                    wrong += found.text != ERASED
                    job = replace(job, error_count=job.error_count + 1)
                    if len(errors) < MOST_ERRORS:
                        errors.append(found)
                count += 1
                if count > bulk_file.MOST_ROWS:
                    raise InvalidRequest(None, f"the file has over {bulk_file.MOST_ROWS:,} rows")
                if count % TURN == 0:
                    await asyncio.sleep(0)
                if count % PIECE == 0:
                    job = await jobs.save(replace(job, checked=count))
        if not count:
            raise InvalidRequest(None, "the file has no rows")
    except InvalidRequest as exc:
        return await jobs.save(replace(job, state="failed", checked=count, reason=str(exc)))
    await jobs.note(before, errors)
    await jobs.refuse(job.id, refused)
    bad = wrong and not (job.partial and job.error_count < count)
    reason = "nothing was stored: rows are wrong" if bad else ""
    state = "failed" if bad else "loading"
    return await jobs.save(replace(job, state=state, checked=count, rows=count, reason=reason))


async def _load(job: Job, file: IO[bytes], services: "Services") -> Job:
    """Store the good rows, a piece at a time, each piece with its checkpoint behind it."""
    jobs, store = services.bulk_jobs, services.messages
    refused, erased = await jobs.refused(job.id), await jobs.erased(job.id)
    opt_outs = OptOuts(store)
    with closing(_rows(file, job)) as rows:
        for _ in islice(rows, job.done_rows):
            pass  # seen to before
        while piece := list(islice(rows, PIECE)):
            good: dict[int, Message] = {}
            errors: list[RowError] = []
            for place, row in enumerate(piece, job.done_rows):
                if place in refused:
                    continue  # it was counted by the check
                found = _made(row, job, services.settings, erased)
                if isinstance(found, RowError):
                    errors.append(found)  # a setting has changed since the check, or someone was erased
                else:
                    good[row.number] = found
                if place % TURN == 0:
                    await asyncio.sleep(0)
            kept = [each for each in good.values() if not _erased(each, store, erased)]
            await keep(await opt_outs.applied(kept), store, at_once=AT_ONCE)
            erased = await jobs.erased(job.id)
            errors += await _erase_slipped(good, store, erased)
            await jobs.note(job, errors)
            job = replace(
                job,
                done_rows=job.done_rows + len(piece),
                loaded=job.loaded + len(good),
                error_count=job.error_count + len(errors),
            )
            job = await jobs.save(job)
    return await jobs.save(replace(job, state="done"))


def _rows(file: IO[bytes], job: Job) -> Generator[FileRow]:
    file.seek(0)
    return bulk_file.rows(file, job.content_type)


def _made(row: FileRow, job: Job, settings: Settings, erased: Mapping[str, datetime]) -> Message | RowError:
    """The message of a row, as of the time the file came; or what is wrong with the row."""
    if erased and isinstance(to := row.values.get("to"), str) and to in erased:
        return RowError(row.number, "to", ERASED)
    try:
        made, _ = message.parse(row.request(), settings, now=job.created, unique=f"{job.id}|{row.number}")
    except InvalidRequest as exc:
        return RowError(row.number, exc.field or "", exc.message)
    return made


def _erased(each: Message, store: MessageStore, erased: Mapping[str, datetime]) -> str | None:
    """What stands for its recipient since an erasure, if one was."""
    return next((name for name in store.names(each.to) if name in erased), None) if erased else None


async def _erase_slipped(
    good: dict[int, Message], store: MessageStore, erased: Mapping[str, datetime]
) -> list[RowError]:
    """Whom an erasure took out while this piece was stored, or stored before a crash, goes from it again."""
    gone = {number: name for number, each in good.items() if (name := _erased(each, store, erased))}
    for number, name in gone.items():
        await erasure.erase_message(store, good.pop(number), name, now=erased[name])
    return [RowError(number, "to", ERASED) for number in gone]


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
