"""Dial: ring one person or a team, in turn or all at once. A whisper makes sure that a human answers."""

from typing import Any

from twilio.twiml.voice_response import VoiceResponse

from shared.twiml.reply import Reply
from shared.voice import prompts, voicemail
from shared.voice.context import CallContext


def team(call: CallContext, *, after: int = 0) -> Reply:
    """Ring the team, without its first `after` members; take a message if we are closed or nobody is left."""
    waiting = call.callees[after:]
    response = VoiceResponse()
    if not call.is_open or not waiting:
        call.say(response, "nobody" if call.is_open else "closed")
        return voicemail.voicemail(call, response)
    rung = waiting if call.settings.team_ring == "all" else waiting[:1]
    if not after:
        call.say(response, "connecting")
    dial = response.dial(
        action=call.url("dialed", after=after + len(rung)),
        timeout=call.settings.ring_seconds,
        time_limit=call.settings.call_time_limit,  # else it may cost for four hours
        # The team sees the caller's number; our own, if it is withheld or if we placed the call.
        caller_id=call.number if call.number == call.request.get("From") else call.settings.from_number,
    )
    for target in rung:
        ring(dial, target, call.url("whisper", lang=prompts.for_team(call.settings)))
    return Reply(response)


def ring(dial: Any, target: str, whisper: str | None = None) -> None:
    """Add one target: E.164, sip:... or client:.... A softphone has no answering machine and no whisper."""
    if target.startswith("client:"):
        dial.client(target.removeprefix("client:"))
    elif target.startswith(("sip:", "sips:")):
        dial.sip(target, url=whisper)
    else:
        dial.number(target, url=whisper)


def dialed(call: CallContext) -> Reply:
    """A <Dial> of the team has ended: hang up after a talk, else ring the next one."""
    if call.request.dial_answered:
        response = VoiceResponse()
        response.hangup()
        return Reply(response)
    return team(call, after=max(1, call.count("after")))


def whisper(call: CallContext) -> Reply:
    """Said only to the one who picked up. The key 1 takes the call, which no answering machine presses."""
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
