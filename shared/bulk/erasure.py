"""Erase a person from the files that are not loaded yet.

First the person's pseudonym is written to every unfinished job: a batch that begins after that makes no
message to them. Then the file is written again without the person's rows, unless a worker is loading it.
That worker looks for erased persons after each batch, erases the messages that the batch made to them, and
removes the file when the load ends.
"""

import asyncio
import hashlib
import re
import tempfile
from collections.abc import Callable
from datetime import datetime
from typing import IO, TYPE_CHECKING

from shared import errors, phone_numbers
from shared.bulk.file import FileRow, without
from shared.bulk.jobs import RUNNING

if TYPE_CHECKING:
    from shared.bulk.jobs import BulkJobs
    from shared.storage.blobs import Blobs

TRIES = 8


async def erase(recipient: str, name: str, jobs: "BulkJobs", files: "Blobs", *, now: datetime) -> list[str]:
    """Erase a person from every unfinished load; the ids of the loads under way whose files name them.

    The erasure must be repeated once these have ended: a message that one of them made meanwhile may have
    been sent. name: the person's pseudonym (delivery.store.pseudonym).
    """
    under_way = []
    for job_id in await jobs.unfinished():
        await jobs.erase(job_id, name, now=now)
        if await _is_being_loaded(job_id, recipient, name, jobs, files):
            under_way.append(job_id)
    return under_way


async def _is_being_loaded(job_id: str, recipient: str, name: str, jobs: "BulkJobs", files: "Blobs") -> bool:
    """Write a file again without one person. True if it names them, but is being loaded: then it stays."""
    for _ in range(TRIES):
        with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as left:
            try:
                version = await files.read(job_id, file)
                job = await jobs.get(job_id)
                digest, found = await _copy_without(file, left, job.content_type, recipient, name)
            except (errors.NotFound, errors.InvalidRequest):
                return (
                    False  # the file is gone, or has no rows: then its check fails, and the file is removed
                )
            if not found or job.state in RUNNING:
                return found
            await jobs.allow_file(job_id, digest)
            try:
                await files.replace(job_id, left, version.etag)
            except errors.Contended:
                continue  # another person was erased from it meanwhile, or it was loaded
            return False
    raise errors.Contended(f"the file of {job_id} keeps changing")


async def _copy_without(
    file: IO[bytes], left: IO[bytes], content_type: str, recipient: str, name: str
) -> tuple[str, bool]:
    """Copy a file without the rows of a person; the copy's SHA-256, and whether there were such rows."""
    file.seek(0)
    digest, found, is_theirs = hashlib.sha256(), False, _is_row_of(recipient)
    for count, (piece, theirs) in enumerate(without(file, content_type, is_theirs, name)):
        found = found or theirs
        digest.update(piece)
        left.write(piece)
        if count % 100 == 0:
            await asyncio.sleep(0)  # let the event loop do its other work
    return digest.hexdigest(), found


def _is_row_of(recipient: str) -> Callable[[FileRow, str], bool]:
    """Tells whether a row is to this recipient, however the number is written in it.

    A row that cannot be read is theirs if its text has the digits of their number. That may be one row too
    many, but such a row never becomes a message.
    """
    import phonenumbers

    channel, _, number = recipient.rpartition(":")
    channel += ":" if channel else ""
    tail = number[-4:]  # parsing is slow, so only a number that ends in these digits is parsed
    # The digits after the country code, which people often leave out.
    national = phonenumbers.national_significant_number(phonenumbers.parse(number))

    def is_theirs(row: FileRow, text: str) -> bool:
        if row.problem and national in _digits(text):
            return True
        to = row.values.get("to")
        if not isinstance(to, str) or not _digits(to).endswith(tail):
            return False
        try:
            return to.startswith(channel) and phone_numbers.parse(to.removeprefix(channel)) == number
        except errors.InvalidRequest:
            return False

    return is_theirs


def _digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)
