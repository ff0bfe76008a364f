"""Queue resources, and the calls that wait in each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.twilio.model.resources import API_VERSION, rfc2822

_FIRST = 10**6
"""Sequence numbers fall along a list. Members are listed from the front, so they count down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A call that waits. position: 1 for the next one. wait: seconds."""

    call_sid: str
    queue_uri: str
    queue_sid: str
    joined: datetime
    position: int
    wait: int

    @property
    def sequence(self) -> int:
        return _FIRST - self.position

    def body(self) -> dict[str, Any]:
        return {
            "call_sid": self.call_sid,
            "queue_sid": self.queue_sid,
            "date_enqueued": rfc2822(self.joined),
            "position": self.position,
            "wait_time": self.wait,
            "uri": f"{self.queue_uri}/Members/{self.call_sid}.json",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A Queue resource. average: how long its members have waited so far, in seconds."""

    sid: str
    sequence: int
    account_sid: str
    name: str
    max_size: int
    made: datetime
    average: int
    members: tuple[Member, ...]

    def body(self) -> dict[str, Any]:
        uri = queue_uri(self.account_sid, self.sid)
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "friendly_name": self.name,
            "current_size": len(self.members),
            "max_size": self.max_size,
            "average_wait_time": self.average,
            "date_created": rfc2822(self.made),
            "date_updated": rfc2822(self.made),
            "uri": f"{uri}.json",
            "subresource_uris": {"members": f"{uri}/Members.json"},
        }


def queue_uri(account_sid: str, sid: str) -> str:
    return f"/{API_VERSION}/Accounts/{account_sid}/Queues/{sid}"
