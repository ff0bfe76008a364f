"""Check a file row by row, then make its messages, batch by batch; go on where an earlier load ended.

The id of a message follows from the job and the row's number, so a batch that is written twice makes nothing
twice. Two workers may have the same file, since a queue message can come twice. The one that writes the job's
row first goes on. The other raises, so that its message comes again until the load has ended.
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import IO

from shared.bulk import file as bulk_file
from shared.bulk import writer
from shared.bulk.file import MOST_ROWS, FileRow
from shared.bulk.jobs import ENDED, MOST_ERRORS, QUEUE, BulkJobs, Job, RowError, clear_away
from shared.config import Settings
from shared.delivery.erasure import erase_one
from shared.delivery.store import Store
from shared.errors import Contended, InvalidRequest, NotFound
from shared.sms import request
from shared.sms.message import Message
from shared.storage.blobs import Blobs

log = logging.getLogger(__name__)

BATCH = 3000
"""Rows between two checkpoints."""
TURN = 100
"""Rows that are parsed at once, before the event loop may do other work."""
AT_ONCE = 4
"""Transactions under way at once. More of them make a load on one storage account no faster."""
ERASED = "its recipient was erased"

type Erased = Mapping[str, datetime]
"""Who was erased while the job was unfinished, by pseudonym, and when."""


class Loader:
    """Loads files. store: where their messages go."""

    def __init__(self, jobs: BulkJobs, files: Blobs, store: Store[Message], settings: Settings) -> None:
        self._jobs, self._files, self._store, self._settings = jobs, files, store, settings

    async def load(self, job_id: str) -> Job | None:
        """Check and load the file of a job, or go on with it. None where there is no such job.

        Raises Contended where another worker loads it: the queue message then stays until the load has ended.
        """
        try:
            job = await self._jobs.get(job_id)
        except NotFound:
            log.error("a message on %s names no job", QUEUE)
            return None
        if job.state == "stopped":
            return job  # a person must resume it first
        if job.state not in ENDED:
            try:
                job = await self._check_and_load(job)
            except Contended:
                job = await self._jobs.get(job_id)
                if job.state != "stopped" and job.state not in ENDED:
                    # That worker may die, and it may have this same queue message. Raising keeps the message.
                    log.warning("another worker goes on with bulk load %s", job.id)
                    raise
        if job.state in ENDED:
            await clear_away(job.id, self._jobs, self._files)
        log.info("bulk load %s: %s, %s of %s rows", job.id, job.state, job.loaded, job.rows)
        return job

    async def _check_and_load(self, job: Job) -> Job:
        """Raises Contended where another worker goes on with it."""
        with tempfile.TemporaryFile() as file:
            try:
                version = await self._files.read(job.id, file)
            except NotFound:
                return await self._fail(job, "its file is not there any more")
            if not await self._jobs.allows_file(job, version.digest):
                reason = "its file is not the one that was accepted: their digests (SHA-256) differ"
                return await self._fail(job, reason)
            if job.state != "loading":
                job = await self._check(job, file)
            if job.state == "loading":
                job = await self._load(job, file)
        return job

    async def _fail(self, job: Job, reason: str) -> Job:
        return await self._jobs.save(replace(job, state="failed", reason=reason))

    async def _check(self, job: Job, file: IO[bytes]) -> Job:
        """Check every row before the first message is made. The job is then loading, or failed."""
        before = job = await self._jobs.save(replace(job, state="checking", checked=0, rows=0, error_count=0))
        await self._jobs.forget_errors(job.id)
        erased = await self._jobs.erased(job.id)
        errors, refused, wrong = list[RowError](), bytearray(), 0
        try:
            with closing(_rows(file, job)) as rows:
                async for _, found in self._each(rows, job, erased):
                    refused.append(isinstance(found, RowError))
                    if isinstance(found, RowError):
                        wrong += found.text != ERASED
                        job = replace(job, error_count=job.error_count + 1)
                        errors += [found] if len(errors) < MOST_ERRORS else []
                    if len(refused) > MOST_ROWS:
                        raise InvalidRequest(None, f"the file has over {MOST_ROWS:,} rows")
                    if len(refused) % BATCH == 0:
                        job = await self._jobs.save(replace(job, checked=len(refused)))
            if not refused:
                raise InvalidRequest(None, "the file has no rows")
        except InvalidRequest as exc:
            return await self._fail(replace(job, checked=len(refused)), str(exc))
        await self._jobs.note(before, errors)
        await self._jobs.refuse(job.id, bytes(refused))
        job = replace(job, checked=len(refused), rows=len(refused))
        if wrong and not (job.partial and job.error_count < job.rows):
            return await self._fail(job, "nothing was stored: rows are wrong")
        return await self._jobs.save(replace(job, state="loading"))

    async def _load(self, job: Job, file: IO[bytes]) -> Job:
        """Make messages of the rows that the check did not refuse. Each batch ends with a checkpoint."""
        refused, erased = await self._jobs.refused(job.id), await self._jobs.erased(job.id)
        opt_outs = writer.OptOuts(self._store)
        with closing(_rows(file, job)) as rows:
            left = islice(rows, job.done_rows, None)  # an earlier load has handled the others
            while batch := list(islice(left, BATCH)):
                wanted = [row for place, row in enumerate(batch, job.done_rows) if not refused[place]]
                good, errors = dict[int, Message](), list[RowError]()
                # Since the check, a setting may have changed, or a recipient may have been erased.
                async for number, found in self._each(wanted, job, erased):
                    if isinstance(found, RowError):
                        errors.append(found)
                    else:
                        good[number] = found
                kept = [each for each in good.values() if not self._erased_name(each, erased)]
                await writer.write(await opt_outs.applied(kept), self._store, at_once=AT_ONCE)
                erased = await self._jobs.erased(job.id)
                errors += await self._erase_written(good, erased)
                await self._jobs.note(job, errors)
                job = replace(
                    job,
                    done_rows=job.done_rows + len(batch),
                    loaded=job.loaded + len(good),
                    error_count=job.error_count + len(errors),
                )
                job = await self._jobs.save(job)
        return await self._jobs.save(replace(job, state="done"))

    async def _each(
        self, rows: Iterable[FileRow], job: Job, erased: Erased
    ) -> AsyncGenerator[tuple[int, Message | RowError]]:
        """The number of each row, and its message, or what is wrong with it."""
        for count, row in enumerate(rows, 1):
            yield row.number, self._parsed(row, job, erased)
            if count % TURN == 0:
                await asyncio.sleep(0)  # let the event loop do its other work

    def _parsed(self, row: FileRow, job: Job, erased: Erased) -> Message | RowError:
        """The message of a row, as of the time when the file was accepted; or what is wrong with the row."""
        if erased and isinstance(to := row.values.get("to"), str) and to in erased:
            return RowError(row.number, "to", ERASED)
        unique = f"{job.id}|{row.number}"
        try:
            return request.parse(row.request(), self._settings, now=job.created, unique=unique)[0]
        except InvalidRequest as exc:
            return RowError(row.number, exc.field or "", exc.message)

    def _erased_name(self, message: Message, erased: Erased) -> str | None:
        """The pseudonym of the recipient if they were erased, else None."""
        names = self._store.names(message.to) if erased else ()
        return next((name for name in names if name in erased), None)

    async def _erase_written(self, good: dict[int, Message], erased: Erased) -> list[RowError]:
        """Delete messages whose recipient was erased while their batch was being stored.

        They are taken out of `good`. The result is the errors of their rows.
        """
        named = {number: self._erased_name(each, erased) for number, each in good.items()}
        gone = {number: name for number, name in named.items() if name}
        for number, name in gone.items():
            await erase_one(self._store, good.pop(number), name, now=erased[name])
        return [RowError(number, "to", ERASED) for number in gone]


def _rows(file: IO[bytes], job: Job) -> Generator[FileRow]:
    file.seek(0)
    return bulk_file.rows(file, job.content_type)
