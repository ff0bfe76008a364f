"""What goes to and comes from a table: rows, and the writes of one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it was read. `values` are its columns without the keys; `etag` is its version."""

    key: str
    values: Mapping[str, Any]
    etag: str

    def text(self, column: str) -> str:
        """A text column, or "" where the row has none."""
        return str(self.values.get(column) or "")


@dataclass(frozen=True, slots=True)
class Insert:
    """Fails with Contended where the row is there already."""

    key: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Put:
    """Insert or replace, whatever is there; with an etag, replace only that version."""

    key: str
    values: Mapping[str, Any]
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """Set some columns of a row that exists; with an etag, only of that version."""

    key: str
    values: Mapping[str, Any]
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a row that exists; with an etag, only that version."""

    key: str
    etag: str | None = None


type Write = Insert | Put | Merge | Delete

END = "~"
"""Sorts behind everything that a row key may hold."""


class Rows(Protocol):
    """A table, as tables.py has it."""

    async def get(self, partition: str, key: str) -> Row | None: ...
    async def read(
        self,
        partition: str,
        low: str,
        high: str,
        *,
        limit: int,
        select: Sequence[str] = (),
    ) -> list[Row]: ...
    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]: ...


async def read_all(
    table: Rows, partition: str, low: str, high: str, *, select: Sequence[str] = ()
) -> list[Row]:
    """Every row with low < key < high, in the order of their keys, read piece by piece."""
    found: list[Row] = []
    while rows := await table.read(partition, low, high, limit=1000, select=select):
        found += rows
        low = rows[-1].key
    return found


TRANSACTION_LIMIT = 100
"""Writes in one entity group transaction, as Azure Table storage allows."""


def stamp(moment: datetime) -> str:
    """A UTC time of fixed width, so that text order is time order: 2026-11-23T01:02:03.004Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """The time that `stamp` wrote. Raises ValueError for one without an offset, as for any other text."""
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError("a time in a row has its offset")
    return read
