"""Dial: a person or a team, in turn or all at once, with a whisper that only a human passes."""

from typing import Any

from twilio.twiml.voice_response import VoiceResponse

from shared.twiml.reply import Reply
from shared.twiml.request import TwilioRequest
from shared.voice import prompts
from shared.voice import voicemail as voice_mail
from shared.voice.context import Call


def team(call: Call, *, after: int = 0) -> Reply:
    """Ring the team from the one at `after` on; voicemail when we are closed or nobody is left."""
    waiting = call.callees[after:]
    response = VoiceResponse()
    if not call.is_open or not waiting:
        call.say(response, "nobody" if call.is_open else "closed")
        return voice_mail.voicemail(call, response)
    rung = waiting if call.settings.team_ring == "all" else waiting[:1]
    if not after:
        call.say(response, "connecting")
    dial = response.dial(
        action=call.url("dialed", after=after + len(rung)),
        timeout=call.settings.ring_seconds,
        time_limit=call.settings.call_time_limit,  # else it may cost for four hours
        # The team sees who calls; where nobody may know, or we placed the call, our own number.
        caller_id=call.number if call.number == call.request.get("From") else call.settings.from_number,
    )
    for target in rung:
        ring(dial, target, call.url("whisper", lang=prompts.for_team(call.settings)))
    return Reply(response)


def ring(dial: Any, target: str, whisper: str | None = None) -> None:
    """Add whom to ring: E.164, sip:... or client:...; a softphone has no answering machine to screen."""
    if target.startswith("client:"):
        dial.client(target.removeprefix("client:"))
    elif target.startswith(("sip:", "sips:")):
        dial.sip(target, url=whisper)
    else:
        dial.number(target, url=whisper)


def answered(request: TwilioRequest) -> bool:
    """Was the <Dial> that has just ended answered and put through?

    Someone who picks up and does not pass the whisper is answered but never bridged.
    """
    if request.get("DialBridged") == "false":
        return False
    return (
        request.get("DialCallStatus") in {"completed", "answered"} or request.get("DialStatus") == "answered"
    )


def dialed(call: Call) -> Reply:
    """A round of ringing is over: they talked, or the next one is rung."""
    if answered(call.request):
        response = VoiceResponse()
        response.hangup()
        return Reply(response)
    return team(call, after=max(1, call.count("after")))


def whisper(call: Call) -> Reply:
    """Said to the one who picked up, alone: only 1 takes the call, so no answering machine does."""
    response = VoiceResponse()
    if call.digits == "1":
        return Reply(response)
    if not call.digits:
        caller = call.request.get("From")
        gather = response.gather(num_digits=1, timeout=8, action=call.url("whisper"))
        if caller.startswith("+") and caller != call.settings.from_number:
            call.say(gather, "whisper", caller=prompts.spelled(caller))
        else:
            call.say(gather, "whisper_withheld")
    response.hangup()
    return Reply(response)
