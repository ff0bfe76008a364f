"""One SMS or WhatsApp message: as asked for, as kept in its row, and as shown in JSON."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from shared import phone_numbers
from shared.config import Settings
from shared.delivery.states import State, shown_reports
from shared.errors import InvalidRequest, Malformed
from shared.sms.segments import segments
from shared.storage.rows import Row, moment, stamp
from shared.times import instants as when

SHARDS = 16
"""Partitions that the messages are spread over, by recipient: bench/scale.py says why so many."""
MAX_BODY = 1600
MAX_MEDIA = 10
CHANGEABLE = ("to", "body", "media_urls", "send_at", "time_zone", "expires_after", "quiet_hours")
FIELDS = frozenset({*CHANGEABLE, "from", "repeat", "idempotency_key"})


def shard(recipient: str) -> str:
    """The partition of all that concerns one recipient: messages, index and opt-out change as one."""
    return f"{hashlib.sha256(recipient.encode()).digest()[0] % SHARDS:02x}"


def new_id(recipient: str, due: datetime, unique: str = "") -> str:
    """A message id, 32 hexadecimal digits: shard (2), due time in ms (11), and 19 that make it unique.

    It names its own partition, and ids of one shard sort by time. With `unique` the same input gives the
    same id, which makes an insert safe to repeat.
    """
    tail = hashlib.sha256(unique.encode()).hexdigest()[:19] if unique else secrets.token_hex(10)[:19]
    return f"{shard(recipient)}{int(due.timestamp() * 1000):011x}{tail}"


def due_at(message_id: str) -> datetime:
    """When its message was first due."""
    return datetime.fromtimestamp(int(message_id[2:13], 16) / 1000, UTC)


def is_id(text: str) -> bool:
    """Does this look like what `new_id` makes?"""
    return len(text) == 32 and all(character in "0123456789abcdef" for character in text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is known of one message. Times are aware and in UTC."""

    id: str
    to: str
    body: str = field(default="", repr=False)
    due: datetime
    created: datetime
    state: State = State.PENDING
    retry: datetime | None = None
    media_urls: tuple[str, ...] = ()
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

    @property
    def partition(self) -> str:
        """The shard that its id names."""
        return self.id[:2]

    @property
    def listed(self) -> datetime:
        """When it was first due, which its id says: where its recipient's list has it."""
        return due_at(self.id)

    @property
    def next(self) -> datetime:
        """When it is looked at: its due time, or later where a send has to be repeated."""
        return self.retry or self.due

    @property
    def zone(self) -> ZoneInfo:
        """The recipient's time zone, UTC where none was given."""
        return when.zone(self.time_zone or "UTC")

    def columns(self) -> dict[str, Any]:
        """Its columns; what is empty is left out, so that a row holds only what it has."""
        values: dict[str, Any] = {}
        for name in _COLUMNS:
            value = getattr(self, name)
            if isinstance(value, datetime):
                value = stamp(value)
            elif isinstance(value, tuple):
                value = json.dumps(value) if value else ""
            elif isinstance(value, State):
                value = value.value
            if value:
                values[name] = value
        return values

    @classmethod
    def from_row(cls, row: Row) -> "Message":
        """The message in a row, whether its own or its place among what is due. Raises Malformed."""
        message_id = row.key.rpartition("|")[2]
        if not is_id(message_id):
            raise Malformed("message", "")
        for name in _NEEDED:
            if not row.values.get(name):
                raise Malformed("message", message_id, name)
        known: dict[str, Any] = {}
        for name in _COLUMNS:
            if name in row.values:
                try:
                    known[name] = _read(name, row.values[name])
                except (TypeError, ValueError):
                    raise Malformed("message", message_id, name) from None
        return cls(**known, id=message_id, etag=row.etag)

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

    def following(self, now: datetime) -> "Message | None":
        """The next of its series after both its own time and now, once; None where it does not repeat."""
        if not self.repeat or self.followed:
            return None
        first = self.first or self.due
        due = when.following(self.repeat, first, self.zone, after=max(self.due, now))
        if due is None:
            return None
        series = self.series or self.id
        # In the same partition, wherever its recipient belongs by now: it comes into being with the claim.
        unique = new_id(self.to, due, f"{self.id}|{stamp(due)}")
        return replace(
            self,
            id=self.partition + unique[2:],
            state=State.PENDING,
            due=due,
            created=now,
            series=series,
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


_COLUMNS = tuple(name for name in Message.__dataclass_fields__ if name not in ("id", "etag"))
_NEEDED = ("to", "due", "created")
_TIMES = frozenset({"due", "created", "retry", "expires", "first", "posted", "updated"})
_KINDS = {name: type(each.default) for name, each in Message.__dataclass_fields__.items()} | {"to": str}
"""What a column holds that is neither a time nor a list nor the state."""


def _read(name: str, value: Any) -> Any:
    """What stands in a column, as the message has it. Raises TypeError or ValueError."""
    if name in _TIMES:
        return moment(value) if value else None
    if name == "state":
        return State(value)
    if name == "media_urls":
        urls = json.loads(value or "[]")
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            raise TypeError(name)
        return tuple(urls)
    if type(value) is not _KINDS[name]:
        raise TypeError(name)
    return value


def parse(
    request: Mapping[str, Any], settings: Settings, *, now: datetime, unique: str = ""
) -> tuple[Message, str]:
    """A new message from a JSON object, checked; and its idempotency key, or "".

    unique: as for new_id. Raises InvalidRequest that names the first field that is wrong and what would be
    right.
    """
    for name in request:
        if name not in FIELDS:
            raise InvalidRequest(name, f"is not a field; the fields are {', '.join(sorted(FIELDS))}")
    to = recipient(request.get("to"), settings)
    media = media_urls(request.get("media_urls"))
    body = check_body(request.get("body"), needed=not media)
    zone = _optional_text(request, "time_zone")
    tz = when.zone(zone) if zone else None
    due = now if request.get("send_at") is None else when.send_time(request["send_at"], tz, now=now)
    expires, after = _expiry(request.get("expires_after"), due, tz)
    repeat = request.get("repeat")
    quiet = request.get("quiet_hours")
    key = _optional_text(request, "idempotency_key", limit=200)
    message = Message(
        id=new_id(to, due, unique),
        to=to,
        body=body,
        due=due,
        created=now,
        media_urls=media,
        sender=_sender(request.get("from"), to),
        time_zone=zone,
        expires=expires,
        expires_after=after,
        repeat=when.check_rule(repeat, due, tz or ZoneInfo("UTC")) if repeat is not None else "",
        first=due if repeat is not None else None,
        quiet_hours=when.check_quiet_hours(quiet) if quiet is not None else "",
    )
    return message, key


def edited(message: Message, request: Mapping[str, Any], settings: Settings, *, now: datetime) -> Message:
    """The message with some fields changed, each checked as at first. Raises InvalidRequest."""
    for name in request:
        if name not in CHANGEABLE:
            raise InvalidRequest(name, f"cannot be changed; what can is {', '.join(CHANGEABLE)}")
    if not request:
        raise InvalidRequest(None, f"name at least one of {', '.join(CHANGEABLE)}")
    zone = _optional_text(request, "time_zone") or message.time_zone
    tz = when.zone(zone) if zone else None
    media = media_urls(request["media_urls"]) if "media_urls" in request else message.media_urls
    due = when.send_time(request["send_at"], tz, now=now) if "send_at" in request else message.due
    expires, after = message.expires, message.expires_after
    if "expires_after" in request:
        expires, after = _expiry(request["expires_after"], due, tz)
    elif after:
        expires = due + timedelta(seconds=after)
    if expires and expires <= due:
        raise InvalidRequest("send_at", "must lie before the message expires")
    to = recipient(request["to"], settings) if "to" in request else message.to
    posted = message.posted if to == message.to else None  # nothing has left, or was counted, for another
    if not message.sender.startswith("MG") and _channel(message.sender or to) != _channel(to):
        raise InvalidRequest("to", "must be of the same channel as `from`")
    quiet = request.get("quiet_hours", message.quiet_hours)
    return replace(
        message,
        state=State.PENDING,
        to=to,
        body=check_body(request.get("body", message.body or None), needed=not media),
        media_urls=media,
        due=due,
        retry=None,
        posted=posted,
        first=due if message.repeat and "send_at" in request else message.first,
        time_zone=zone,
        expires=expires,
        expires_after=after,
        quiet_hours=when.check_quiet_hours(quiet) if quiet else "",
        reason="",
        code=0,
        updated=now,
    )


def fingerprint(request: Mapping[str, Any]) -> str:
    """The content of a request, for telling whether an idempotency key came with the same one."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def recipient(value: object, settings: Settings) -> str:
    """`to`: an allowed number in E.164, alone or behind whatsapp:."""
    if not isinstance(value, str) or not value:
        raise InvalidRequest("to", "must be a phone number in E.164, such as +12025550101")
    channel = _channel(value)
    number = phone_numbers.parse(value.removeprefix(channel), "to")
    if not phone_numbers.allowed(number, settings):
        raise InvalidRequest("to", "is in a country or range that ALLOWED_COUNTRIES does not allow")
    return channel + number


def _channel(address: str) -> str:
    return "whatsapp:" if address.startswith("whatsapp:") else ""


def check_body(value: object, *, needed: bool = True) -> str:
    """`body`: 1 to 1,600 characters, as Twilio counts them (error 21617)."""
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest("body", "must be a text of 1 to 1,600 characters")
    length = len(value.encode("utf-16-le", "surrogatepass")) // 2  # an emoji counts as two
    if length > MAX_BODY:
        raise InvalidRequest("body", f"must be at most 1,600 characters; it has {length:,}")
    return value


def media_urls(value: object) -> tuple[str, ...]:
    """`media_urls`: up to ten https URLs, which Twilio fetches."""
    if value is None:
        return ()
    if not isinstance(value, list) or not 0 < len(value) <= MAX_MEDIA:
        raise InvalidRequest("media_urls", "must be a list of 1 to 10 https URLs")
    for url in value:
        if not isinstance(url, str) or not url.startswith("https://") or len(url) > 2048:
            raise InvalidRequest("media_urls", "must be a list of 1 to 10 https URLs")
    return tuple(value)


def _sender(value: object, to: str) -> str:
    if value is None:
        return ""
    right = "must be one of your Twilio numbers in E.164, or a Messaging Service SID (MG...)"
    if not isinstance(value, str):
        raise InvalidRequest("from", right)
    if value.startswith("MG") and len(value) == 34:
        return value
    channel = _channel(value)
    if channel != _channel(to):
        raise InvalidRequest("from", "must be of the same channel as `to`")
    try:
        return channel + phone_numbers.parse(value.removeprefix(channel), "from")
    except InvalidRequest as exc:
        raise InvalidRequest("from", right) from exc


def _optional_text(request: Mapping[str, Any], name: str, limit: int = 100) -> str:
    value = request.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise InvalidRequest(name, f"must be a text of 1 to {limit} characters")
    return value


def _expiry(value: object, due: datetime, tz: ZoneInfo | None) -> tuple[datetime | None, int]:
    """`expires_after`: a time as `send_at` has it, or seconds after it (kept for each of a series)."""
    if value is None:
        return None, 0
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 < value <= 366 * 86400:
            raise InvalidRequest("expires_after", "must be 1 to 31,622,400 seconds after send_at")
        return due + timedelta(seconds=value), value
    expires = when.parse(value, "expires_after", tz)
    if expires <= due:
        raise InvalidRequest("expires_after", "must lie after send_at")
    return expires, 0
