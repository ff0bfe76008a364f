"""One running emulator without its HTTP server: its state and all that happens, on one event loop."""

from local.twilio.carrier.backend import Backend, utcnow
from local.twilio.carrier.calling import Calling
from local.twilio.carrier.exchange.listening import listen
from local.twilio.carrier.exchange.ringing import TwimlScript
from local.twilio.carrier.inbound_sms import receive_message
from local.twilio.carrier.live_calls import LiveCalls
from local.twilio.carrier.messaging import Messaging
from local.twilio.model.options import Options
from local.twilio.model.resources import Inbound
from local.twilio.model.store import Clock


class Simulator(Backend):
    """The state, and the messages and calls in it. Open and close it on the loop that it is used on.

    twiml: carries out the TwiML of calls. Without it, TwiML is fetched and kept, and sound takes no time.
    tempo: how long sound takes (see Engine); 1.0 by default if there is `twiml`.
    """

    def __init__(
        self,
        options: Options,
        clock: Clock = utcnow,
        *,
        twiml: TwimlScript | None = None,
        tempo: float | None = None,
    ) -> None:
        super().__init__(options, clock)
        self.messaging = Messaging(self)
        if tempo is None:
            tempo = 1.0 if twiml else 0.0
        self.live_calls = LiveCalls(self, self.messaging, twiml or listen, tempo)
        self.calling = Calling(self, self.live_calls)

    async def receive_message(self, sender: str, to: str, text: str, media: list[str]) -> Inbound:
        """A person texts one of our numbers. Raises InboundError."""
        return await receive_message(self, self.messaging, sender, to, text, media)

    async def reset(self, options: Options | None = None) -> None:
        await super().reset(options)
        self.live_calls.clear()
