"""The phone's TwiML script for the exchange: it carries out every verb that this phone knows."""

from local.phone.engine.interpreter import VerbHandlers, walk_to_the_end
from local.phone.verbs.dial import dial
from local.phone.verbs.gather import gather
from local.phone.verbs.queue import enqueue
from local.phone.verbs.record import record
from local.phone.verbs.speech import hangup, leave, pause, play, redirect, reject, say, sms
from local.twilio.carrier.exchange.leg import Leg
from local.twilio.carrier.exchange.telephony import Telephony
from local.twilio.carrier.exchange.web_requests import Target

HANDLERS: VerbHandlers = {
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


async def walk_twiml(telephony: Telephony, call: Leg, target: Target) -> None:
    """A TwimlScript (see exchange.ringing) that walks TwiML as Twilio documents it."""
    await walk_to_the_end(telephony, call, HANDLERS, target)
