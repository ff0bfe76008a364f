"""Enqueue and Queue: the waiting line, its agents, and being called back instead of waiting."""

import math
import re

from twilio.twiml.voice_response import VoiceResponse

from shared.twiml.effects import CallBack, Effect, Text, Warn
from shared.twiml.reply import Reply
from shared.voice import dial as voice_dial
from shared.voice import hold_music as music
from shared.voice import prompts
from shared.voice import voicemail as voice_mail
from shared.voice.context import Call

QUEUE = "support"
# Nobody is kept waiting for longer, in seconds: then we call back, or take a message.
LONGEST_WAIT = 1_800
AGENT_WAITS = 60


def enqueue(call: Call) -> Reply:
    """Put the caller in the line."""
    response = VoiceResponse()
    response.enqueue(QUEUE, action=call.url("queue-left"), wait_url=call.url("queue-wait"))
    return Reply(response)


def wait(call: Call) -> Reply:
    """What the waiting caller hears; Twilio asks again whenever it has ended."""
    if _whole(call.request.get("QueueTime")) >= LONGEST_WAIT:
        return _leave(call)
    response = VoiceResponse()
    gather = response.gather(num_digits=1, timeout=1, action=call.url("queue-key"))
    position = _whole(call.request.get("QueuePosition"))
    if position > 1:
        call.say(gather, "queue_position", position=position)
    else:
        call.say(gather, "queue_next")
    # Twilio's average is of how long those in the line have waited until now.
    minutes = math.ceil(_whole(call.request.get("AvgQueueTime")) / 60)
    if minutes > 1:
        call.say(gather, "queue_wait", minutes=minutes)
    else:
        call.say(gather, "queue_short_wait")
    call.say(gather, "queue_offer_callback" if call.reachable else "queue_offer_voicemail")
    gather.play(music.hold(call.settings))
    return Reply(response)


def key(call: Call) -> Reply:
    """A key was pressed in the line: 1 leaves it, and after anything else the music goes on."""
    return _leave(call) if call.digits == "1" else Reply(VoiceResponse())


def _leave(call: Call) -> Reply:
    response = VoiceResponse()
    number = call.reachable
    if not number:
        response.leave()
        return Reply(response)
    call.say(response, "queue_callback")
    response.leave()
    sid = call.request.get("CallSid")
    effects: list[Effect] = [CallBack(number, call.url("callback"), id=f"callback-{sid}")]
    if call.settings.owner_number:
        body = prompts.text(
            "callback_text", prompts.for_team(call.settings), caller=number, when=call.local_time
        )
        effects.append(Text(call.settings.owner_number, body, id=f"callback-text-{sid}"))
    return Reply(response, tuple(effects))


def left(call: Call) -> Reply:
    """The caller is out of the line, for whichever reason ("Enqueue: QueueResult values")."""
    response = VoiceResponse()
    match result := call.request.get("QueueResult"):
        case "bridging-in-process" | "redirected" | "hangup":
            # Someone else has the call, or nobody: there is nothing left to say.
            return Reply(response)
        case "bridged" | "redirected-from-bridged":
            return call.end(response, "goodbye")
        case "leave" if call.reachable:
            response.hangup()
            return Reply(response)
        case "leave":
            return voice_mail.voicemail(call, response)
        case _:
            # queue-full, error, system-error, and what Twilio may add.
            call.say(response, "nobody")
            reply = voice_mail.voicemail(call, response)
            return Reply(reply.twiml, (Warn(f"queue {QUEUE}: {prompts.clean(result, 40) or 'no result'}"),))


def callback(call: Call) -> Reply:
    """We ring a caller who did not want to wait; pressing 1 tells a human from a machine."""
    if call.digits == "1":
        return voice_dial.team(call) if call.callees else enqueue(call)
    if call.settings.company_name:
        return call.ask_key(VoiceResponse(), "callback", "callback", company=call.settings.company_name)
    return call.ask_key(VoiceResponse(), "callback", "callback_from_us")


def agent(call: Call) -> Reply:
    """One of us takes the next caller of the line; an empty line is waited at for a minute."""
    if not call.is_agent:
        return _refused(call)
    response = VoiceResponse()
    call.say(response, "agent_waiting")
    dial = response.dial(
        action=call.url("agent-done"),
        timeout=AGENT_WAITS,
        # It rings nobody, but what comes of it is the same talk that ringing the team would bring.
        time_limit=call.settings.call_time_limit,
    )
    # The waiting caller hears this in the language of the caller, not of the agent.
    dial.queue(QUEUE, url=call.url("agent-connect", lang=""))
    return Reply(response)


def connect(call: Call) -> Reply:
    """Said to the waiting caller just before an agent is there."""
    response = VoiceResponse()
    call.say(response, "queue_connect")
    return Reply(response)


def agent_done(call: Call) -> Reply:
    """The agent's caller has hung up, or nobody came."""
    response = VoiceResponse()
    if not voice_dial.answered(call.request):
        call.say(response, "agent_nobody")
    return agent_menu(call, response)


def agent_menu(call: Call, response: VoiceResponse | None = None) -> Reply:
    """What one of the team is offered; a silent one is asked three times."""
    if not call.is_agent:
        return _refused(call)
    if call.digits == "1":
        return agent(call)
    response = response or VoiceResponse()
    if call.digits == "2":
        response.redirect(call.url("menu"))
        return Reply(response)
    return call.ask_key(response, "agent-menu", "agent_menu")


def _refused(call: Call) -> Reply:
    return call.end(
        VoiceResponse(), "agent_refused", Warn("someone who is not of the team asked for the next caller")
    )


def _whole(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else 0
