"""The call flows: a verified request and the settings in, TwiML and effects out. No I/O, no clock.

A call starts at `greeting`; each further step is a function in STEPS, at voice/step/{name}. To change what
callers are offered, edit OPTIONS; what they hear is in prompts.py, what we know of the company in config.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from twilio.twiml.voice_response import Gather, VoiceResponse

from shared.config import Settings
from shared.errors import NotFound
from shared.lazily import voice_client, voice_conference, voice_dial, voice_mail, voice_outbound, voice_queue
from shared.twiml.reply import Reply
from shared.twiml.request import TwilioRequest
from shared.voice import prompts
from shared.voice.context import TRIES, Call

# However patient the caller: a menu that nobody leaves ends.
MENUS = 10


def greeting(request: TwilioRequest, settings: Settings) -> Reply:
    """Twilio: a call came in."""
    call = Call.of(request, settings)
    response = VoiceResponse()
    if (call.number or "anonymous") in settings.blocked_numbers and not call.is_agent:
        response.reject(reason=settings.blocked_reason)
        return Reply(response)
    call.say(response, "welcome", company=call.company)
    if call.is_agent:
        return voice_queue.agent_menu(replace(call, language=prompts.for_team(settings)), response)
    if not call.is_open:
        call.say(response, "closed")
    return _ask(call, response)


def client(request: TwilioRequest, settings: Settings) -> Reply:
    """The softphone placed a call: dial a number, another client, or take the next caller of the queue."""
    return voice_client.dial(replace(Call.of(request, settings), language=prompts.for_team(settings)))


def outbound(request: TwilioRequest, settings: Settings, say: str) -> Reply:
    """A queued call with `say` was answered, or its listener pressed a key.

    Its Url is PUBLIC_BASE_URL/api/voice/step/outbound?id=ID; the trigger looks `say` up by that id, because
    a message text in a URL would be in every request log.
    """
    return voice_outbound.message(
        replace(Call.of(request, settings), language=prompts.of_text(say, settings)), say
    )


def step(name: str, request: TwilioRequest, settings: Settings) -> Reply:
    """A further step of a call, at voice/step/{name}. Raises NotFound for a step that is not there."""
    if name not in STEPS:
        raise NotFound(f"no step {name[:40]!r}")
    return STEPS[name](Call.of(request, settings))


def address(call: Call) -> Reply:
    """Text the company's address to the caller, and go on with the menu."""
    response = VoiceResponse()
    if call.settings.company_address and call.reachable:
        body = prompts.text(
            "address_text", call.language, company=call.company, address=call.settings.company_address
        )
        response.sms(prompts.clean(body, 1_600), to=call.reachable, from_=call.settings.from_number)
        call.say(response, "address_sent")
    else:
        call.say(response, "address_unknown")
    response.redirect(call.url("menu", heard=call.count("heard")))
    return Reply(response)


def repeat(call: Call) -> Reply:
    """The menu once more."""
    response = VoiceResponse()
    response.redirect(call.url("menu", heard=call.count("heard")))
    return Reply(response)


def other_language(call: Call) -> Reply:
    """The menu once more, in the other language."""
    return repeat(replace(call, language=_other(call.language)))


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of the menu: its prompts are option_{name} and words_{name}."""

    key: str
    name: str
    step: Callable[[Call], Reply]
    offered: Callable[[Call], bool]


OPTIONS = (
    Option("8", "language", other_language, lambda _: True),
    Option("1", "team", lambda call: voice_dial.team(call), lambda call: call.is_open and call.has_callees),
    Option("2", "queue", lambda call: voice_queue.enqueue(call), lambda call: call.is_open and call.has_line),
    Option("3", "voicemail", lambda call: voice_mail.voicemail(call), lambda _: True),
    Option("4", "address", address, lambda call: bool(call.settings.company_address)),
    Option(
        "5",
        "conference",
        lambda call: voice_conference.ask(call),
        lambda call: bool(call.settings.conference_rooms),
    ),
    Option("0", "repeat", repeat, lambda _: True),
)


def menu(call: Call) -> Reply:
    """What the caller pressed or said, or nothing; three tries, then goodbye."""
    speech = call.request.get("SpeechResult").lower()
    for option in OPTIONS:
        if option.offered(call) and (call.digits == option.key or (speech and _names(option, call, speech))):
            return option.step(call)
    response = VoiceResponse()
    tries = call.count("tries") + (1 if call.digits or speech else 0)
    if call.digits or speech:
        call.say(response, "not_understood")
    elif tries:
        call.say(response, "not_heard")
    if tries < TRIES and call.count("heard") < MENUS:
        return _ask(call, response, tries)
    return call.end(response, "goodbye")


def _ask(call: Call, response: VoiceResponse, tries: int = 0) -> Reply:
    heard = call.count("heard") + 1
    options = tuple(option for option in OPTIONS if option.offered(call))
    response.append(_choices(options, call.language, call.url("menu", tries=tries, heard=heard)))
    response.redirect(call.url("menu", tries=tries + 1, heard=heard))
    return Reply(response)


@lru_cache(maxsize=256)
def _choices(options: tuple[Option, ...], language: str, action: str) -> Gather:
    """The menu, which is most of the work of answering a call, and the same for nearly everyone."""
    gather = Gather(
        input="dtmf speech",
        num_digits=1,
        timeout=5,
        speech_timeout="auto",
        language=language,
        hints=", ".join(
            prompts.text(f"words_{option.name}", _language(option, language)) for option in options
        ),
        action=action,
    )
    for option in options:
        spoken = _language(option, language)
        prompts.say(gather, prompts.text(f"option_{option.name}", spoken, key=option.key), spoken)
        if option.name == "language":
            gather.pause(length=1)
    return gather


def _names(option: Option, call: Call, speech: str) -> bool:
    words = prompts.text(f"words_{option.name}", _language(option, call.language)).split(", ")
    return any(word in speech for word in words)


def _language(option: Option, language: str) -> str:
    """The other language is offered in that language."""
    return _other(language) if option.name == "language" else language


def _other(language: str) -> str:
    return prompts.KOREAN if language == prompts.ENGLISH else prompts.ENGLISH


# Each module is loaded by its first step: what answers a call does without.
STEPS: dict[str, Callable[[Call], Reply]] = {
    "menu": menu,
    "dialed": lambda call: voice_dial.dialed(call),
    "whisper": lambda call: voice_dial.whisper(call),
    "voicemail-saved": lambda call: voice_mail.saved(call),
    "voicemail-recorded": lambda call: voice_mail.recorded(call),
    "voicemail-transcribed": lambda call: voice_mail.transcribed(call),
    "queue-wait": lambda call: voice_queue.wait(call),
    "queue-key": lambda call: voice_queue.key(call),
    "queue-left": lambda call: voice_queue.left(call),
    "callback": lambda call: voice_queue.callback(call),
    "agent-menu": lambda call: voice_queue.agent_menu(call),
    "agent-connect": lambda call: voice_queue.connect(call),
    "agent-done": lambda call: voice_queue.agent_done(call),
    "conference-pin": lambda call: voice_conference.enter(call),
    "conference-wait": lambda call: voice_conference.wait(call),
    "conference-left": lambda call: voice_conference.left(call),
    "client-left": lambda call: voice_client.left(call),
}
