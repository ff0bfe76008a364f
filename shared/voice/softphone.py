"""The softphone: the answer to a call that somebody places in the browser, at voice/client."""

import re

from shared import phone_numbers
from shared.config import Settings
from shared.errors import InvalidRequest
from shared.twiml.reply import Reply, Warn
from shared.twiml.request import TwilioRequest
from shared.voice import agents, dial, prompts
from shared.voice.context import CallContext


def client(request: TwilioRequest, settings: Settings) -> Reply:
    """Dial the To of the softphone: a number, `client:NAME` or NAME, or `queue` for the next caller."""
    call = CallContext.of(request, settings, prompts.for_team(settings))
    target = call.request.get("To").strip()
    if not call.request.get("From").startswith("client:"):
        return _refused(call, "voice/client was asked by something that is not a client")
    if target == "queue":
        return agents.take_next(call)
    name = target.removeprefix("client:")
    if re.match(r"[+(0-9]", target):
        try:
            region = phone_numbers.home(call.settings)
            target = phone_numbers.permitted(target, call.settings, "To", region=region)
        except InvalidRequest as exc:
            return _refused(call, f"softphone: {exc}")
    elif re.fullmatch(r"[A-Za-z0-9_.@-]{1,121}", name):
        target = f"client:{name}"
    else:
        return _refused(call, "softphone: To is neither a number, nor the name of a client, nor queue")
    dialed = call.response.dial(
        action=call.url("client-left"),
        caller_id=call.settings.from_number,
        answer_on_bridge=True,
        timeout=30,
        time_limit=call.settings.call_time_limit,  # else we may pay for four hours
    )
    dial.ring(dialed, target)
    return call.reply()


def left(call: CallContext) -> Reply:
    """The softphone's call has ended. If nobody answered it, say why."""
    if call.request.dial_answered:
        return call.end()
    said = {"busy": "client_busy", "no-answer": "client_no_answer", "canceled": "client_no_answer"}
    return call.end(said.get(call.request.get("DialCallStatus"), "client_failed"))


def _refused(call: CallContext, reason: str) -> Reply:
    return call.end("client_refused", Warn(reason))
