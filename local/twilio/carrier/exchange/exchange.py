"""The exchange: calls begin here, and people at handsets and REST act on them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from local.twilio.carrier.exchange.events import Did, Heard
from local.twilio.carrier.exchange.leg import Leg, StatusCallback
from local.twilio.carrier.exchange.ringing import OutgoingCall, TwimlScript, outbound
from local.twilio.carrier.exchange.signals import Key, PickedUp, Pickup, Speech, TurnedDown
from local.twilio.carrier.exchange.telephony import Telephony
from local.twilio.carrier.exchange.web_requests import Target
from local.twilio.model.options import ACCOUNT_SID


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCall:
    """Somebody calls `to`, where the TwiML at `application` answers. extra: parameters of every request."""

    from_: str
    to: str
    application: Target
    fallback: Target | None = None
    callback: StatusCallback | None = None
    forwarded_from: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


class Exchange(Telephony):
    """Many calls on one clock. A <Dial>, a queue and a conference really connect the people on them.

    twiml: carries out a call's TwiML.
    """

    def __init__(
        self,
        twiml: TwimlScript,
        *,
        account_sid: str = ACCOUNT_SID,
        epoch: datetime | None = None,
        api_base: str = "https://api.twilio.com",
        numbers: Iterable[str] = (),
    ) -> None:
        super().__init__(account_sid=account_sid, epoch=epoch, api_base=api_base, numbers=numbers)
        self._twiml = twiml

    # Calls begin

    def call_in(self, call: IncomingCall, sid: str | None = None) -> Leg:
        """Somebody calls one of our numbers, or a TwiML application."""
        leg = self.new_leg(call.from_, call.to, "inbound", "ringing", sid=sid)
        leg.fallback, leg.callback, leg.forwarded_from = call.fallback, call.callback, call.forwarded_from
        leg.extra.update(call.extra)
        self.start(leg, self._twiml(self, leg, call.application))
        self.run()
        return leg

    def call_out(self, call: OutgoingCall, sid: str | None = None) -> Leg:
        """REST places a call: `to` rings, and when it is answered its TwiML is carried out."""
        leg = self.new_leg(call.from_, call.to, "outbound-api", "queued", sid=sid)
        leg.fallback, leg.callback = call.fallback, call.callback
        leg.detection, leg.time_limit, leg.recorded = call.detection, call.time_limit, call.recorded
        leg.extra.update(call.extra)
        self.start(leg, outbound(self, leg, call, self._twiml))
        self.run()
        return leg

    # People at their handsets

    def pick_up(self, leg: Leg, pickup: Pickup | None = None) -> None:
        """Answer a ringing handset, as a person or as a machine."""
        pickup = pickup or Pickup()
        self._did(leg, "answered" + (" (a machine)" if pickup.machine else ""))
        self.signal(leg, PickedUp(pickup))
        self.run()

    def turn_down(self, leg: Leg, status: str = "busy") -> None:
        """Refuse a ringing call: busy, no-answer, or failed for a number that cannot be reached."""
        self._did(leg, {"busy": "declined", "failed": "could not be reached"}.get(status, "did not answer"))
        self.signal(leg, TurnedDown(status))
        self.run()

    def press(self, leg: Leg, keys: str) -> None:
        for key in keys:
            self._did(leg, f"pressed {key}")
            self.signal(leg, Key(key))
            self.run()

    def speak(self, leg: Leg, text: str) -> None:
        """Say something: to a <Gather>, a recording, and everybody else on the line."""
        self._did(leg, f'said "{text}"')
        for other in self._listeners(leg):
            self.emit(Heard(at=self.now, call_sid=other.sid, by=leg.party, text=text))
        self.signal(leg, Speech(text, speaking_time(text) * self.tempo))
        self.run()

    def _listeners(self, leg: Leg) -> list[Leg]:
        for conference in self.conferences.values():
            others = conference.others(leg)
            if others is not None:
                return others
        return [leg.peer] if leg.peer else []

    def hang_up(self, leg: Leg) -> None:
        """The party puts the handset down, or gives up while it rings."""
        if leg.is_over:
            return
        self._did(leg, "hung up")
        unanswered = "no-answer" if leg.direction == "inbound" else "busy"
        by = "caller" if leg.direction == "inbound" else "callee"
        self.end(leg, "completed" if leg.is_answered else unanswered, by=by)
        self.run()

    def _did(self, leg: Leg, what: str) -> None:
        self.emit(Did(at=self.now, call_sid=leg.sid, what=what))

    # REST

    def redirect(self, leg: Leg, target: Target) -> None:
        """Give a live call other TwiML. A call that still rings gets it when it is answered."""
        if leg.direction != "inbound" and not leg.is_answered:
            leg.redirected = target
        elif not leg.is_over:
            self.divert(leg, target)
            self.run()

    def complete(self, leg: Leg) -> None:
        """End a call, answered or not."""
        self.end(leg, "completed" if leg.is_answered else "canceled", by="REST")
        self.run()

    def cancel(self, leg: Leg) -> None:
        """End a call that has not been answered. An answered one goes on."""
        if not leg.is_answered:
            self.complete(leg)


def speaking_time(text: str) -> float:
    """About how many seconds a voice needs for a text."""
    return max(1.0, round(len(text) / 14, 1))
