"""The script of a leg of <Dial>: it rings, hears a whisper, and is connected to the parent call."""

from local.phone.engine.bridge import part, stay
from local.phone.engine.interpreter import Place, VerbHandlers, Walk, walk_to_the_end
from local.phone.twiml.document import DocumentFailed
from local.twilio.carrier.exchange.events import Played
from local.twilio.carrier.exchange.leg import Leg
from local.twilio.carrier.exchange.ringing import detect_meanwhile, ring
from local.twilio.carrier.exchange.signals import Diverted, LegAnswered, LegEnded, LegReady
from local.twilio.carrier.exchange.telephony import Telephony
from local.twilio.carrier.exchange.web_requests import Target

_WHISPER = Place("whisper", frozenset({"Play", "Say", "Pause", "Gather", "Hangup", "Redirect"}))


async def dialed(
    telephony: Telephony, leg: Leg, handlers: VerbHandlers, whisper: Target | None, digits: str
) -> None:
    """Ring, hear the whisper, then be on the line for the other party.

    The parent decides how long the leg rings. A leg that REST diverts leaves the parent and goes on alone.
    """
    parent = leg.parent
    if parent is None:
        raise ValueError("a dialed leg has a parent")
    diverted: Target | None = None
    try:
        pickup = await ring(telephony, leg, None)
        if leg.detection:
            detect_meanwhile(telephony, leg, leg.detection, pickup)
        telephony.signal(parent, LegAnswered(leg))
        if digits:
            telephony.emit(Played(at=telephony.now, call_sid=leg.sid, url="", digits=digits, times=1))
        if whisper:
            await Walk(telephony, leg, handlers, _WHISPER).follow(whisper)
        if leg.redirected:
            raise Diverted(leg.redirected)
        telephony.signal(parent, LegReady(leg))
        await stay()
    except Diverted as exc:
        diverted = exc.target
    except DocumentFailed:
        telephony.end(leg, "completed", by="Twilio")
    finally:
        part(telephony, leg, diverted=diverted is not None)
        telephony.signal(parent, LegEnded(leg, diverted=diverted is not None))
    if diverted:
        leg.parent = None
        await walk_to_the_end(telephony, leg, handlers, diverted)
