"""Outbound: what a person hears when a queued call with `say` rings them."""

from shared.config import Settings
from shared.twiml.reply import OptOut, Reply
from shared.twiml.request import TwilioRequest
from shared.voice import prompts
from shared.voice.context import CallContext

REPEATS = 5
"""How often the message is said at most, so that a key that is held down does not keep the line busy."""


def outbound(request: TwilioRequest, settings: Settings, words: str) -> Reply:
    """Say `words`. The key 1 repeats them, 9 opts out of further calls. A machine gets them after its beep.

    The Url of such a call is PUBLIC_BASE_URL/api/voice/step/outbound?id=ID. The trigger looks the words up by
    that id, because words in a URL would be in every request log.

    With machine_detection DetectMessageEnd, Twilio waits for the beep. With Enable, it reports a machine at
    once (machine_start); then we hang up, since its greeting is still playing.
    """
    call = CallContext.of(request, settings, prompts.of_text(words, settings))
    answered_by = call.request.get("AnsweredBy")
    heard = call.count("heard") + 1
    if answered_by in {"machine_start", "fax"}:
        return call.end()
    if call.digits == "9" and call.number:
        return call.end("outbound_stopped", OptOut(call.number))
    if answered_by.startswith("machine_end"):
        _say(call, call.response, words)
        return call.end()
    if heard == 1 or (call.digits == "1" and heard <= REPEATS):
        again = call.url("outbound", lang="", id=call.request.state("id"), heard=heard)
        gather = call.response.gather(num_digits=1, timeout=5, action=again)
        _say(call, gather, words)
        gather.pause(length=1)
        call.say("outbound_keys", gather)
    return call.end("goodbye")


def _say(call: CallContext, verb: object, words: str) -> None:
    if call.settings.company_name:
        call.say("outbound_from", verb, company=call.settings.company_name)
    prompts.say(verb, words, call.language)
