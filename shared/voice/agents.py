"""Agents: how one of the team takes the next caller out of the queue."""

from twilio.twiml.voice_response import VoiceResponse

from shared.config import CALL_QUEUE
from shared.twiml.reply import Reply, Warn
from shared.voice.context import CallContext

AGENT_WAITS = 60
"""Seconds that an agent waits while the queue is empty."""


def menu(call: CallContext, response: VoiceResponse | None = None) -> Reply:
    """What one of the team is offered, after what `response` says already; asked three times at most."""
    if not call.is_agent:
        return _refused(call)
    if call.digits == "1":
        return take_next(call)
    response = response or VoiceResponse()
    if call.digits == "2":
        response.redirect(call.url("menu"))
        return Reply(response)
    return call.ask_key(response, "agent-menu", "agent_menu")


def take_next(call: CallContext) -> Reply:
    """Connect one of the team with the next caller in the queue."""
    if not call.is_agent:
        return _refused(call)
    response = VoiceResponse()
    call.say(response, "agent_waiting")
    dial = response.dial(
        action=call.url("agent-done"),
        timeout=AGENT_WAITS,
        time_limit=call.settings.call_time_limit,  # it rings nobody, but the talk costs as much
    )
    # The caller hears this step. So it gets no language here, and takes that of the caller.
    dial.queue(CALL_QUEUE, url=call.url("agent-connect", lang=""))
    return Reply(response)


def connect(call: CallContext) -> Reply:
    """Said to the caller in the queue, just before an agent takes the call."""
    response = VoiceResponse()
    call.say(response, "queue_connect")
    return Reply(response)


def done(call: CallContext) -> Reply:
    """The agent's caller has hung up, or nobody was in the queue."""
    response = VoiceResponse()
    if not call.request.dial_answered:
        call.say(response, "agent_nobody")
    return menu(call, response)


def _refused(call: CallContext) -> Reply:
    warning = Warn("someone who is not of the team asked for the next caller")
    return call.end(VoiceResponse(), "agent_refused", warning)
