"""The further steps of a call: each is a function of its CallContext, at voice/step/{name}."""

from collections.abc import Callable
from dataclasses import replace

from shared.config import Settings
from shared.errors import NotFound
from shared.twiml.reply import Reply
from shared.twiml.request import TwilioRequest
from shared.voice import agents, conference, dial, prompts, queue, softphone, voicemail
from shared.voice.context import TRIES, CallContext
from shared.voice.menu import OPTIONS, ask, offered, other, words

MENUS = 10
"""How often a caller may hear the menu before the call ends."""


def step(name: str, request: TwilioRequest, settings: Settings) -> Reply:
    """A further step of a call. Raises NotFound if there is no step by that name."""
    if name not in STEPS:
        raise NotFound(f"no step {name[:40]!r}")
    return STEPS[name](CallContext.of(request, settings))


def menu(call: CallContext) -> Reply:
    """Do what the caller pressed or said, or ask again: three tries, then goodbye."""
    speech = call.request.get("SpeechResult").lower()
    for option in offered(call):
        said = speech and any(word in speech for word in words(option, call.language).split(", "))
        if call.digits == OPTIONS[option] or said:
            return CHOICES[option](call)
    answered = bool(call.digits or speech)
    tries = call.count("tries") + answered
    if answered:
        call.say("not_understood")
    elif tries:
        call.say("not_heard")
    if tries < TRIES and call.count("heard") < MENUS:
        return ask(call, tries)
    return call.end("goodbye")


def address(call: CallContext) -> Reply:
    """Text the company's address to the caller, and go on with the menu."""
    if not (call.settings.company_address and call.reachable):
        return repeat(call, "address_unknown")
    text = prompts.text(
        "address_text", call.language, company=call.company, address=call.settings.company_address
    )
    call.response.sms(prompts.clean(text, 1_600), to=call.reachable, from_=call.settings.from_number)
    return repeat(call, "address_sent")


def repeat(call: CallContext, prompt: str = "") -> Reply:
    """The menu once more, after a prompt."""
    if prompt:
        call.say(prompt)
    call.response.redirect(call.url("menu", heard=call.count("heard")))
    return call.reply()


def other_language(call: CallContext) -> Reply:
    """The menu once more, in the other language."""
    return repeat(replace(call, language=other(call.language)))


CHOICES: dict[str, Callable[[CallContext], Reply]] = {
    "language": other_language,
    "team": dial.team,
    "queue": queue.enqueue,
    "voicemail": voicemail.voicemail,
    "address": address,
    "conference": conference.ask,
    "repeat": repeat,
}
"""What each option of the menu does."""

STEPS: dict[str, Callable[[CallContext], Reply]] = {
    "menu": menu,
    "dialed": dial.dialed,
    "whisper": dial.whisper,
    "voicemail-saved": voicemail.saved,
    "voicemail-recorded": voicemail.recorded,
    "voicemail-transcribed": voicemail.transcribed,
    "queue-wait": queue.wait,
    "queue-key": queue.key,
    "queue-left": queue.left,
    "callback": queue.callback,
    "agent-menu": agents.menu,
    "agent-connect": agents.connect,
    "agent-done": agents.done,
    "conference-pin": conference.enter,
    "conference-wait": conference.wait,
    "conference-left": conference.left,
    "client-left": softphone.left,
}
