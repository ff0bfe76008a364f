"""The menu: what a caller hears first. Pure: a verified request and the settings in, TwiML and effects out.

A call starts at `greeting`. Every further step of it is in steps.py. To change what callers are offered, edit
OPTIONS here and CHOICES there; the words are in languages/, and what we know of the company is in config.py.
"""

from dataclasses import replace
from functools import lru_cache

from twilio.twiml.voice_response import Gather

from shared.config import Settings
from shared.twiml.reply import Reply
from shared.twiml.request import TwilioRequest
from shared.voice import prompts
from shared.voice.context import CallContext

OPTIONS = {
    "language": "8",
    "team": "1",
    "queue": "2",
    "voicemail": "3",
    "address": "4",
    "conference": "5",
    "repeat": "0",
}
"""Each option with its key, in the order that callers hear. Its prompts are option_NAME and words_NAME."""


def greeting(request: TwilioRequest, settings: Settings) -> Reply:
    """Twilio: a call came in."""
    call = CallContext.of(request, settings)
    if (call.number or "anonymous") in settings.blocked_numbers and not call.is_agent:
        call.response.reject(reason=settings.blocked_reason)
        return call.reply()
    call.say("welcome", company=call.company)
    if call.is_agent:
        from shared.voice import agents

        return agents.menu(replace(call, language=prompts.for_team(settings)))
    if not call.is_open:
        call.say("closed")
    return ask(call)


def offered(call: CallContext) -> tuple[str, ...]:
    """The options that this caller has."""
    known = call.settings
    # The team, or a softphone, can take callers out of the queue.
    has_agents = known.team_numbers or known.owner_number or (known.api_key and known.twiml_app_sid)
    missing = {
        "team": not (call.is_open and call.callees),
        "queue": not (call.is_open and has_agents),
        "address": not known.company_address,
        "conference": not known.conference_rooms,
    }
    return tuple(option for option in OPTIONS if not missing.get(option))


def ask(call: CallContext, tries: int = 0) -> Reply:
    """Offer the options. The answer goes to the step `menu`."""
    heard = call.count("heard") + 1
    call.response.append(_choices(offered(call), call.language, call.url("menu", tries=tries, heard=heard)))
    call.response.redirect(call.url("menu", tries=tries + 1, heard=heard))
    return call.reply()


@lru_cache(maxsize=256)
def _choices(options: tuple[str, ...], language: str, action: str) -> Gather:
    """The menu, kept: it is most of the work of answering a call, and the same for nearly everyone."""
    gather = Gather(
        input="dtmf speech",
        num_digits=1,
        timeout=5,
        speech_timeout="auto",
        language=language,
        hints=", ".join(words(option, language) for option in options),
        action=action,
    )
    for option in options:
        spoken = _spoken(option, language)
        prompts.say(gather, prompts.text(f"option_{option}", spoken, key=OPTIONS[option]), spoken)
        if option == "language":
            gather.pause(length=1)
    return gather


def words(option: str, language: str) -> str:
    """What a caller may say to choose an option, with commas between."""
    return prompts.text(f"words_{option}", _spoken(option, language))


def other(language: str) -> str:
    return prompts.KOREAN if language == prompts.ENGLISH else prompts.ENGLISH


def _spoken(option: str, language: str) -> str:
    """The language of an option's prompts: the option `language` is offered in the other language."""
    return other(language) if option == "language" else language
