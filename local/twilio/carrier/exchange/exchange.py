"""The exchange: who can be called, what people at handsets do, and what REST does to live calls."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from local.phone.engine.interpreter import Handler
from local.phone.verbs.dial import dial
from local.phone.verbs.gather import gather
from local.phone.verbs.queue import enqueue
from local.phone.verbs.record import record
from local.phone.verbs.ringing import live, outbound
from local.phone.verbs.speech import hangup, leave, pause, play, redirect, reject, say, sms, speaking_time
from local.twilio.carrier.exchange.engine import World
from local.twilio.carrier.exchange.events import Did, Heard
from local.twilio.carrier.exchange.leg import Call, MachineDetection, Pickup, RecordingRequest, StatusCallback
from local.twilio.carrier.exchange.signals import Key, PickedUp, Speech, TurnedDown, Wait
from local.twilio.carrier.exchange.web_requests import Target

HANDLERS: Mapping[str, Handler] = {
    "Say": say,
    "Play": play,
    "Pause": pause,
    "Gather": gather,
    "Record": record,
    "Dial": dial,
    "Enqueue": enqueue,
    "Leave": leave,
    "Redirect": redirect,
    "Reject": reject,
    "Hangup": hangup,
    "Sms": sms,
}

ACCOUNT_SID = "AC" + "0" * 32


class Exchange(World):
    """Many calls in one world: a <Dial>, a queue, a conference and a whisper really connect people."""

    def __init__(
        self,
        *,
        account_sid: str = ACCOUNT_SID,
        epoch: datetime | None = None,
        api_base: str = "https://api.twilio.com",
        numbers: Iterable[str] = (),
    ) -> None:
        super().__init__(epoch=epoch, api_base=api_base, numbers=frozenset(numbers))
        self.account_sid = account_sid

    # Calls begin

    def call_in(
        self,
        from_: str,
        to: str,
        application: Target,
        *,
        fallback: Target | None = None,
        callback: StatusCallback | None = None,
        forwarded_from: str | None = None,
        extra: Mapping[str, str] | None = None,
        sid: str | None = None,
    ) -> Call:
        """Somebody calls `to`, which is answered by the TwiML at `application`.

        extra: further parameters of every request, such as a softphone's own.
        """
        call = self.new_call(from_, to, "inbound", "ringing", self.account_sid, sid=sid)
        call.fallback, call.callback, call.forwarded_from = fallback, callback, forwarded_from
        call.extra.update(extra or {})
        self.start(call, live(self, call, HANDLERS, application))
        self.run()
        return call

    def call_out(
        self,
        from_: str,
        to: str,
        application: Target,
        *,
        fallback: Target | None = None,
        callback: StatusCallback | None = None,
        timeout: float = 60,
        time_limit: float = 14400,
        detection: MachineDetection | None = None,
        send_digits: str = "",
        recorded: RecordingRequest | None = None,
        sid: str | None = None,
    ) -> Call:
        """REST places a call: `to` rings, and when it is answered hears the TwiML at `application`."""
        call = self.new_call(from_, to, "outbound-api", "queued", self.account_sid, sid=sid)
        call.fallback, call.callback = fallback, callback
        call.detection, call.time_limit, call.recorded = detection, time_limit, recorded
        self.start(call, outbound(self, call, HANDLERS, application, timeout, send_digits))
        self.run()
        return call

    # People at their handsets

    def pick_up(self, call: Call, pickup: Pickup | None = None) -> None:
        """Answer a ringing handset, as a person or as a machine."""
        pickup = pickup or Pickup()
        self._did(call, "answered" + (" (a machine)" if pickup.machine else ""))
        self.signal(call, PickedUp(pickup))
        self.run()

    def turn_down(self, call: Call, status: str = "busy") -> None:
        """Refuse a ringing call: busy, no-answer, or failed for a number that cannot be reached."""
        self._did(call, {"busy": "declined", "failed": "could not be reached"}.get(status, "did not answer"))
        self.signal(call, TurnedDown(status))
        self.run()

    def press(self, call: Call, keys: str) -> None:
        for key in keys:
            self._did(call, f"pressed {key}")
            self.signal(call, Key(key))
            self.run()

    def speak(self, call: Call, text: str) -> None:
        """Say something: to a <Gather>, a recording, and whoever else is on the line."""
        self._did(call, f'said "{text}"')
        for other in self._listeners(call):
            self.emit(Heard(at=self.now, call_sid=other.sid, by=call.party, text=text))
        self.signal(call, Speech(text, speaking_time(text) * self.tempo))
        self.run()

    def _listeners(self, call: Call) -> list[Call]:
        room = call.conference
        if room is not None:
            muted = any(each.call is call and each.muted for each in room.participants)
            return [
                each.call
                for each in room.participants
                if each.call is not call and room.started and not muted
            ]
        return [call.peer] if call.peer is not None else []

    def hang_up(self, call: Call) -> None:
        """The party puts the handset down, or gives up while it rings."""
        if call.is_over:
            return
        self._did(call, "hung up")
        unanswered = "no-answer" if call.direction == "inbound" else "busy"
        by = "caller" if call.direction == "inbound" else "callee"
        self.end(call, "completed" if call.is_answered else unanswered, by=by)
        self.run()

    def _did(self, call: Call, what: str) -> None:
        self.emit(Did(at=self.now, call_sid=call.sid, what=what))

    # REST

    def redirect(self, call: Call, target: Target) -> None:
        """Give a live call other TwiML; a call that still rings hears it when it is answered."""
        if call.direction != "inbound" and not call.is_answered:
            call.redirected = target
        elif not call.is_over:
            self.divert(call, target)
            self.run()

    def complete(self, call: Call) -> None:
        """End a call, whatever it does."""
        self.end(call, "completed" if call.is_answered else "canceled", by="REST")
        self.run()

    def limit(self, call: Call, seconds: float) -> None:
        """A new time limit, counted from when the call was answered."""
        call.time_limit = seconds
        if call.answered_at is not None:
            left = max(call.answered_at + seconds - self.now, 0.0)
            self.after(left, lambda: self.end(call, "completed", by="Twilio"), Wait.PATIENCE)

    def cancel(self, call: Call) -> None:
        """End a call that has not been answered; an answered one goes on."""
        if not call.is_answered:
            self.end(call, "canceled", by="REST")
            self.run()
