"""One call, in or out: as it is kept and as the API shows it."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from itertools import count
from typing import Any, ClassVar, Self

from shared.delivery.record import Delivery
from shared.delivery.states import shown_reports
from shared.storage.partitions import CALL_SHARDS, shard
from shared.storage.rows import stamp

ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
INBOUND = "inbound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Delivery):
    """What is known of one call. `is_timed`: it was given a time, and is not simply to ring now."""

    what: ClassVar[str] = "call"
    needed: ClassVar[tuple[str, ...]] = ("state", "due", "created")
    shards: ClassVar[int] = CALL_SHARDS
    by_person: ClassVar[bool] = False

    direction: str = "outbound"
    is_timed: bool = False
    say: str = field(default="", repr=False)
    url: str = field(default="", repr=False)
    twiml: str = field(default="", repr=False)
    machine_detection: str = ""
    timeout: int = 0
    time_limit: int = 0
    record: bool = False
    seconds: int = 0
    answered_by: str = ""

    @classmethod
    def partition_of(cls, item_id: str) -> str:
        """By its id, so that one id is entered once."""
        return shard(item_id, CALL_SHARDS)

    @classmethod
    def is_id(cls, text: str) -> bool:
        """1 to 100 of letters, digits, and . _ : -"""
        return bool(ID.fullmatch(text))

    @property
    def person(self) -> str:
        """The number at the other end in E.164, or "" for a withheld one, a client or a SIP address."""
        other = self.sender if self.direction == INBOUND else self.to
        return other if (other.startswith("+") and other[1:].isdecimal()) or other.startswith("-") else ""

    def occurrence_id(self, due: datetime) -> str:
        """In the same partition as this one, since it is created with its claim."""
        tries = (sha256(f"{self.id}|{stamp(due)}|{n}".encode()).hexdigest()[:32] for n in count())
        return next(each for each in tries if self.partition_of(each) == self.partition)

    def without_person(self, name: str) -> Self:
        """It without whom it was with and what was said. name: what stands for the person."""
        to, sender = (name if each == self.person else each for each in (self.to, self.sender))
        return replace(self, to=to, sender=sender, say="", url="", twiml="", reason="")

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
