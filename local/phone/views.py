"""What the server sends to a page, as JSON: calls, events on them, webhook requests and texts."""

from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from local.twilio.carrier.exchange.events import (
    Answered,
    Event,
    Noted,
    RecordingCompleted,
    Requested,
    TwimlGiven,
)
from local.twilio.carrier.exchange.leg import Leg
from local.twilio.carrier.webhooks import Delivery
from local.twilio.model.errors import Notice
from local.twilio.model.resources import Message


def call(leg: Leg, epoch: datetime) -> dict[str, Any]:
    """One leg, as the person at its handset sees it. Times are in RFC 3339."""
    inbound = leg.direction == "inbound"
    peer = leg.peer
    return {
        "sid": leg.sid,
        "party": leg.party,
        "other": leg.to if inbound else leg.from_,
        "direction": leg.direction,
        "status": leg.status,
        "answered_at": None if leg.answered_at is None else _time(epoch, leg.answered_at),
        "connected_to": peer.party if peer else None,
        "is_over": leg.is_over,
    }


def event(happened: Event, epoch: datetime) -> dict[str, Any] | None:
    """One event with its fields and its transcript line; None if the requests panel shows it instead."""
    if isinstance(happened, (Requested, Answered, RecordingCompleted, TwimlGiven)):
        return None
    shown = {
        each.name: getattr(happened, each.name)
        for each in fields(happened)
        if each.name not in {"at", "call_sid", "notice"}
    }
    if isinstance(happened, Noted):
        shown |= notice(happened.notice)
    return {
        "kind": type(happened).__name__,
        "at": _time(epoch, happened.at),
        "call": happened.call_sid,
        "line": str(happened).strip(),
        **shown,
    }


def notice(noted: Notice) -> dict[str, Any]:
    return {"code": noted.code, "is_error": noted.is_error, "text": str(noted)}


def request(delivery: Delivery, notices: tuple[Notice, ...]) -> dict[str, Any]:
    """A webhook request with its signature, its answer and the notices about it."""
    return {**delivery.as_json(), "notices": [notice(each) for each in notices]}


def text(message: Message) -> dict[str, Any]:
    """A message in a person's thread. is_mine: whether the person sent it."""
    inbound = message.direction == "inbound"
    return {
        "sid": message.sid,
        "person": message.sender if inbound else message.to,
        "other": message.to if inbound else message.sender or message.messaging_service_sid,
        "is_mine": inbound,
        "body": message.body_text,
        "media": [each.url for each in message.media],
        "status": message.status,
        "error_code": message.error_code,
        "at": message.date_created.isoformat(),
    }


def _time(epoch: datetime, seconds: float) -> str:
    return (epoch + timedelta(seconds=seconds)).isoformat()
