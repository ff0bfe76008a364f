"""The calls of the emulator: the exchange, run in real time, and the records that show what happens on it.

The exchange decides what happens next. The records, the signed requests and the faults are the emulator's.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import get_args

from local.twilio.carrier.auto_answer import AutoAnswer
from local.twilio.carrier.backend import Backend
from local.twilio.carrier.exchange.events import (
    Answered,
    Dialing,
    Ended,
    Event,
    Noted,
    RecordingCompleted,
    Requested,
    StatusChanged,
    Texted,
    TwimlGiven,
)
from local.twilio.carrier.exchange.exchange import Exchange
from local.twilio.carrier.exchange.leg import Leg
from local.twilio.carrier.exchange.ringing import TwimlScript
from local.twilio.carrier.exchange.web_requests import Answer, NoResponse, Target, WebRequest, WebResponse
from local.twilio.carrier.messaging import Messaging
from local.twilio.carrier.requested_calls import incoming_call, outgoing_call
from local.twilio.carrier.webhooks import Delivery, Webhook
from local.twilio.model.errors import ApiError, Notice
from local.twilio.model.queues import Member, Queue, queue_uri
from local.twilio.model.recordings import Recording
from local.twilio.model.resources import CALL_ENDED, Call, CallStatus, FetchedDocument, Inbound

log = logging.getLogger("local.twilio")

_PRICE_PER_MINUTE = 0.014
_STATUSES: dict[str, CallStatus] = {status: status for status in get_args(CallStatus)}
_KINDS = {
    "status callback": "call-status",
    "recording status callback": "recording-status",
    "AMD status callback": "amd-status",
    "transcribe callback": "transcription",
}


class LiveCalls:
    """The calls of the emulator. The backend must be open before a call begins.

    handsets: how many pages have the handset of each address open. Where nobody has, a robot answers.
    listeners: get every event on a call. on_clear: called after all calls were forgotten.
    notices: what is wrong with the answer to a webhook, by the number of its delivery.
    """

    def __init__(self, backend: Backend, messaging: Messaging, twiml: TwimlScript, tempo: float) -> None:
        self._backend = backend
        self._messaging = messaging
        self._twiml = twiml
        self._tempo = tempo
        self.handsets: Counter[str] = Counter()
        self.listeners: list[Callable[[Event], None]] = []
        self.on_clear: Callable[[], None] = lambda: None
        self.notices: dict[int, tuple[Notice, ...]] = {}
        self._robots = AutoAnswer(backend, self.handsets, self.act)
        self._unsent: list[WebRequest] = []
        self._delivered: dict[int, int] = {}
        self._first: dict[str, asyncio.Future[Delivery | None]] = {}
        self._up: set[str] = set()
        self._idle: asyncio.Event | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self.clear()

    # The exchange in real time

    def clear(self) -> None:
        """Forget every call: a new exchange."""
        if self._alarm:
            self._alarm.cancel()
        self.exchange = Exchange(
            self._twiml, account_sid=self._backend.options.account_sid, epoch=self._backend.clock()
        )
        self.exchange.tempo = self._tempo
        self.exchange.on_failure = self._failed
        self.exchange.listeners.append(self._happened)
        self._began = time.monotonic()
        for waiting in self._first.values():
            waiting.set_result(None)
        for memory in (self.notices, self._unsent, self._delivered, self._first, self._up, self._robots.held):
            memory.clear()
        self._idle = None
        self.on_clear()

    def catch_up(self) -> Exchange:
        """The exchange, with its clock set to now.

        Nothing moves the clock while no timer is due. An action on a clock that is late would count from
        that earlier time.
        """
        self.exchange.advance(time.monotonic() - self._began)
        return self.exchange

    def act(self, action: Callable[[Exchange], object]) -> None:
        """Do something on the exchange now, and make the requests that follow from it."""
        action(self.catch_up())
        self._pump()

    def _pump(self) -> None:
        """Go on to now, make the requests that are due, and come back when the next timer falls due."""
        exchange = self.catch_up()
        exchange.api_base = self._backend.base_url
        exchange.numbers = frozenset(each.phone_number for each in self._backend.account.numbers.values())
        while self._unsent:
            requests, self._unsent = self._unsent, []
            for request in requests:
                if request.purpose == "status callback":
                    self._report(exchange, request)
                else:
                    self._backend.background.spawn(self._make(exchange, request))
        self._tell_whether_idle()
        if self._alarm:
            self._alarm.cancel()
        due = exchange.next_timer()
        if due is not None:
            wait = max(due - exchange.now, 0.0)
            self._alarm = asyncio.get_running_loop().call_later(wait, self._pump)

    def _tell_whether_idle(self) -> None:
        """Have `settled` wait while a call is up, or a report of the exchange is still to come."""
        is_busy = bool(self._up or self.exchange.upcoming)
        if is_busy and self._idle is None:
            self._idle = asyncio.Event()
            self._backend.background.spawn(self._idle.wait())
        elif not is_busy and self._idle is not None:
            self._idle.set()
            self._idle = None

    # Requests to the application

    def _report(self, exchange: Exchange, request: WebRequest) -> None:
        """Queue a status callback. The faults decide whether and when it is sent."""
        webhook = _webhook(request)
        self._backend.callbacks.add(webhook, last=webhook.params["CallStatus"] in CALL_ENDED)
        exchange.answered(request.id, WebResponse(204, "", b""))

    async def _make(self, exchange: Exchange, request: WebRequest) -> None:
        answer = await self._send(request)
        if exchange is self.exchange and request.id in exchange.outbox:
            self.act(lambda exchange: exchange.answered(request.id, answer))

    async def _send(self, request: WebRequest) -> Answer:
        delivery = await self._backend.webhooks.send(_webhook(request))
        self._delivered[request.id] = delivery.number
        first = self._first.pop(request.call_sid, None)
        if first is not None:
            first.set_result(delivery)
        if delivery.status is None:
            return NoResponse(delivery.error_code or 11200, delivery.error or "no answer")
        return WebResponse(delivery.status, delivery.content_type, delivery.body.encode())

    # From the exchange to the records

    def _happened(self, event: Event) -> None:
        if isinstance(event, Requested):
            self._unsent.append(event.request)
        call = self._backend.calls.get(event.call_sid)
        if call is not None:  # else REST deleted it, or there were too many
            self._record(call, event)
            self._robots.notice(event, call)
        for listener in self.listeners:
            listener(event)

    def _record(self, call: Call, event: Event) -> None:
        leg = self.exchange.legs.get(call.sid)
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
                self._dialed(call, event)
            case RecordingCompleted():
                self._keep_recording(call, event.recording_sid)
            case _:
                return
        self._backend.changed()

    def _enter(self, call: Call, status: str) -> None:
        now = self._backend.clock()
        call.start_time = call.start_time or now
        call.date_updated = now
        if status == "initiated":
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
        self._up.discard(call.sid)
        first = self._first.pop(call.sid, None)
        if first is not None:
            first.set_result(None)
        self._forget_the_oldest()

    def _forget_the_oldest(self) -> None:
        legs = self.exchange.legs
        while len(legs) > self._backend.options.capacity:
            oldest = next(iter(legs.values()))
            if not oldest.is_over:
                return
            del legs[oldest.sid]

    def _answered(self, call: Call, event: Answered) -> None:
        number = self._delivered.pop(event.request.id, None)
        if number is not None and event.notices:
            self.notices[number] = event.notices
            if len(self.notices) > self._backend.options.deliveries_kept:
                del self.notices[next(iter(self.notices))]
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

    def _dialed(self, call: Call, event: Dialing) -> None:
        """Each leg that a call dials has a record of its own."""
        for sid, to in zip(event.legs, event.to, strict=True):
            leg = self.exchange.legs[sid]
            child = self._backend.new_call(to, leg.from_, "outbound-dial")
            child.sid = sid
            child.parent_call_sid = call.sid
            self._backend.keep_call(child)
            self._begin(leg)

    def _keep_recording(self, call: Call, sid: str) -> None:
        made = self.exchange.recordings[sid]
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
                started=self.exchange.epoch + timedelta(seconds=made.started_at),
                origin=self._backend.base_url,
            )
        )

    def _failed(self, leg: Leg, error: Exception) -> None:
        """A script raised: the call must not stay up without it."""
        log.error("%s on call %s", type(error).__name__, leg.sid, exc_info=error)
        self.exchange.end(leg, "completed" if leg.is_answered else "failed", by="Twilio")

    # What the emulator does with calls

    def _begin(self, leg: Leg) -> None:
        if not leg.is_over:
            self._up.add(leg.sid)

    def _place(self, call: Call, wait: float) -> None:
        self._begin(self.catch_up().call_out(outgoing_call(call, wait), sid=call.sid))
        self._pump()

    def start(self, call: Call) -> None:
        """Let an outbound call ring, one step after it was queued."""
        if call.sid in self.exchange.legs:
            self._robots.release(call)  # it was hurried, and rings
        else:
            self._place(call, self._backend.pace.step)

    async def hurry(self, call: Call) -> None:
        """Let it ring at once, and wait a little for the callbacks: they come before the POST's answer.

        Nobody answers it before `start`.
        """
        self._robots.held.add(call.sid)
        self._place(call, 0.0)
        await self._backend.callbacks.sent(call.sid, 2)

    async def receive(self, call: Call) -> Inbound:
        """Somebody calls one of our numbers. Returns when the first document has come."""
        result = Inbound(call.sid)
        if not call.url:
            result.error = "the number has no voice URL"
            call.status = "failed"
            call.end_time = call.date_updated = self._backend.clock()
            self._backend.changed()
            return result
        first = self._first[call.sid] = asyncio.get_running_loop().create_future()
        self._begin(self.catch_up().call_in(incoming_call(call), sid=call.sid))
        self._pump()
        delivery = await first
        if delivery is None:
            result.error = "the call ended before its first document came"
            return result
        result.status, result.twiml = delivery.status, delivery.body
        if not delivery.ok:
            result.error = f"{delivery.error_code}: {delivery.error or f'HTTP {delivery.status}'}"
        return result

    def is_up(self, call: Call) -> bool:
        return call.sid in self._up

    def redirect(self, call: Call, target: Target) -> None:
        """Give a call that is up other TwiML."""
        self.act(lambda exchange: exchange.redirect(exchange.legs[call.sid], target))

    def hang_up(self, call: Call) -> None:
        """End a call that is up."""
        self.act(lambda exchange: exchange.complete(exchange.legs[call.sid]))

    def limit(self, call: Call, seconds: int) -> None:
        """Set the time limit of a call that is up. It counts from the answer."""
        call.time_limit = seconds
        self.act(lambda exchange: exchange.limit(exchange.legs[call.sid], seconds))

    def queues(self) -> list[Queue]:
        """The queues that calls were put into, the newest first."""
        self._pump()
        exchange, account = self.exchange, self._backend.account.sid
        return [
            Queue(
                sid=each.sid,
                sequence=number,
                account_sid=account,
                name=each.name,
                max_size=each.max_size,
                made=exchange.epoch,
                average=each.average_time(exchange.now),
                members=tuple(
                    Member(
                        call_sid=waiter.call.sid,
                        queue_sid=each.sid,
                        queue_uri=queue_uri(account, each.sid),
                        joined=exchange.epoch + timedelta(seconds=waiter.joined_at),
                        position=position,
                        wait=waiter.seconds(exchange.now),
                    )
                    for position, waiter in enumerate(each.members, start=1)
                ),
            )
            for number, each in reversed(list(enumerate(exchange.queues.values(), start=1)))
        ]


def _webhook(request: WebRequest) -> Webhook:
    return Webhook(
        kind=_KINDS.get(request.purpose, "voice"),
        sid=request.call_sid,
        url=request.target,
        method=request.method,
        params=dict(request.params),
    )


def _document(request: WebRequest, answer: Answer) -> FetchedDocument:
    if isinstance(answer, NoResponse):
        return FetchedDocument(url=request.url, method=request.method, error=answer.reason)
    is_ok = 200 <= answer.status < 300
    twiml = answer.body.decode(errors="replace") if is_ok else None
    return FetchedDocument(url=request.url, method=request.method, status=answer.status, twiml=twiml)
