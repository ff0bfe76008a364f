"""Keeps the records of calls up to date with what happens on the exchange."""

import logging
from datetime import timedelta
from typing import get_args

from local.twilio.carrier.backend import Backend
from local.twilio.carrier.exchange.events import (
    Answered,
    Dialing,
    Ended,
    Event,
    Noted,
    RecordingCompleted,
    StatusChanged,
    Texted,
    TwimlGiven,
)
from local.twilio.carrier.exchange.exchange import Exchange
from local.twilio.carrier.exchange.web_requests import Answer, NoResponse, WebRequest
from local.twilio.carrier.messaging import Messaging
from local.twilio.model.errors import ApiError
from local.twilio.model.queues import Member, Queue, queue_uri
from local.twilio.model.recordings import Recording
from local.twilio.model.resources import Call, CallStatus, FetchedDocument

log = logging.getLogger("local.twilio")

_PRICE_PER_MINUTE = 0.014
_STATUSES: dict[str, CallStatus] = {status: status for status in get_args(CallStatus)}


class CallRecords:
    """Writes what happens on a call into its record, and adds recordings, texts and child calls."""

    def __init__(self, backend: Backend, messaging: Messaging) -> None:
        self._backend = backend
        self._messaging = messaging

    def update(self, exchange: Exchange, call: Call, event: Event) -> None:
        """Write one event on the call into its record."""
        leg = exchange.legs.get(call.sid)
        if leg is not None:
            call.answered_by = leg.answered_by
        match event:
            case StatusChanged():
                self._enter(call, event.status)
            case Ended():
                self._end(call, event)
            case Answered():
                self._answered(call, event)
            case TwimlGiven():
                call.documents.append(FetchedDocument(url=None, twiml=event.twiml))
            case Noted():
                self._backend.alert(event.notice.code, call.sid, event.notice.detail)
            case Texted():
                self._text(call, event)
            case Dialing():
                self._add_children(exchange, call, event)
            case RecordingCompleted():
                self._add_recording(exchange, call, event.recording_sid)
            case _:
                return
        self._backend.changed()

    def _enter(self, call: Call, status: str) -> None:
        now = self._backend.clock()
        call.start_time = call.start_time or now
        call.date_updated = now
        if status == "initiated":  # for the REST API the call is still queued
            return
        log.info("call %s %s -> %s", call.sid, call.status, status)
        call.status = _STATUSES[status]
        if status == "in-progress":
            call.answer_time = now

    def _end(self, call: Call, event: Ended) -> None:
        log.info("call %s %s -> %s", call.sid, call.status, event.status)
        call.end_time = call.date_updated = self._backend.clock()
        call.status = _STATUSES[event.status]
        call.duration = event.seconds
        if call.answer_time is not None:
            call.price = f"-{_PRICE_PER_MINUTE * -(-call.duration // 60):.5f}"

    def _answered(self, call: Call, event: Answered) -> None:
        for notice in event.notices:
            self._backend.alert(notice.code, call.sid, notice.detail)
        if event.request.wants_twiml:
            call.documents.append(_document(event.request, event.answer))

    def _text(self, call: Call, event: Texted) -> None:
        try:
            self._messaging.reply(
                event.body, [], to=event.to, sender=event.sender, callback=None, source="call"
            )
        except ApiError as exc:
            self._backend.alert(exc.code, call.sid, exc.message)

    def _add_children(self, exchange: Exchange, call: Call, event: Dialing) -> None:
        """Each leg that a call dials has a record of its own."""
        for sid, to in zip(event.legs, event.to, strict=True):
            child = self._backend.new_call(to, exchange.legs[sid].from_, "outbound-dial")
            child.sid = sid
            child.parent_call_sid = call.sid
            self._backend.keep_call(child)

    def _add_recording(self, exchange: Exchange, call: Call, sid: str) -> None:
        made = exchange.recordings[sid]
        call.recording_sids.append(sid)
        self._backend.recordings.add(
            Recording(
                sid=sid,
                account_sid=call.account_sid,
                call_sid=made.call_sid,
                conference_sid=made.conference_sid,
                duration=made.seconds,
                channels=made.channels,
                source=made.source,
                started=exchange.epoch + timedelta(seconds=made.started_at),
                origin=self._backend.base_url,
            )
        )


def _document(request: WebRequest, answer: Answer) -> FetchedDocument:
    if isinstance(answer, NoResponse):
        return FetchedDocument(url=request.url, method=request.method, error=answer.reason)
    is_ok = 200 <= answer.status < 300
    twiml = answer.body.decode(errors="replace") if is_ok else None
    return FetchedDocument(url=request.url, method=request.method, status=answer.status, twiml=twiml)


def queue_resources(exchange: Exchange, account_sid: str) -> list[Queue]:
    """The queues of the exchange, the newest first."""
    return [
        Queue(
            sid=each.sid,
            sequence=number,
            account_sid=account_sid,
            name=each.name,
            max_size=each.max_size,
            made=exchange.epoch,
            average=each.average_time(exchange.now),
            members=tuple(
                Member(
                    call_sid=waiter.call.sid,
                    queue_sid=each.sid,
                    queue_uri=queue_uri(account_sid, each.sid),
                    joined=exchange.epoch + timedelta(seconds=waiter.joined_at),
                    position=position,
                    wait=waiter.seconds(exchange.now),
                )
                for position, waiter in enumerate(each.members, start=1)
            ),
        )
        for number, each in reversed(list(enumerate(exchange.queues.values(), start=1)))
    ]
