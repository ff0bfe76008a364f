"""Robots: they take the calls to an address if no page has its handset open.

A robot answers after a step, or does what was planned for the call. It listens to what is said, presses
nothing, and hangs up when the call waits for it: for a key, for speech, in a queue or in a conference.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

from local.twilio.carrier.backend import Backend
from local.twilio.carrier.exchange.events import (
    Connected,
    Event,
    InConference,
    Listening,
    Queued,
    RecordingStarted,
    StatusChanged,
    Waiting,
)
from local.twilio.carrier.exchange.exchange import Exchange
from local.twilio.carrier.exchange.leg import Leg
from local.twilio.carrier.exchange.signals import Pickup
from local.twilio.model.resources import Call


class AutoAnswer:
    """All robots. act: does something on the exchange.

    held: SIDs of ringing calls that a robot answers only after `release`.
    """

    def __init__(
        self,
        backend: Backend,
        handsets: Counter[str],
        act: Callable[[Callable[[Exchange], object]], None],
    ) -> None:
        self._backend = backend
        self._handsets = handsets
        self._act = act
        self.held: set[str] = set()

    def notice(self, event: Event, call: Call) -> None:
        """Do, a little later, what a robot does after this event on its call."""
        party = call.sender if call.direction == "inbound" else call.to
        if self._handsets[party]:
            return
        pace = self._backend.pace
        match event:
            case StatusChanged(status="ringing") if call.direction != "inbound":
                if call.sid not in self.held:
                    self._answer_later(call)
            case Connected() if self._handsets[event.other]:
                self._later(pace.step, call.sid, self._greet)
            case Connected() | Waiting() | RecordingStarted() | Queued() | InConference() | Listening():
                self._later(pace.talk, call.sid, self._hang_up)

    def release(self, call: Call) -> None:
        """Answer a call that was held."""
        if call.sid in self.held:
            self.held.remove(call.sid)
            self._answer_later(call)

    def _answer_later(self, call: Call) -> None:
        step = self._backend.pace.step
        self._later(step, call.sid, lambda exchange, leg: self._answer(exchange, leg, call))

    def _later(self, seconds: float, sid: str, action: Callable[[Exchange, Leg], None]) -> None:
        def act(exchange: Exchange) -> None:
            leg = exchange.legs.get(sid)
            if leg is not None and not leg.is_over and not self._handsets[leg.party]:
                action(exchange, leg)

        asyncio.get_running_loop().call_later(seconds, self._act, act)

    def _answer(self, exchange: Exchange, leg: Leg, call: Call) -> None:
        if leg.status != "ringing":
            return
        outcome, answered_by = call.ends
        if outcome in {"busy", "no-answer", "failed"}:
            exchange.turn_down(leg, outcome)
            return
        machine = (answered_by or "human").startswith("machine")
        talk = self._backend.pace.talk
        exchange.pick_up(leg, Pickup(machine=machine, greeting=talk, answered_by=answered_by))

    def _greet(self, exchange: Exchange, leg: Leg) -> None:
        if leg.peer is not None:
            exchange.speak(leg, f"Hello, this is the robot at {leg.party}.")

    def _hang_up(self, exchange: Exchange, leg: Leg) -> None:
        exchange.hang_up(leg)
