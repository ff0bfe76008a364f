"""Who is on the line where nobody has a handset on a screen.

A robot answers after a step (or does what the emulator was told to plan), listens to what talks, presses
nothing, and hangs up when it is asked for something or left waiting.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from local.twilio.carrier.exchange.events import (
    Connected,
    Event,
    InConference,
    Queued,
    RecordingStarted,
    StatusChanged,
    Waiting,
)
from local.twilio.carrier.exchange.leg import Pickup
from local.twilio.model.resources import Call

if TYPE_CHECKING:
    from local.twilio.carrier.live_calls import Office


class Robots:
    """Everyone without a handset."""

    def __init__(self, office: "Office") -> None:
        self._office = office

    def notice(self, event: Event, call: Call) -> None:
        """Do what a robot does when this happens on its call."""
        office = self._office
        leg = office.exchange.calls[event.call_sid]
        if office.handsets[leg.party]:
            return
        pace = office.core.pace
        match event:
            case StatusChanged(status="ringing") if leg.direction != "inbound":
                self._later(pace.step, self._answer, call)
            case Connected() if office.handsets[event.other]:
                self._later(pace.step, self._greet, event.call_sid)
            case Connected() | Waiting() | RecordingStarted() | Queued() | InConference():
                self._later(pace.talk, self._hang_up, event.call_sid)

    def _later(self, seconds: float, action: Callable[..., None], *args: object) -> None:
        asyncio.get_running_loop().call_later(seconds, action, *args)

    def _answer(self, call: Call) -> None:
        exchange = self._office.catch_up()
        leg = exchange.calls.get(call.sid)
        if leg is None or leg.status != "ringing" or self._office.handsets[leg.party]:
            return
        outcome, answered_by = call.ends
        if outcome == "answered":
            machine = (answered_by or "human").startswith("machine")
            exchange.pick_up(leg, Pickup(machine=machine, greeting=self._office.core.pace.talk))
        else:
            exchange.turn_down(leg, outcome)
        self._office.pump()

    def _greet(self, sid: str) -> None:
        leg = self._office.catch_up().calls.get(sid)
        if leg is not None and leg.peer is not None:
            self._office.exchange.speak(leg, f"Hello, this is the robot at {leg.party}.")
            self._office.pump()

    def _hang_up(self, sid: str) -> None:
        leg = self._office.catch_up().calls.get(sid)
        if leg is not None and not leg.is_over and not self._office.handsets[leg.party]:
            self._office.exchange.hang_up(leg)
            self._office.pump()
