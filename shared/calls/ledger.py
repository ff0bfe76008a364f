"""The ledger of calls, in which one id is entered once.

Twilio places a call or two a second for an account, so one partition holds them all:

c|ID            the call
q|TIME|ID       a call that is being placed, in doubt or under way: to be looked up at TIME
a|TIME|ID       the calls by the time they came
s|SID           whose SID this is, so that a look-up gives no call another's
v|NUMBER|TIME|ID  the calls to and from one number
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared import errors
from shared.calls.request import ID
from shared.delivery.states import State, shown_reports
from shared.delivery.store import END, Rows
from shared.storage.rows import Delete, Insert, Put, Row, Write, moment, stamp

log = logging.getLogger(__name__)

PARTITION = "calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is known of one call. Times are aware and in UTC."""

    id: str
    to: str = ""
    sender: str = ""
    direction: str = "outbound"
    say: str = field(default="", repr=False)
    state: State = State.PENDING
    created: datetime
    attempt: str = ""
    posted: datetime | None = None
    looks: int = 0
    looked_up: bool = False
    sid: str = ""
    code: int = 0
    reason: str = ""
    seconds: int = 0
    answered_by: str = ""
    price: str = ""
    reports: str = ""
    updated: datetime | None = None
    etag: str = field(default="", repr=False)

    @property
    def person(self) -> str:
        """The number at the other end in E.164, or "" for a withheld one, a client or a SIP address."""
        other = self.sender if self.direction == "inbound" else self.to
        return other if other.startswith("+") and other[1:].isdecimal() else ""

    def columns(self) -> dict[str, Any]:
        """Its columns, without what is empty."""
        values = {name: getattr(self, name) for name in _COLUMNS}
        values["state"] = self.state.value
        return {k: stamp(v) if isinstance(v, datetime) else v for k, v in values.items() if v}

    @classmethod
    def from_row(cls, row: Row) -> "Call":
        """The call in a row. Raises Malformed."""
        call_id, known = row.key.partition("|")[2], dict[str, Any]()
        for name in _COLUMNS:
            if name in row.values or name in ("state", "created"):
                try:
                    known[name] = _read(name, row.values.get(name))
                except (TypeError, ValueError):
                    raise errors.Malformed("call", call_id, name) from None
        return cls(**known, id=call_id, etag=row.etag)

    def view(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "state": self.state.value,
            "direction": self.direction,
            "to": self.to or None,
            "from": self.sender or None,
            "sid": self.sid or None,
            "duration": self.seconds,
            "answered_by": self.answered_by or None,
            "error_code": self.code or None,
            "reason": self.reason or None,
            "price": self.price or None,
            "reports": shown_reports(self.reports),
            "created_at": stamp(self.created),
            "updated_at": stamp(self.updated or self.created),
        }


_COLUMNS = tuple(name for name in Call.__dataclass_fields__ if name not in ("id", "etag"))
_KINDS = {name: type(each.default) for name, each in Call.__dataclass_fields__.items()}


def _read(name: str, value: Any) -> Any:
    """What stands in a column, as the call has it. Raises TypeError or ValueError."""
    if name in ("created", "posted", "updated"):
        return moment(value)
    if name == "state":
        return State(value)
    if type(value) is not _KINDS[name]:
        raise TypeError(name)
    return value


class CallLedger:
    """Every read and write of calls, each atomic on its own."""

    def __init__(self, table: Rows) -> None:
        self._table = table

    async def find(self, call_id: str) -> Call | None:
        """The call by its id, or None. Raises Malformed."""
        row = await self._table.get(PARTITION, f"c|{call_id}")
        return Call.from_row(row) if row else None

    async def many(self, ids: Iterable[str]) -> list[Call]:
        """The calls by these ids; one that is not there, or cannot be read, is left out."""

        async def one(call_id: str) -> Call | None:
            try:
                return await self.find(call_id)
            except errors.Malformed as exc:
                log.error("left out of a list: %s", exc)
                return None

        return [call for call in await asyncio.gather(*map(one, ids)) if call]

    async def get(self, call_id: str) -> Call:
        """Raises NotFound."""
        call = await self.find(call_id) if ID.fullmatch(call_id) else None
        if call is None:
            raise errors.NotFound("there is no call by that id")
        return call

    async def add(self, call: Call, *extra: Write) -> Call:
        """Enter a new call. Raises Contended where its id is there already."""
        writes: list[Write] = [
            Insert(f"c|{call.id}", call.columns()),
            Insert(f"a|{stamp(call.created)}|{call.id}", {}),
        ]
        if call.person:
            writes.append(Insert(f"v|{call.person}|{stamp(call.created)}|{call.id}", {}))
        etags = await self._table.commit(PARTITION, [*writes, *extra])
        return replace(call, etag=etags[0])

    async def write(self, call: Call, *extra: Write) -> Call:
        """Replace a call, only if it has not changed since it was read. Raises Contended."""
        etags = await self._table.commit(PARTITION, [Put(f"c|{call.id}", call.columns(), call.etag), *extra])
        return replace(call, etag=etags[0])

    async def page(
        self, *, after: datetime | None = None, token: str = "", limit: int = 50
    ) -> dict[str, Any]:
        """Calls as they came, oldest first, as the API shows them, and the token of the next page."""
        low = token or "a|" + (stamp(after) if after else "")
        rows = await self._table.read(PARTITION, low, "a|" + END, limit=limit + 1)
        calls = await self.many(row.key.split("|", 2)[2] for row in rows[:limit])
        following = rows[limit - 1].key if len(rows) > limit else None
        return {"calls": [call.view() for call in calls], "token": following}

    async def of(
        self, number: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[Row]:
        """The places of all calls to and from one number, or from `since` on and before `until`."""
        prefix, found = f"v|{number}|", list[Row]()
        after, high = prefix + (stamp(since) if since else ""), prefix + (stamp(until) if until else END)
        while rows := await self._table.read(PARTITION, after, high, limit=1000):
            after = rows[-1].key
            found += rows
        return found

    async def rename(self, place: Row, name: str) -> None:
        """List the call at this place under what stands for its number from here on."""
        moved = "|".join(("v", name, *place.key.split("|")[2:]))
        with suppress(errors.Contended):  # done before, by the same request repeated
            await self._table.commit(PARTITION, [Insert(moved, {}), Delete(place.key)])

    async def in_doubt(self, now: datetime, *, after: str = "") -> list[Row]:
        """What is to be looked up by now, oldest first, behind `after`."""
        return await self._table.read(PARTITION, after or "q|", f"q|{stamp(now)}|{END}", limit=200)

    async def being_placed(self, to: str, now: datetime, lease: timedelta) -> bool:
        """Is a request under way that rings this number?"""
        low, high = f"q|{stamp(now)}", f"q|{stamp(now + lease)}|{END}"
        rows = await self._table.read(PARTITION, low, high, limit=1000)
        return any(row.text("to") == to for row in rows)

    async def owner(self, sid: str) -> str:
        """The id of the call that has this SID, or ""."""
        row = await self._table.get(PARTITION, f"s|{sid}")
        return row.text("call") if row else ""

    async def holds(self, key: str) -> bool:
        """Is there such a row?"""
        return await self._table.get(PARTITION, key) is not None

    async def drop(self, row: Row) -> None:
        """Look no more."""
        try:
            await self._table.commit(PARTITION, [Delete(row.key)])
        except errors.Contended:
            return
