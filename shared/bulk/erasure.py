"""Whom an erasure takes out of the files that are not loaded yet, and what a load then does with their rows.

First each unfinished job names the person by their hash: no piece of its file that is begun from then on
makes a message to them. Then the rows go from the file, unless a load has it in hand: that one looks again
behind each piece, erases what slipped into it, and removes the file at its end.
"""

import asyncio
import hashlib
import re
import tempfile
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from shared import errors, phone_numbers
from shared.bulk import file as bulk_file
from shared.bulk.file import FileRow
from shared.bulk.jobs import RUNNING

if TYPE_CHECKING:
    from shared.services import Services


async def erase(recipient: str, name: str, services: "Services", *, now: datetime) -> list[str]:
    """Take a person out of every unfinished load; the ids of those under way that name them.

    For these the erasure is to be repeated once they have ended: what one of them stored while this went on
    may have been sent. name: what stands for the person (message_store.pseudonym).
    """
    jobs = services.bulk_jobs
    under_way = []
    for job_id in await jobs.unfinished():
        await jobs.erase(job_id, name, now=now)
        if await _in_hand(job_id, recipient, name, services):
            under_way.append(job_id)
    return under_way


async def _in_hand(job_id: str, recipient: str, name: str, services: "Services") -> bool:
    """Rewrite a file without one person, or say that it names them and is being loaded."""
    jobs, files, theirs = services.bulk_jobs, services.files, _theirs(recipient)
    for _ in range(8):
        with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as left:
            try:
                version = await files.read(job_id, file)
            except errors.NotFound:
                return False
            job = await jobs.get(job_id)
            file.seek(0)
            digest, found = hashlib.sha256(), 0
            try:
                for count, (piece, is_theirs) in enumerate(
                    bulk_file.without(file, job.content_type, theirs, name)
                ):
                    found += is_theirs
                    digest.update(piece)
                    left.write(piece)
                    if count % 100 == 0:
                        await asyncio.sleep(0)  # others have their turn
            except errors.InvalidRequest:
                return False  # no file of rows: its check says so, and it goes
            if not found or job.state in RUNNING:
                return bool(found)
            await jobs.take(job_id, digest.hexdigest())
            try:
                await files.replace(job_id, left, version.etag)
            except errors.Contended:
                continue  # someone else was erased from it, or it is loaded
            return False
    raise errors.Contended(f"the file of {job_id} keeps changing")


def _theirs(recipient: str) -> Callable[[FileRow, str], bool]:
    """Is a row to this recipient, however the number is written?

    What cannot be read goes by the digits of its text: none of it is ever sent, so one too many is no harm.
    """
    channel, _, number = recipient.rpartition(":")
    channel += ":" if channel else ""
    tail = number[-4:]  # nobody is parsed whose last digits are others; a (0) may stand before these
    national = _national(number)

    def theirs(row: FileRow, text: str) -> bool:
        if row.problem and national in _digits(text):
            return True
        to = row.values.get("to")
        if not isinstance(to, str) or not _digits(to).endswith(tail):
            return False
        try:
            return to.startswith(channel) and phone_numbers.parse(to.removeprefix(channel)) == number
        except errors.InvalidRequest:
            return False

    return theirs


def _digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)


def _national(number: str) -> str:
    """The digits of a number in E.164 behind its country code, which is often left out."""
    import phonenumbers

    return phonenumbers.national_significant_number(phonenumbers.parse(number))
