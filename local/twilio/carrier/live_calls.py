"""The calls of the emulator: it runs the exchange in real time, and makes the requests that follow.

The exchange decides what happens next. The backend has the records of calls, signs requests and draws faults.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable

from local.twilio.carrier.auto_answer import AutoAnswer
from local.twilio.carrier.backend import Backend
from local.twilio.carrier.call_records import CallRecords, queue_resources
from local.twilio.carrier.exchange.events import (
    Answered,
    Dialing,
    Ended,
    Event,
    Requested,
)
from local.twilio.carrier.exchange.exchange import Exchange
from local.twilio.carrier.exchange.leg import Leg
from local.twilio.carrier.exchange.ringing import TwimlScript
from local.twilio.carrier.exchange.web_requests import Answer, NoResponse, Target, WebRequest, WebResponse
from local.twilio.carrier.messaging import Messaging
from local.twilio.carrier.requested_calls import incoming_call, outgoing_call
from local.twilio.carrier.webhooks import Delivery, Webhook
from local.twilio.model.errors import Notice
from local.twilio.model.queues import Queue
from local.twilio.model.resources import CALL_ENDED, Call, Inbound

log = logging.getLogger("local.twilio")

_KINDS = {
    "status callback": "call-status",
    "recording status callback": "recording-status",
    "AMD status callback": "amd-status",
    "transcribe callback": "transcription",
}


class LiveCalls:
    """The calls of the emulator. The backend must be open before a call begins.

    handsets: how many pages have the handset of each address open. If none has, a robot answers.
    listeners: get every event on a call. on_clear: called after all calls were forgotten.
    notices: what is wrong with the answer to a webhook, by the number of its delivery.
    """

    def __init__(self, backend: Backend, messaging: Messaging, twiml: TwimlScript, tempo: float) -> None:
        self._backend = backend
        self._records = CallRecords(backend, messaging)
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
        for sid in list(self._first):
            self._release_first(sid, None)
        for memory in (self.notices, self._unsent, self._delivered, self._up, self._robots.held):
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
        self._release_first(request.call_sid, delivery)
        if delivery.status is None:
            return NoResponse(delivery.error_code or 11200, delivery.error or "no answer")
        return WebResponse(delivery.status, delivery.content_type, delivery.body.encode())

    def _release_first(self, sid: str, delivery: Delivery | None) -> None:
        """Let `receive` return. delivery: of the call's first document, if it came."""
        first = self._first.pop(sid, None)
        if first is not None and not first.done():
            first.set_result(delivery)

    # What happens on the exchange

    def _happened(self, event: Event) -> None:
        match event:
            case Requested():
                self._unsent.append(event.request)
            case Answered():
                self._keep_notices(event)
            case Dialing():
                self._up.update(event.legs)
        call = self._backend.calls.get(event.call_sid)
        if call is not None:  # else REST deleted it, or there were too many
            self._records.update(self.exchange, call, event)
            self._robots.notice(event, call)
        if isinstance(event, Ended):
            self._over(event.call_sid)
        for listener in self.listeners:
            listener(event)

    def _keep_notices(self, event: Answered) -> None:
        number = self._delivered.pop(event.request.id, None)
        if number is not None and event.notices:
            self.notices[number] = event.notices
            if len(self.notices) > self._backend.options.deliveries_kept:
                del self.notices[next(iter(self.notices))]

    def _over(self, sid: str) -> None:
        self._up.discard(sid)
        self._release_first(sid, None)
        legs = self.exchange.legs
        while len(legs) > self._backend.options.capacity:
            oldest = next(iter(legs.values()))
            if not oldest.is_over:
                return
            del legs[oldest.sid]

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
        return queue_resources(self.exchange, self._backend.account.sid)


def _webhook(request: WebRequest) -> Webhook:
    return Webhook(
        kind=_KINDS.get(request.purpose, "voice"),
        sid=request.call_sid,
        url=request.target,
        method=request.method,
        params=dict(request.params),
    )
