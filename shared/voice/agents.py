"""Agents: how one of the team takes the next caller out of the queue."""

from shared.config import CALL_QUEUE
from shared.twiml.reply import Reply, Warn
from shared.voice.context import CallContext

AGENT_WAITS = 60
"""Seconds that an agent waits while the queue is empty."""


def menu(call: CallContext) -> Reply:
    """Offer the next caller or the main menu to one of the team; asked three times at most."""
    if not call.is_agent:
        return _refused(call)
    if call.digits == "1":
        return take_next(call)
    if call.digits == "2":
        call.response.redirect(call.url("menu"))
        return call.reply()
    return call.ask_key("agent-menu", "agent_menu")


def take_next(call: CallContext) -> Reply:
    """Connect one of the team with the next caller in the queue."""
    if not call.is_agent:
        return _refused(call)
    call.say("agent_waiting")
    dial = call.response.dial(
        action=call.url("agent-done"),
        timeout=AGENT_WAITS,
        time_limit=call.settings.call_time_limit,  # no phone rings, but the talk costs as much
    )
    # The caller hears this step. So its URL has no language, and the step uses the caller's.
    dial.queue(CALL_QUEUE, url=call.url("agent-connect", lang=""))
    return call.reply()


def connect(call: CallContext) -> Reply:
    """Said to the caller in the queue, just before an agent takes the call."""
    call.say("queue_connect")
    return call.reply()


def done(call: CallContext) -> Reply:
    """The agent's caller has hung up, or nobody was in the queue."""
    if not call.request.dial_answered:
        call.say("agent_nobody")
    return menu(call)


def _refused(call: CallContext) -> Reply:
    return call.end("agent_refused", Warn("someone who is not of the team asked for the next caller"))
