"""Enqueue: callers wait in the queue for an agent (agents.py), or ask to be called back instead."""

import math

from shared.config import CALL_QUEUE
from shared.twiml.reply import CallBack, Effect, Reply, Text, Warn
from shared.voice import dial, hold_music, prompts, voicemail
from shared.voice.context import CallContext, whole

LONGEST_WAIT = 1_800
"""Seconds after which a caller no longer waits: we call back, or take a message."""


def enqueue(call: CallContext) -> Reply:
    """Put the caller into the queue."""
    call.response.enqueue(CALL_QUEUE, action=call.url("queue-left"), wait_url=call.url("queue-wait"))
    return call.reply()


def wait(call: CallContext) -> Reply:
    """What a caller in the queue hears. Twilio asks again each time it has played this."""
    if whole(call.request.get("QueueTime")) >= LONGEST_WAIT:
        return _leave(call)
    gather = call.response.gather(num_digits=1, timeout=1, action=call.url("queue-key"))
    position = whole(call.request.get("QueuePosition"))
    if position > 1:
        call.say("queue_position", gather, position=position)
    else:
        call.say("queue_next", gather)
    # Twilio's average: how long those who are in the queue have waited until now.
    minutes = math.ceil(whole(call.request.get("AvgQueueTime")) / 60)
    if minutes > 1:
        call.say("queue_wait", gather, minutes=minutes)
    else:
        call.say("queue_short_wait", gather)
    call.say("queue_offer_callback" if call.reachable else "queue_offer_voicemail", gather)
    gather.play(hold_music.hold(call.settings))
    return call.reply()


def key(call: CallContext) -> Reply:
    """The caller pressed a key: 1 leaves the queue, and after any other key the music goes on."""
    return _leave(call) if call.digits == "1" else call.reply()


def _leave(call: CallContext) -> Reply:
    number = call.reachable
    if number:
        call.say("queue_callback")
    call.response.leave()
    if not number:
        return call.reply()
    sid = call.request.get("CallSid")
    effects: list[Effect] = [CallBack(number, call.url("callback"), id=f"callback-{sid}")]
    if call.settings.owner_number:
        body = prompts.text(
            "callback_text", prompts.for_team(call.settings), caller=number, when=call.local_time
        )
        effects.append(Text(call.settings.owner_number, body, id=f"callback-text-{sid}"))
    return call.reply(*effects)


def left(call: CallContext) -> Reply:
    """The caller has left the queue. (Twilio docs: Enqueue, QueueResult values.)"""
    match result := call.request.get("QueueResult"):
        case "bridging-in-process" | "redirected" | "hangup":
            return call.reply()  # another TwiML has the call, or the caller has hung up
        case "bridged" | "redirected-from-bridged":
            return call.end("goodbye")
        case "leave" if call.reachable:
            return call.end()
        case "leave":
            return voicemail.voicemail(call)
        case _:
            # queue-full, error, system-error, and any value that Twilio may add.
            call.say("nobody")
            voicemail.voicemail(call)
            return call.reply(Warn(f"queue {CALL_QUEUE}: {prompts.clean(result, 40) or 'no result'}"))


def callback(call: CallContext) -> Reply:
    """We ring a caller who did not want to wait. A human presses 1, a machine does not."""
    if call.digits == "1":
        return dial.team(call) if call.callees else enqueue(call)
    if call.settings.company_name:
        return call.ask_key("callback", "callback", company=call.settings.company_name)
    return call.ask_key("callback", "callback_from_us")
