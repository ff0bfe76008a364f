"""The exchange in the emulator's world: its calls are walked in real time, with people or robots on the line.

A Carrier (see carrier.legs) in the place of the emulator's own. The emulator keeps the records, signs
and makes the requests, and draws the faults; the exchange decides what happens next.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, get_args

from local.phone.twiml.notices import Notice
from local.twilio.carrier.auto_answer import Robots
from local.twilio.carrier.exchange.events import (
    Answered,
    Dialing,
    Ended,
    Event,
    Noted,
    RecordingKept,
    StatusChanged,
    Texted,
)
from local.twilio.carrier.exchange.exchange import Exchange
from local.twilio.carrier.exchange.leg import Call as Leg
from local.twilio.carrier.exchange.leg import MachineDetection, RecordingRequest, StatusCallback
from local.twilio.carrier.exchange.web_requests import Answer, NoResponse, Target, WebRequest, WebResponse
from local.twilio.carrier.inbound_sms import Inbound
from local.twilio.carrier.legs import Redirect
from local.twilio.carrier.webhooks import Delivery, Webhook
from local.twilio.model.errors import ApiError
from local.twilio.model.queues import Member, Queue, queue_uri
from local.twilio.model.recordings import Recording
from local.twilio.model.resources import CALL_ENDED, Call, CallStatus, Document

if TYPE_CHECKING:
    from local.twilio.simulator import Core

_PRICE_PER_MINUTE = 0.014
_KINDS = {
    "status callback": "call-status",
    "recording status callback": "recording-status",
    "AMD status callback": "amd-status",
    "transcribe callback": "transcription",
}


class Office:
    """Carries the emulator's calls. `core` must be open before a call begins.

    handsets: how many pages hold each address open. An address that nobody holds is a robot's. tempo: see
    World.
    """

    def __init__(self, core: "Core", tempo: float = 1.0) -> None:
        self.core = core
        self.tempo = tempo
        self.handsets: Counter[str] = Counter()
        self._robots = Robots(self)
        self.listeners: list[Callable[[Event], None]] = []
        self.on_clear: Callable[[], None] = lambda: None
        self.notices: dict[int, tuple[Notice, ...]] = {}
        self._delivered: dict[int, int] = {}
        self._over: dict[str, asyncio.Event] = {}
        self._first: dict[str, asyncio.Future[Delivery]] = {}
        self._under_way: set[int] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self.clear()

    # The exchange, run in real time

    def clear(self) -> None:
        """A new exchange, with no call."""
        if self._alarm:
            self._alarm.cancel()
        self.exchange = Exchange(account_sid=self.core.options.account_sid, epoch=self.core.clock())
        self.exchange.tempo = self.tempo
        self.exchange.listeners.append(self._happened)
        self._began = time.monotonic()
        for memory in (self.notices, self._delivered, self._over, self._first, self._under_way):
            memory.clear()
        self.on_clear()

    def catch_up(self) -> Exchange:
        """The exchange with its clock at now: before anything is done to it, or that would count from then.

        Nothing moves the clock while nobody is on the line.
        """
        self.exchange.advance(time.monotonic() - self._began)
        return self.exchange

    def queues(self) -> list[Queue]:
        """The queues that calls were put into, the newest first."""
        self.pump()
        now, account = self.exchange.now, self.core.account.sid
        return [
            Queue(
                sid=each.sid,
                sequence=number,
                account_sid=account,
                name=each.name,
                max_size=each.max_size,
                made=self.exchange.epoch,
                average=each.average_time(now),
                members=tuple(
                    Member(
                        call_sid=member.call.sid,
                        queue_sid=each.sid,
                        queue_uri=queue_uri(account, each.sid),
                        joined=self.exchange.epoch + timedelta(seconds=member.joined_at),
                        position=position,
                        wait=member.seconds(now),
                    )
                    for position, member in enumerate(each.members, start=1)
                ),
            )
            for number, each in reversed(list(enumerate(self.exchange.queues.values(), start=1)))
        ]

    def pump(self) -> None:
        """Go on to now and make what requests there are: after something was done, or when it falls due."""
        exchange = self.catch_up()
        exchange.api_base = self.core.base_url
        exchange.numbers = frozenset(each.phone_number for each in self.core.account.numbers.values())
        for request in list(exchange.outbox.values()):
            if request.id not in self._under_way:
                self._under_way.add(request.id)
                self.core.work.spawn(self._make(exchange, request))
        if self._alarm:
            self._alarm.cancel()
        due = exchange.next_timer()
        if due is not None:
            wait = max(due - exchange.now, 0.0)
            self._alarm = asyncio.get_running_loop().call_later(wait, self.pump)

    async def _make(self, exchange: Exchange, request: WebRequest) -> None:
        answer = await self._send(request)
        if exchange is self.exchange and request.id in exchange.outbox:
            self.catch_up().answered(request.id, answer)
            self.pump()

    async def _send(self, request: WebRequest) -> Answer:
        webhook = Webhook(
            kind=_KINDS.get(request.purpose, "voice"),
            sid=request.call_sid,
            url=request.target,
            method=request.method,
            params=dict(request.params),
        )
        if request.purpose == "status callback":
            status = webhook.params["CallStatus"]
            self.core.callbacks.add(webhook, last=status in CALL_ENDED)
            return WebResponse(204, "", b"")
        delivery = await self.core.webhooks.send(webhook)
        self._delivered[request.id] = delivery.number
        first = self._first.pop(request.call_sid, None)
        if first is not None:
            first.set_result(delivery)
        if delivery.status is None:
            return NoResponse(delivery.error_code or 11200, delivery.error or "no answer")
        return WebResponse(delivery.status, delivery.content_type, delivery.body.encode())

    # What the emulator's records learn of it

    def _happened(self, event: Event) -> None:
        call = self._record(event)
        match event:
            case StatusChanged():
                self._enter(call, event.status)
            case Ended():
                self._end(call, event.status)
            case Answered():
                self._answered(call, event)
            case Noted():
                self._alert(call, event.notice)
            case Texted():
                self._text(call, event)
            case Dialing():
                for sid, to in zip(event.legs, event.to, strict=True):
                    leg = self.exchange.calls[sid]
                    record = self.core.calling.child(call, to, sender=leg.from_, sid=sid)
                    self._begin(record, leg)
            case RecordingKept():
                self._keep_recording(call, event.recording_sid)
        self._robots.notice(event, call)
        for listener in self.listeners:
            listener(event)

    def _record(self, event: Event) -> Call:
        call = self.core.calls.get(event.call_sid)
        assert call is not None, "every call of the exchange has its record"  # noqa: S101
        return call

    def _enter(self, call: Call, status: str) -> None:
        now = self.core.clock()
        call.start_time = call.start_time or now
        call.date_updated = now
        if status == "initiated":
            return
        call.status = _STATUSES[status]
        if status == "in-progress":
            call.answer_time = now
        self.core.changed()

    def _end(self, call: Call, status: str) -> None:
        call.end_time = call.date_updated = self.core.clock()
        call.status = _STATUSES[status]
        call.answered_by = self.exchange.calls[call.sid].answered_by
        if call.answer_time is not None:
            call.price = f"-{_PRICE_PER_MINUTE * -(-max(call.seconds, 1) // 60):.5f}"
        over = self._over.pop(call.sid, None)
        if over is not None:
            over.set()
        self.core.changed()

    def _answered(self, call: Call, event: Answered) -> None:
        number = self._delivered.get(event.request.id)
        if number is not None:
            self.notices[number] = event.notices
        for notice in event.notices:
            self._alert(call, notice)
        if event.request.wants_twiml:
            ok = isinstance(event.answer, WebResponse) and 200 <= event.answer.status < 300
            twiml = (
                event.answer.body.decode(errors="replace") if isinstance(event.answer, WebResponse) else None
            )
            call.documents.append(
                Document(
                    url=event.request.url,
                    method=event.request.method,
                    status=event.answer.status if isinstance(event.answer, WebResponse) else None,
                    twiml=twiml if ok else None,
                    error=event.answer.reason if isinstance(event.answer, NoResponse) else None,
                )
            )
        self.core.changed()

    def _keep_recording(self, call: Call, sid: str) -> None:
        made = self.exchange.recordings[sid]
        call.recording_sids.append(sid)
        self.core.recordings.add(
            Recording(
                sid=sid,
                account_sid=call.account_sid,
                call_sid=made.call_sid,
                conference_sid=made.conference_sid,
                duration=made.seconds,
                channels=made.channels,
                source=made.source,
                started=self.exchange.epoch + timedelta(seconds=made.started_at),
                origin=self.core.base_url,
            )
        )

    def _alert(self, call: Call, notice: Notice) -> None:
        self.core.alert(notice.code, call.sid, notice.detail)

    def _text(self, call: Call, event: Texted) -> None:
        try:
            self.core.messaging.reply(
                event.body, [], to=event.to, sender=event.sender, callback=None, source="call"
            )
        except ApiError as exc:
            self.core.alert(exc.code, call.sid, exc.message)

    # What the emulator asks of a carrier

    def _begin(self, call: Call, leg: Leg) -> None:
        """`settle` waits until the call is over."""
        if not leg.is_over:
            over = self._over[call.sid] = asyncio.Event()
            self.core.work.spawn(over.wait())

    def start(self, call: Call) -> None:
        """Let an outbound call ring."""
        if call.sid in self.exchange.calls:  # it was hurried
            return
        callback = None
        if call.status_callback:
            callback = StatusCallback(
                call.status_callback, call.status_callback_method, call.status_callback_events
            )
        leg = self.catch_up().call_out(
            call.sender,
            call.to,
            Target(call.url, call.method, twiml=call.twiml),
            fallback=Target(call.fallback_url, call.fallback_method) if call.fallback_url else None,
            callback=callback,
            timeout=call.timeout,
            time_limit=call.time_limit,
            detection=_detection(call),
            send_digits=_param(call, "SendDigits"),
            recorded=_recorded(call),
            sid=call.sid,
        )
        self._begin(call, leg)
        self.pump()

    async def hurry(self, call: Call) -> None:
        """Report it initiated and ringing before the POST is answered."""
        self.start(call)
        await self.core.callbacks.sent(call.sid, 2)

    async def receive(self, call: Call) -> Inbound:
        """Carry an inbound call; returns when its first document has come."""
        result = Inbound(call.sid)
        if not call.url:
            result.error = "the number has no voice URL"
            call.status = "failed"
            return result
        self._first[call.sid] = asyncio.get_running_loop().create_future()
        first = self._first[call.sid]
        self.begin_inbound(call)
        delivery = await first
        result.status, result.twiml = delivery.status, delivery.body
        if not delivery.ok:
            result.error = f"{delivery.error_code}: {delivery.error or f'HTTP {delivery.status}'}"
        return result

    def begin_inbound(self, call: Call, extra: dict[str, str] | None = None) -> Leg:
        """Somebody calls one of our numbers, or an application."""
        assert call.url is not None  # noqa: S101
        report = None
        if call.status_callback:
            report = StatusCallback(call.status_callback, call.status_callback_method)
        leg = self.catch_up().call_in(
            call.sender,
            call.to,
            Target(call.url, call.method),
            fallback=Target(call.fallback_url, call.fallback_method) if call.fallback_url else None,
            callback=report,
            extra=extra,
            sid=call.sid,
        )
        self._begin(call, leg)
        self.pump()
        return leg

    def carries(self, call: Call) -> bool:
        leg = self.exchange.calls.get(call.sid)
        return leg is not None and not leg.is_over

    def redirect(self, call: Call, redirect: Redirect) -> None:
        target = Target(redirect.url, redirect.method, twiml=redirect.twiml)
        self.catch_up().redirect(self.exchange.calls[call.sid], target)
        self.pump()

    def hang_up(self, call: Call, status: CallStatus) -> None:  # noqa: ARG002  (the exchange knows it)
        self.catch_up().complete(self.exchange.calls[call.sid])
        self.pump()

    def limit(self, call: Call, seconds: int) -> None:
        call.time_limit = seconds
        self.catch_up().limit(self.exchange.calls[call.sid], seconds)
        self.pump()


_STATUSES: dict[str, CallStatus] = {status: status for status in get_args(CallStatus)}


def _param(call: Call, name: str) -> str:
    return (call.params.get(name) or [""])[-1]


def _callback(call: Call, name: str) -> StatusCallback | None:
    url = _param(call, name)
    events = frozenset(" ".join(call.params.get(f"{name}Event", [])).split())
    return (
        StatusCallback(
            url, _param(call, f"{name}Method").upper() or "POST", events or frozenset({"completed"})
        )
        if url
        else None
    )


def _detection(call: Call) -> MachineDetection | None:
    mode = _param(call, "MachineDetection")
    if mode not in {"Enable", "DetectMessageEnd"}:
        return None
    timeout = _param(call, "MachineDetectionTimeout")
    return MachineDetection(
        mode,
        int(timeout) if timeout.isdecimal() else 30,
        asynchronous=_param(call, "AsyncAmd") == "true",
        callback=_callback(call, "AsyncAmdStatusCallback"),
    )


def _recorded(call: Call) -> RecordingRequest | None:
    if _param(call, "Record") != "true":
        return None
    channels = 2 if _param(call, "RecordingChannels") == "dual" else 1
    return RecordingRequest(channels, _callback(call, "RecordingStatusCallback"))
