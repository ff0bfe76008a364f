"""What the emulator remembers, up to a limit: resources, opt-outs, and the ledger of what it accepted."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.twilio.model.resources import Call, Message, rfc2822


class Records[T: (Message, Call)]:
    """Resources by SID and by recipient. If there are too many, the oldest ones are forgotten."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._by_sid: dict[str, T] = {}
        self._by_to: dict[str, dict[str, T]] = {}
        self._sequence = 0
        self.evicted = 0

    def add(self, record: T) -> None:
        self._sequence += 1
        record.sequence = self._sequence
        self._by_sid[record.sid] = record
        self._by_to.setdefault(record.to, {})[record.sid] = record
        if len(self._by_sid) > self._capacity:
            self.remove(next(iter(self._by_sid.values())))
            self.evicted += 1

    def remove(self, record: T) -> None:
        self._by_sid.pop(record.sid, None)
        same = self._by_to.get(record.to, {})
        same.pop(record.sid, None)
        if not same:
            self._by_to.pop(record.to, None)

    def get(self, sid: str) -> T | None:
        return self._by_sid.get(sid)

    def newest(self, to: str | None = None) -> Iterator[T]:
        """All resources, or those to one recipient, newest first."""
        return iter(reversed((self._by_sid if to is None else self._by_to.get(to, {})).values()))

    def __len__(self) -> int:
        return len(self._by_sid)

    def clear(self) -> None:
        self._by_sid.clear()
        self._by_to.clear()
        self._sequence = self.evicted = 0


@dataclass(frozen=True, slots=True)
class LedgerEntry[T: (Message, Call)]:
    """A message or call that was accepted. The record still changes; text: its body at that time."""

    record: T
    accepted_at: datetime
    text: str | None = None


@dataclass(slots=True)
class Ledger:
    """What was really accepted, in order. A test compares the app's own record with it.

    Deleting or redacting a message changes nothing here. evicted: how many entries were forgotten because
    there were more than `capacity`.
    """

    capacity: int
    messages: dict[str, LedgerEntry[Message]] = field(default_factory=dict)
    calls: dict[str, LedgerEntry[Call]] = field(default_factory=dict)
    evicted: int = 0

    def add_message(self, message: Message) -> None:
        self.messages[message.sid] = LedgerEntry(message, message.date_created, message.body_text)
        self._bound(self.messages)

    def add_call(self, call: Call) -> None:
        self.calls[call.sid] = LedgerEntry(call, call.date_created)
        self._bound(self.calls)

    def _bound(self, entries: dict[str, Any]) -> None:
        if len(entries) > self.capacity:
            del entries[next(iter(entries))]
            self.evicted += 1

    def clear(self) -> None:
        self.messages.clear()
        self.calls.clear()
        self.evicted = 0

    def body(self) -> dict[str, Any]:
        """{messages: [...], calls: [...], evicted}; dates are ISO 8601, UTC."""
        return {
            "messages": [
                {
                    "sid": (message := entry.record).sid,
                    "to": message.to,
                    "from": message.sender,
                    "body": entry.text,
                    "messaging_service_sid": message.messaging_service_sid,
                    "accepted_at": entry.accepted_at.isoformat(),
                    "date_created": rfc2822(message.date_created),
                    "source": message.source,
                    "status": message.status,
                    "error_code": message.error_code,
                    "status_callback": message.status_callback,
                    "num_media": len(message.media),
                }
                for entry in self.messages.values()
            ],
            "calls": [
                {
                    "sid": (call := entry.record).sid,
                    "to": call.to,
                    "from": call.sender,
                    "url": call.url,
                    "twiml": call.twiml,
                    "accepted_at": entry.accepted_at.isoformat(),
                    "status": call.status,
                    "answered_by": call.answered_by,
                    "parent_call_sid": call.parent_call_sid,
                    "status_callback": call.status_callback,
                    "params": call.params,
                }
                for entry in self.calls.values()
            ],
            "evicted": self.evicted,
        }


@dataclass(slots=True)
class OptOutPairs:
    """Who has said STOP to whom: to a number or to a Messaging Service, as at Twilio."""

    pairs: set[tuple[str, str]] = field(default_factory=set)

    def add(self, person: str, senders: list[str]) -> None:
        self.pairs.update((person, sender) for sender in senders)

    def remove(self, person: str, senders: list[str]) -> None:
        self.pairs.difference_update((person, sender) for sender in senders)

    def refuses(self, person: str, sender: str) -> bool:
        return (person, sender) in self.pairs


Clock = Callable[[], datetime]
