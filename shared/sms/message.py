"""One text: an SMS, MMS or WhatsApp message, as it is kept and as the API shows it."""

import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, ClassVar, Self

from shared.delivery import keys
from shared.delivery.record import Delivery
from shared.delivery.states import shown_reports
from shared.sms.segments import segments
from shared.storage.partitions import SHARDS, shard
from shared.storage.rows import stamp


def new_id(recipient: str, due: datetime, unique: str = "") -> str:
    """A message id, 32 hexadecimal digits: shard (2), due time in ms (11), and 19 that make it unique.

    It names its own partition, and ids of one shard sort by time. With `unique` the same input gives the
    same id, which makes an insert safe to repeat.
    """
    tail = sha256(unique.encode()).hexdigest()[:19] if unique else secrets.token_hex(10)[:19]
    return f"{shard(recipient)}{keys.first_due(due)}{tail}"


def due_at(message_id: str) -> datetime:
    """When its message was first due."""
    return datetime.fromtimestamp(int(message_id[2:13], 16) / 1000, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Delivery):
    """What is known of one message.

    sender: E.164, alone or behind whatsapp:, or a Messaging Service SID; "" for the one in the settings.
    """

    what: ClassVar[str] = "message"
    needed: ClassVar[tuple[str, ...]] = ("to", "due", "created")
    shards: ClassVar[int] = SHARDS
    by_person: ClassVar[bool] = True

    body: str = field(default="", repr=False)
    media_urls: tuple[str, ...] = ()

    @classmethod
    def partition_of(cls, item_id: str) -> str:
        """The shard that an id names."""
        return item_id[:2]

    @classmethod
    def is_id(cls, text: str) -> bool:
        """Does this look like what `new_id` makes?"""
        return len(text) == 32 and all(character in "0123456789abcdef" for character in text)

    def occurrence_id(self, due: datetime) -> str:
        """In the same partition, wherever its recipient belongs by now: it is created with the claim."""
        return self.partition + new_id(self.to, due, f"{self.id}|{stamp(due)}")[2:]

    def without_person(self, name: str) -> Self:
        """It without whom it was for and what it said. name: what stands for the person."""
        return replace(self, to=name, body="", media_urls=(), reason="")

    def view(self) -> dict[str, Any]:
        """As the API shows it."""
        count, encoding = segments(self.body)
        return {
            "id": self.id,
            "state": self.state.value,
            "to": self.to,
            "body": self.body,
            "media_urls": list(self.media_urls),
            "from": self.sender or None,
            "send_at": stamp(self.due),
            "time_zone": self.time_zone or None,
            "expires_at": stamp(self.expires) if self.expires else None,
            "repeat": self.repeat or None,
            "series": self.series or None,
            "quiet_hours": self.quiet_hours or None,
            "segments": count,
            "encoding": encoding,
            "sid": self.sid or None,
            "error_code": self.code or None,
            "reason": self.reason or None,
            "price": self.price or None,
            "attempts": self.attempts,
            "reports": shown_reports(self.reports),
            "retry_at": stamp(self.retry) if self.retry else None,
            "created_at": stamp(self.created),
            "posted_at": stamp(self.posted) if self.posted else None,
            "updated_at": stamp(self.updated or self.created),
        }
