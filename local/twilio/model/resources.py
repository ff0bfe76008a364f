"""The resources that Twilio keeps: messages, media and calls, and their JSON."""

import functools
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Literal

from local.twilio.model.addresses import formatted_name
from local.twilio.model.errors import meaning

API_VERSION = "2010-04-01"

MessageStatus = Literal[
    "accepted", "scheduled", "queued", "sending", "sent", "delivered", "undelivered", "failed", "canceled",
    "receiving", "received", "read",
]  # fmt: skip
CallStatus = Literal[
    "queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"
]  # fmt: skip
Source = Literal["api", "reply", "automatic", "inbound", "call"]

MESSAGE_ENDED = frozenset({"delivered", "undelivered", "failed", "canceled", "received", "read"})
CALL_ENDED = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def rfc2822(moment: datetime | None) -> str | None:
    """`Fri, 24 May 2019 17:44:46 +0000`, as Twilio writes dates; None stays None."""
    return None if moment is None else _rfc2822(moment.replace(microsecond=0))


@functools.lru_cache(maxsize=256)
def _rfc2822(moment: datetime) -> str:
    return format_datetime(moment)


def mask(number: str | None) -> str:
    """A number for a log line: its last two digits, by which a reader can tell the people of a test apart."""
    return "-" if not number else "•••" + number[-2:]


@dataclass(slots=True)
class Media:
    """A picture or file of a message. url: where its sender had it, as an http, https or data URL."""

    sid: str
    message_sid: str
    account_sid: str
    url: str
    content_type: str
    date_created: datetime
    sequence: int = 0

    @property
    def path(self) -> str:
        base = f"/{API_VERSION}/Accounts/{self.account_sid}"
        return f"{base}/Messages/{self.message_sid}/Media/{self.sid}"

    def body(self) -> dict[str, Any]:
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "parent_sid": self.message_sid,
            "content_type": self.content_type,
            "date_created": rfc2822(self.date_created),
            "date_updated": rfc2822(self.date_created),
            "uri": f"{self.path}.json",
        }


@dataclass(slots=True, kw_only=True)
class Message:
    """A Message resource. segments: what is billed; Twilio shows it as soon as the sender is known."""

    sid: str
    account_sid: str
    to: str
    sender: str | None
    body_text: str
    direction: str
    status: MessageStatus
    date_created: datetime
    date_updated: datetime
    segments: int
    source: Source
    sequence: int = 0
    date_sent: datetime | None = None
    price: str | None = None
    error_code: int | None = None
    messaging_service_sid: str | None = None
    status_callback: str | None = None
    media: list[Media] = field(default_factory=list)
    send_at: datetime | None = None
    ends: tuple[MessageStatus, int | None] = ("delivered", None)

    @property
    def uri(self) -> str:
        return f"/{API_VERSION}/Accounts/{self.account_sid}/Messages/{self.sid}.json"

    def body(self) -> dict[str, Any]:
        unrouted = self.messaging_service_sid is not None and self.sender is None
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "api_version": API_VERSION,
            "messaging_service_sid": self.messaging_service_sid,
            "from": self.sender,
            "to": self.to,
            "body": self.body_text,
            "status": self.status,
            "direction": self.direction,
            "num_segments": "0" if unrouted else str(self.segments),
            "num_media": str(len(self.media)),
            "price": self.price,
            "price_unit": "USD",
            "error_code": self.error_code,
            "error_message": None if self.error_code is None else meaning(self.error_code),
            "date_created": rfc2822(self.date_created),
            "date_updated": rfc2822(self.date_updated),
            "date_sent": rfc2822(self.date_sent),
            "uri": self.uri,
            "subresource_uris": {"media": f"{self.uri.removesuffix('.json')}/Media.json"},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedDocument:
    """TwiML that a call got. url: where it came from; None if REST gave the TwiML itself."""

    url: str | None
    method: str = "POST"
    status: int | None = None
    twiml: str | None = None
    error: str | None = None


@dataclass(slots=True, kw_only=True)
class Call:
    """A Call resource. params: what its creator asked for. documents: the TwiML that it got, in order.

    duration: seconds from the answer to the end. ends: how a robot is to answer, and what detection finds.
    """

    sid: str
    account_sid: str
    to: str
    sender: str
    direction: str
    status: CallStatus
    date_created: datetime
    date_updated: datetime
    sequence: int = 0
    parent_call_sid: str | None = None
    phone_number_sid: str | None = None
    start_time: datetime | None = None
    answer_time: datetime | None = None
    end_time: datetime | None = None
    duration: int = 0
    price: str | None = None
    answered_by: str | None = None
    url: str | None = None
    method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str = "POST"
    twiml: str | None = None
    application_sid: str | None = None
    status_callback: str | None = None
    status_callback_method: str = "POST"
    status_callback_events: frozenset[str] = frozenset({"completed"})
    timeout: float = 60
    time_limit: float = 14_400
    params: dict[str, list[str]] = field(default_factory=dict)
    documents: list[FetchedDocument] = field(default_factory=list)
    recording_sids: list[str] = field(default_factory=list)
    ends: tuple[str, str | None] = ("answered", None)

    @property
    def uri(self) -> str:
        return f"/{API_VERSION}/Accounts/{self.account_sid}/Calls/{self.sid}.json"

    def body(self) -> dict[str, Any]:
        path = self.uri.removesuffix(".json")
        parts = ("notifications", "recordings", "payments", "events", "siprec", "streams", "transcriptions",
                 "user_defined_message_subscriptions", "user_defined_messages")  # fmt: skip
        return {
            "sid": self.sid,
            "date_created": rfc2822(self.date_created),
            "date_updated": rfc2822(self.date_updated),
            "parent_call_sid": self.parent_call_sid,
            "account_sid": self.account_sid,
            "to": self.to,
            "to_formatted": formatted_name(self.to),
            "from": self.sender,
            "from_formatted": formatted_name(self.sender),
            "phone_number_sid": self.phone_number_sid,
            "status": self.status,
            "start_time": rfc2822(self.start_time),
            "end_time": rfc2822(self.end_time),
            "duration": str(self.duration) if self.status in CALL_ENDED else None,
            "price": self.price,
            "price_unit": "USD",
            "direction": self.direction,
            "answered_by": self.answered_by,
            "api_version": API_VERSION,
            "forwarded_from": None,
            "group_sid": None,
            "caller_name": None,
            "queue_time": "0",
            "trunk_sid": None,
            "annotation": None,
            "uri": self.uri,
            "subresource_uris": {part: f"{path}/{_camel(part)}.json" for part in parts},
        }


@dataclass(slots=True)
class Inbound:
    """What became of an inbound text or call.

    status and twiml: the answer of the last webhook. replies: SIDs of the texts that were sent back.
    """

    sid: str
    status: int | None = None
    twiml: str = ""
    replies: list[str] = field(default_factory=list)
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "sid": self.sid,
            "status": self.status,
            "twiml": self.twiml,
            "replies": self.replies,
            "error": self.error,
        }


@functools.cache
def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
