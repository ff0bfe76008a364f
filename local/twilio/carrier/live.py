"""Live calls: how they ring, are answered and end with a CallRunner's help, and what is reported of it."""

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from local.twilio.carrier import webhook_forms as forms
from local.twilio.carrier.inbound_sms import Inbound
from local.twilio.carrier.legs import CallRunner, DefaultRunner, Leg, Redirect, Ring
from local.twilio.carrier.webhooks import Webhook
from local.twilio.model.queues import Queue
from local.twilio.model.recordings import Recording
from local.twilio.model.resources import CALL_ENDED, Call, CallStatus, Document, new_sid

if TYPE_CHECKING:
    from local.twilio.simulator import Core

log = logging.getLogger("local.twilio")

_PRICE_PER_MINUTE = 0.014


class Live:
    """The calls that are up. `runner` is who is at the other end of them."""

    def __init__(self, core: "Core", runner: CallRunner | None = None) -> None:
        self._core = core
        self.runner: CallRunner = runner or DefaultRunner()
        self.legs: dict[str, Leg] = {}

    def start(self, call: Call) -> Leg:
        """Let it ring."""
        leg = Leg(self._core, self, call)
        self.legs[call.sid] = leg
        self._core.work.spawn(self._outbound(leg))
        return leg

    async def hurry(self, call: Call) -> None:
        """Report it initiated and ringing now: the callbacks come before the POST's answer."""
        self._initiate(call)
        self._ring(call)
        await self._core.callbacks.sent(call.sid, 2)

    async def _outbound(self, leg: Leg) -> None:
        call = leg.call
        try:
            if call.status == "queued":
                await asyncio.sleep(self._core.pace.step)
            if leg.ended.is_set():
                return
            if call.status == "queued":
                self._initiate(call)
                self._ring(call)
            ring = await self._rung(leg)
            if ring is None or call.status != "ringing":
                return
            if ring.outcome != "answered":
                self._end(leg, ring.outcome)
                return
            await self._connect(leg, ring)
        except Exception:
            self._end(leg, "failed")
            raise

    async def _rung(self, leg: Leg) -> Ring | None:
        leg.ringing = asyncio.create_task(self.runner.ring(leg))
        try:
            async with asyncio.timeout(leg.call.timeout):
                return await leg.ringing
        except TimeoutError:
            return Ring("no-answer")
        except asyncio.CancelledError:
            if leg.ended.is_set():
                return None
            raise
        finally:
            leg.ringing.cancel()

    async def _connect(self, leg: Leg, ring: Ring) -> None:
        call = leg.call
        detection = "".join(call.params.get("MachineDetection", []))
        asynchronous = call.params.get("AsyncAmd") == ["true"]
        if detection in {"Enable", "DetectMessageEnd"}:
            answered_by = ring.answered_by
            if detection == "DetectMessageEnd" and answered_by == "machine_start":
                answered_by = "machine_end_beep"
            call.answered_by = answered_by
        await self.answer(leg)
        if call.direction == "outbound-api":
            if call.answered_by and asynchronous:
                self._report_machine(call)
            if call.twiml is not None:
                leg.keep(Document(url=None, twiml=call.twiml))
            elif call.url:
                await leg.fetch(
                    call.url,
                    call.method,
                    fallback_url=call.fallback_url,
                    fallback_method=call.fallback_method,
                )
            leg.document = call.documents[-1] if call.documents else None
        await self._talk(leg)

    async def _talk(self, leg: Leg) -> None:
        if leg.call.status in CALL_ENDED:
            return
        leg.talking = asyncio.create_task(self.runner.talk(leg))
        try:
            async with asyncio.timeout(leg.call.time_limit):
                status = await leg.talking
        except TimeoutError:
            status = "completed"
        except asyncio.CancelledError:
            if leg.ended.is_set():
                return
            raise
        finally:
            leg.talking.cancel()
        self._end(leg, status)

    def _initiate(self, call: Call) -> None:
        call.start_time = self._core.clock()
        self._report(call, "initiated", "initiated")

    def _ring(self, call: Call) -> None:
        self._enter(call, "ringing")
        self._report(call, "ringing", "ringing")

    async def answer(self, leg: Leg) -> None:
        call = leg.call
        if call.status not in {"queued", "ringing"}:
            return
        call.answer_time = self._core.clock()
        self._enter(call, "in-progress")
        self._report(call, "answered", "in-progress")

    def _end(self, leg: Leg, status: CallStatus) -> None:
        """End it once: what was answered is completed, whatever ended it."""
        call = leg.call
        self.legs.pop(call.sid, None)
        if call.status in CALL_ENDED:
            return
        call.end_time = self._core.clock()
        if call.status == "in-progress":
            status = "completed"
            minutes = -(-max(call.seconds, 1) // 60)
            call.price = f"-{_PRICE_PER_MINUTE * minutes:.5f}"
        self._enter(call, status)
        leg.ended.set()
        if call.answer_time and call.params.get("Record") == ["true"]:
            self._report_recording(call)
        self._report(call, "completed", status)

    def _enter(self, call: Call, status: CallStatus) -> None:
        log.info("call %s %s -> %s", call.sid, call.status, status)
        call.status = status
        call.date_updated = self._core.clock()
        self._core.changed()

    async def receive(self, call: Call) -> Inbound:
        """Somebody calls: the first document is fetched, and the runner goes on."""
        leg = Leg(self._core, self, call)
        self.legs[call.sid] = leg
        result = Inbound(call.sid)
        if call.url:
            delivery = await leg.fetch(
                call.url, call.method, fallback_url=call.fallback_url, fallback_method=call.fallback_method
            )
            result.status, result.twiml = delivery.status, delivery.body
            if not delivery.ok:
                result.error = f"{delivery.error_code}: {delivery.error or f'HTTP {delivery.status}'}"
            leg.document = call.documents[-1]
        self._core.work.spawn(self._inbound(leg))
        return result

    async def _inbound(self, leg: Leg) -> None:
        try:
            if leg.document is None or leg.document.twiml is None:
                # Twilio answers and plays that an application error has occurred.
                await self.answer(leg)
                self._end(leg, "completed")
                return
            await self._talk(leg)
        except Exception:
            self._end(leg, "failed")
            raise

    def carries(self, call: Call) -> bool:
        """Is it up?"""
        return call.sid in self.legs

    def redirect(self, call: Call, redirect: Redirect) -> None:
        """Give a call that is up new instructions."""
        self.legs[call.sid].redirects.put_nowait(redirect)

    def queues(self) -> tuple[Queue, ...]:
        """None: no TwiML is walked here."""
        return ()

    def clear(self) -> None:
        """Forget every call, their tasks being cancelled."""
        self.legs.clear()

    def hang_up(self, call: Call, status: CallStatus) -> None:
        """End a call that is up."""
        leg = self.legs[call.sid]
        self._end(leg, status)
        for task in (leg.ringing, leg.talking):
            if task is not None:
                task.cancel()

    def limit(self, call: Call, seconds: int) -> None:
        """A new time limit, counted from when the call was answered."""
        call.time_limit = seconds
        if call.answer_time is not None:
            left = call.answer_time + timedelta(seconds=seconds) - self._core.clock()
            asyncio.get_running_loop().call_later(max(left.total_seconds(), 0), self._expire, call)

    def _expire(self, call: Call) -> None:
        if self.carries(call):
            self.hang_up(call, "completed")

    # What is reported

    def _report(self, call: Call, event: str, status: str) -> None:
        # An outbound call counts every event, asked for or not; an inbound one has its end alone.
        sequence = call.events_sent
        if call.direction != "inbound":
            call.events_sent += 1
        last = event == "completed"
        if call.status_callback is None or (event not in call.status_callback_events):
            return
        form = forms.call_status(call, status, sequence, self._core.clock())
        if last and call.recording_sids:
            form |= forms.recording(call, call.recording_sids[-1], self._core.base_url)
        self._core.callbacks.add(
            Webhook(
                kind="call-status",
                sid=call.sid,
                url=call.status_callback,
                method=call.status_callback_method,
                params=form,
            ),
            last=last,
        )

    def _report_machine(self, call: Call) -> None:
        url = "".join(call.params.get("AsyncAmdStatusCallback", []))
        if url:
            params = {
                "CallSid": call.sid,
                "AccountSid": call.account_sid,
                "AnsweredBy": call.answered_by or "unknown",
                "MachineDetectionDuration": "3000",
            }
            method = (call.params.get("AsyncAmdStatusCallbackMethod") or ["POST"])[-1].upper()
            self._core.work.spawn(
                self._core.webhooks.send(
                    Webhook(kind="amd-status", sid=call.sid, url=url, method=method, params=params)
                )
            )

    def _report_recording(self, call: Call) -> None:
        sid = new_sid("RE")
        call.recording_sids.append(sid)
        self._core.recordings.add(
            Recording(
                sid=sid,
                account_sid=call.account_sid,
                call_sid=call.sid,
                conference_sid=None,
                duration=call.seconds,
                channels=2 if call.params.get("RecordingChannels") == ["dual"] else 1,
                source="OutboundAPI",
                started=call.answer_time or self._core.clock(),
                origin=self._core.base_url,
            )
        )
        url = "".join(call.params.get("RecordingStatusCallback", []))
        if url:
            params = {
                "AccountSid": call.account_sid,
                "CallSid": call.sid,
                "RecordingStatus": "completed",
                "RecordingChannels": "2" if call.params.get("RecordingChannels") == ["dual"] else "1",
                "RecordingSource": "OutboundAPI",
                "RecordingTrack": "".join(call.params.get("RecordingTrack", [])) or "both",
            } | forms.recording(call, sid, self._core.base_url)
            method = (call.params.get("RecordingStatusCallbackMethod") or ["POST"])[-1].upper()
            self._core.work.spawn(
                self._core.webhooks.send(
                    Webhook(kind="recording-status", sid=call.sid, url=url, method=method, params=params)
                )
            )
