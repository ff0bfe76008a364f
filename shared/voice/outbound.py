"""Outbound: what someone hears whom a queued call rings."""

from twilio.twiml.voice_response import VoiceResponse

from shared.twiml.effects import OptOut
from shared.twiml.reply import Reply
from shared.voice import prompts
from shared.voice.context import Call

# A key held down must not keep the line for ever.
REPEATS = 5


def message(call: Call, words: str) -> Reply:
    """Say it; 1 hears it again, 9 is never called again. A machine gets it after its beep.

    With machine_detection DetectMessageEnd Twilio waits for the beep; with Enable it answers at once that a
    machine is there (machine_start), and then we hang up rather than talk to its greeting.
    """
    response = VoiceResponse()
    answered_by = call.request.get("AnsweredBy")
    heard = call.count("heard") + 1
    if answered_by in {"machine_start", "fax"}:
        response.hangup()
        return Reply(response)
    if call.digits == "9" and call.number:
        return call.end(response, "outbound_stopped", OptOut(call.number))
    if answered_by.startswith("machine_end"):
        _say(call, response, words)
        response.hangup()
        return Reply(response)
    if heard == 1 or (call.digits == "1" and heard <= REPEATS):
        again = call.url("outbound", lang="", id=call.request.state("id"), heard=heard)
        gather = response.gather(num_digits=1, timeout=5, action=again)
        _say(call, gather, words)
        gather.pause(length=1)
        call.say(gather, "outbound_keys")
    return call.end(response, "goodbye")


def _say(call: Call, verb: object, words: str) -> None:
    if call.settings.company_name:
        call.say(verb, "outbound_from", company=call.settings.company_name)
    prompts.say(verb, words, call.language)
