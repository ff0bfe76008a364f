"""What a text and a call have in common: one send to one person, and its row in storage."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from shared.delivery import keys
from shared.delivery.states import State
from shared.errors import Malformed
from shared.storage.partitions import shard
from shared.storage.rows import Row, moment, stamp
from shared.times import instants


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(ABC):
    """One text or call. Times are aware and in UTC.

    due: when it is to leave; retry: when it is tried again, if that is later. expires_after: seconds after
    `due`, for each of a series. attempt: which claim it was posted under, if it was.
    """

    what: ClassVar[str]
    needed: ClassVar[tuple[str, ...]]
    shards: ClassVar[int]
    by_person: ClassVar[bool]
    """Does it lie in its recipient's partition, with that person's opt-out and counts? Else by its id."""

    id: str
    to: str = ""
    due: datetime
    created: datetime
    state: State = State.PENDING
    retry: datetime | None = None
    sender: str = ""
    time_zone: str = ""
    expires: datetime | None = None
    expires_after: int = 0
    repeat: str = ""
    series: str = ""
    first: datetime | None = None
    followed: bool = False
    quiet_hours: str = ""
    attempt: str = ""
    attempts: int = 0
    posted: datetime | None = None
    looks: int = 0
    looked_up: bool = False
    sid: str = ""
    code: int = 0
    reason: str = ""
    price: str = ""
    reports: str = ""
    updated: datetime | None = None
    etag: str = field(default="", repr=False)

    @classmethod
    @abstractmethod
    def partition_of(cls, item_id: str) -> str:
        """The partition of the one with this id."""

    @classmethod
    def home_of(cls, person: str) -> str:
        """The partition of a person's opt-out and daily counts."""
        return shard(person, cls.shards)

    @property
    def partition(self) -> str:
        """Where its rows lie."""
        return self.partition_of(self.id)

    @property
    def person(self) -> str:
        """The address of the person at the other end, or "" for a withheld one."""
        return self.to

    @property
    def is_at_home(self) -> bool:
        """Does it lie with its person's opt-out and counts? After an edit of `to` a text may not."""
        return self.by_person and self.home_of(self.to) == self.partition

    @property
    def place_partition(self) -> str:
        """Where its place in its person's conversation lies."""
        return self.home_of(self.person) if self.by_person else self.partition

    @property
    def is_listed_here(self) -> bool:
        """Is its place in a conversation written with it, in one transaction?"""
        return bool(self.person) and self.place_partition == self.partition

    @property
    def next(self) -> datetime:
        """When it is looked at: its due time, or later where a send has to be repeated."""
        return self.retry or self.due

    @property
    def zone(self) -> ZoneInfo:
        """The recipient's time zone, UTC where none was given."""
        return instants.zone(self.time_zone or "UTC")

    @abstractmethod
    def occurrence_id(self, due: datetime) -> str:
        """The id of the occurrence of its series at `due`: in the same partition, and always the same."""

    @abstractmethod
    def without_person(self, name: str) -> Self:
        """It without whom it was for and what it said. name: what stands for the person."""

    @abstractmethod
    def view(self) -> dict[str, Any]:
        """As the API shows it."""

    def columns(self) -> dict[str, Any]:
        """Its columns; what is empty is left out, so that a row holds only what it has."""
        values: dict[str, Any] = {}
        for name in _columns(type(self)):
            value = getattr(self, name)
            if isinstance(value, datetime):
                value = stamp(value)
            elif isinstance(value, tuple):
                value = json.dumps(value, ensure_ascii=False) if value else ""
            elif isinstance(value, State):
                value = value.value
            if value:
                values[name] = value
        return values

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """What stands in a row, be it the record or its copy among what is due. Raises Malformed."""
        item_id = keys.last(row.key)
        if not cls.is_id(item_id):
            raise Malformed(cls.what, "")
        for name in cls.needed:
            if not row.values.get(name):
                raise Malformed(cls.what, item_id, name)
        known: dict[str, Any] = {}
        for name, kind in _columns(cls).items():
            if name in row.values:
                try:
                    known[name] = _read(name, kind, row.values[name])
                except (TypeError, ValueError):
                    raise Malformed(cls.what, item_id, name) from None
        return cls(**known, id=item_id, etag=row.etag)

    @classmethod
    @abstractmethod
    def is_id(cls, text: str) -> bool:
        """Can this be an id?"""

    def following(self, now: datetime) -> Self | None:
        """The next occurrence of its series after both its own time and now, once; else None."""
        if not self.repeat or self.followed:
            return None
        from shared.times import recurrence

        first = self.first or self.due
        due = recurrence.following(self.repeat, first, self.zone, after=max(self.due, now))
        if due is None:
            return None
        return replace(
            self,
            id=self.occurrence_id(due),
            state=State.PENDING,
            due=due,
            created=now,
            series=self.series or self.id,
            first=first,
            followed=False,
            expires=due + timedelta(seconds=self.expires_after) if self.expires_after else self.expires,
            retry=None,
            attempt="",
            attempts=0,
            posted=None,
            code=0,
            reason="",
            updated=None,
            etag="",
        )


@cache
def _columns(kind: type[Delivery]) -> dict[str, type]:
    """The columns of a row, each with the type that its field has."""
    found: dict[str, type] = {}
    for each in fields(kind):
        if each.name in ("id", "etag"):
            continue
        is_time = "datetime" in str(each.type)
        found[each.name] = datetime if is_time else type(each.default)
    return found


def _read(name: str, kind: type, value: Any) -> Any:
    """What stands in a column, as the field has it. Raises TypeError or ValueError."""
    if kind is datetime:
        return moment(value) if value else None
    if kind is State:
        return State(value)
    if kind is tuple:
        texts = json.loads(value or "[]")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise TypeError(name)
        return tuple(texts)
    if type(value) is not kind:
        raise TypeError(name)
    return value
