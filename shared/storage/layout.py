"""The version of the stored layout. A store that other code laid out is refused, never half read.

The row `version` in the partition `layout` of the table `messages` names the version. Each process reads it
once, before its first read or write of any table, and a new store gets it then. There is no code that moves
rows from one version to another: a person begins anew, as the error says.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from shared.errors import Contended, OldStore, StorageAway
from shared.storage.rows import Insert, Row, Rows

log = logging.getLogger(__name__)

VERSION = 2
"""1 had no version row. Raise it with every change of a row key or of a column's meaning."""
TABLES = ("messages", "calls", "deadletters", "bulk", "limits")
PARTITION, KEY, COLUMN = "layout", "version", "layout"


class Unguarded(Rows, Protocol):
    """A table that does not ask for the layout's version."""

    async def is_empty(self) -> bool: ...


class Layout:
    """Whether this process may use the store. table: gives a table by its name."""

    def __init__(self, table: Callable[[str], Unguarded]) -> None:
        self._table = table
        self._good = False
        self._logged = False
        self._running: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Do nothing where the version is known to be ours; else read it. Raises OldStore or StorageAway.

        Concurrent calls share one reading. What is wrong is not remembered: the next call reads again, so
        that the app goes on by itself once a person has emptied the store.
        """
        if self._good:
            return
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._check())
            self._running.add_done_callback(_retrieved)
        await asyncio.shield(self._running)  # a caller that is canceled does not stop it for the others

    def forget(self) -> None:
        """A table was missing: somebody may have emptied the store, so the version is read again."""
        self._good = False

    async def close(self) -> None:
        """End a reading that is under way."""
        if self._running:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _check(self) -> None:
        messages = self._table("messages")
        row = await messages.get(PARTITION, KEY)
        if row is None:
            if await self._is_new():
                with suppress(Contended):  # another process has inserted it
                    await messages.commit(PARTITION, [Insert(KEY, {COLUMN: VERSION})])
            # Read it again in both cases: another process may have inserted it, and written rows, meanwhile.
            row = await messages.get(PARTITION, KEY)
        if _version(row) != VERSION:
            self._refuse(row)
        self._good, self._logged = True, False

    async def _is_new(self) -> bool:
        for name in TABLES:
            if not await self._table(name).is_empty():
                return False
        return True

    def _refuse(self, row: Row | None) -> None:
        found = f"layout {_version(row)}" if row else "a layout without a version"
        error = OldStore(
            f"AzureWebJobsStorage names a storage account whose tables have {found}, and this code has "
            f"layout {VERSION}: no table is read or written, and nothing is sent. Deploy the code that fits, "
            "or begin anew: name a new storage account in AzureWebJobsStorage, or delete the tables "
            f"{', '.join(TABLES)} in this one"
        )
        if not self._logged:
            self._logged = True
            log.error("%s", error)
        raise error


def _version(row: Row | None) -> object:
    return row.values.get(COLUMN) if row else None


def _retrieved(task: asyncio.Task[None]) -> None:
    """Mark the error as seen: the callers that would have got it may all have been canceled."""
    if not task.cancelled():
        task.exception()


async def problem_of(layout: Callable[[], Layout], *, seconds: float = 2.0) -> str | None:
    """Why the store is refused. None where it is not, or where storage cannot be reached in time.

    layout: fails with ValueError on a malformed connection string. That is for `diagnose` to say.
    """
    try:
        async with asyncio.timeout(seconds):
            await layout().check()
    except OldStore as exc:
        return str(exc)
    except (StorageAway, TimeoutError, ValueError):
        return None
    return None
