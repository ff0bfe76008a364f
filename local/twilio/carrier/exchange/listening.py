"""The TwiML script of an emulator without a phone: TwiML is fetched, kept and not carried out."""

from local.twilio.carrier.exchange.events import Answered, Listening, TwimlGiven
from local.twilio.carrier.exchange.leg import Leg
from local.twilio.carrier.exchange.signals import Diverted, Fetch, Receive, Wait
from local.twilio.carrier.exchange.telephony import Telephony
from local.twilio.carrier.exchange.web_requests import NoResponse, Target
from local.twilio.model.errors import Notice


async def listen(telephony: Telephony, leg: Leg, target: Target) -> None:
    """Fetch the TwiML, answer, and be on the line until somebody hangs up.

    If a document cannot be fetched, the fallback URL is asked. If that fails too, the call ends, as at Twilio
    after "An application error has occurred". REST may give the call other TwiML at any time.
    """
    while True:
        try:
            has_twiml = await _fetch(telephony, leg, target)
            if leg.direction == "inbound" and not leg.is_answered:
                telephony.transition(leg, "in-progress")
            if not has_twiml:
                telephony.end(leg, "completed", by="Twilio")
                return
            telephony.emit(Listening(at=telephony.now, call_sid=leg.sid))
            while True:
                await Receive(None, Wait.DEADLINE)
        except Diverted as exc:
            target = exc.target


async def _fetch(telephony: Telephony, leg: Leg, target: Target) -> bool:
    if target.url is None:
        telephony.emit(TwimlGiven(at=telephony.now, call_sid=leg.sid, twiml=target.twiml or ""))
        return True
    code = await _ask(telephony, leg, target)
    if code and leg.fallback and leg.fallback.url:
        params = (("ErrorCode", str(code)), ("ErrorUrl", target.url.partition("#")[0]))
        code = await _ask(telephony, leg, Target(leg.fallback.url, leg.fallback.method, params))
    return not code


async def _ask(telephony: Telephony, leg: Leg, target: Target) -> int:
    """Request one document; Twilio's error code if it did not come, else 0."""
    params = leg.parameters(target.params)
    request = telephony.request(leg, target, "call document", params, wants_twiml=True)
    answer = await Fetch(request)
    notices: tuple[Notice, ...] = ()
    if isinstance(answer, NoResponse):
        notices = (Notice(answer.code, f"{answer.reason} from {request.url}"),)
    elif not 200 <= answer.status < 300:
        notices = (Notice(11200, f"Got HTTP {answer.status} response to {request.url}"),)
    telephony.emit(
        Answered(at=telephony.now, call_sid=leg.sid, request=request, answer=answer, notices=notices)
    )
    return notices[0].code if notices else 0
