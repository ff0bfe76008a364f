"""Dial: ring one person or a team, in turn or all at once. A whisper makes sure that a human answers."""

from typing import Any

from shared.twiml.reply import Reply
from shared.voice import prompts, voicemail
from shared.voice.context import CallContext


def team(call: CallContext, *, after: int = 0) -> Reply:
    """Ring the team, except its first `after` members. If we are closed or nobody is left, take a message."""
    waiting = call.callees[after:]
    if not call.is_open or not waiting:
        call.say("nobody" if call.is_open else "closed")
        return voicemail.voicemail(call)
    rung = waiting if call.settings.team_ring == "all" else waiting[:1]
    if not after:
        call.say("connecting")
    dial = call.response.dial(
        action=call.url("dialed", after=after + len(rung)),
        timeout=call.settings.ring_seconds,
        time_limit=call.settings.call_time_limit,  # else we may pay for four hours
        # The team sees the caller's number, or ours if the number is withheld or if we placed the call.
        caller_id=call.number if call.number == call.request.get("From") else call.settings.from_number,
    )
    for target in rung:
        ring(dial, target, call.url("whisper", lang=prompts.for_team(call.settings)))
    return call.reply()


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
        return call.end()
    return team(call, after=max(1, call.count("after")))


def whisper(call: CallContext) -> Reply:
    """Said only to the one who picked up. The key 1 takes the call, which no answering machine presses."""
    if call.digits == "1":
        return call.reply()
    if not call.digits:
        caller = call.request.get("From")
        gather = call.response.gather(num_digits=1, timeout=8, action=call.url("whisper"))
        if caller.startswith("+") and caller != call.settings.from_number:
            call.say("whisper", gather, caller=prompts.spelled(caller))
        else:
            call.say("whisper_withheld", gather)
    return call.end()
