"""A message that somebody wants sent or changed: a JSON object, checked."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from shared import phone_numbers
from shared.config import Settings
from shared.delivery.states import State
from shared.errors import InvalidRequest
from shared.sms.message import Message, new_id
from shared.times import instants, quiet_hours, recurrence

MAX_BODY = 1600
MAX_MEDIA = 10
CHANGEABLE = ("to", "body", "media_urls", "send_at", "time_zone", "expires_after", "quiet_hours")
FIELDS = frozenset({*CHANGEABLE, "from", "repeat", "idempotency_key"})


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
    tz = instants.zone(zone) if zone else None
    due = now if request.get("send_at") is None else instants.send_time(request["send_at"], tz, now=now)
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
        repeat=recurrence.check_rule(repeat, due, tz or ZoneInfo("UTC")) if repeat is not None else "",
        first=due if repeat is not None else None,
        quiet_hours=quiet_hours.check_quiet_hours(quiet) if quiet is not None else "",
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
    tz = instants.zone(zone) if zone else None
    media = media_urls(request["media_urls"]) if "media_urls" in request else message.media_urls
    due = instants.send_time(request["send_at"], tz, now=now) if "send_at" in request else message.due
    expires, after = message.expires, message.expires_after
    if "expires_after" in request:
        expires, after = _expiry(request["expires_after"], due, tz)
    elif after:
        expires = due + timedelta(seconds=after)
    if expires and expires <= due:
        raise InvalidRequest("send_at", "must lie before the message expires")
    to = recipient(request["to"], settings) if "to" in request else message.to
    if not message.sender.startswith("MG") and _channel(message.sender or to) != _channel(to):
        raise InvalidRequest("to", "must be of the same channel as `from`")
    quiet = request.get("quiet_hours", message.quiet_hours)
    body = check_body(request.get("body", message.body or None), needed=not media)
    is_same = (to, body, media) == (message.to, message.body, message.media_urls)
    return replace(
        message,
        state=State.PENDING,
        to=to,
        body=body,
        media_urls=media,
        due=due,
        retry=None,
        # Nothing has left, or was counted, for another person; and a callback of another text says nothing.
        posted=message.posted if to == message.to else None,
        attempt=message.attempt if is_same else "",
        first=due if message.repeat and "send_at" in request else message.first,
        time_zone=zone,
        expires=expires,
        expires_after=after,
        quiet_hours=quiet_hours.check_quiet_hours(quiet) if quiet else "",
        reason="",
        code=0,
        updated=now,
    )


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
    expires = instants.parse(value, "expires_after", tz)
    if expires <= due:
        raise InvalidRequest("expires_after", "must lie after send_at")
    return expires, 0
