"""The eleven Twimlets, as Twilio served them until it retired them: parameters in, TwiML out.

Unlike the originals they call allowed countries and fetch from allowed hosts only; else they apologise, hang
up, and say why in the log.
"""

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from twilio.twiml.voice_response import VoiceResponse

from shared import phone_numbers
from shared.config import Settings
from shared.errors import InvalidRequest, NotFound
from shared.twiml import rules as twiml_rules
from shared.twiml.effects import Warn
from shared.twiml.reply import Reply
from shared.twiml.request import TwilioRequest
from shared.voice import hold_music as music
from shared.voice import prompts
from shared.voice import voicemail as voice_mail
from shared.voice.context import TRIES, Call
from shared.voice.dial import answered

# The originals went round for ever where nobody pressed a key or hung up.
ROUNDS = 20
PARAMETER = re.compile(r"([A-Za-z]+)(?:\[([0-9*#]{0,16})\])?")


@dataclass(frozen=True, slots=True)
class Twimlet:
    """One request of a Twimlet: its parameters (name, index, value) beside the call it is part of."""

    name: str
    call: Call
    parameters: Sequence[tuple[str, str, str]]

    def many(self, name: str, most: int = 100) -> list[str]:
        """The values of Name, Name[] and Name[0], Name[1]... that are not blank, by index."""
        found = [(index, value) for key, index, value in self.parameters if key == name and value.strip()]
        found.sort(key=lambda each: int(each[0]) if each[0].isdecimal() else 0)
        return [value.strip() for _, value in found][:most]

    def one(self, name: str, default: str = "") -> str:
        return next(iter(self.many(name)), default)

    def seconds(self, name: str, default: int) -> int:
        text = self.one(name)
        return min(max(int(text), 1), 600) if re.fullmatch("[0-9]{1,9}", text) else default

    def numbers(self, name: str, most: int = 10) -> list[str]:
        """Numbers that may be called, in E.164. Raises InvalidRequest naming the parameter."""
        settings = self.call.settings
        region = phone_numbers.home(settings)
        return [
            phone_numbers.permitted(text, settings, name, region=region) for text in self.many(name, most)
        ]

    def lists_caller(self, name: str) -> bool:
        """Is the caller one of these numbers?"""
        region = phone_numbers.home(self.call.settings)
        listed = (phone_numbers.parse(text, name, region=region) for text in self.many(name))
        return self.call.request.get("From") in listed

    def again(self, **state: object) -> str:
        """This Twimlet's own URL with its parameters, for its next step."""
        kept = [(f"{key}[{index}]" if index else key, value) for key, index, value in self.parameters]
        return self.url(self.name, [*kept, *((key, str(value)) for key, value in state.items())])

    def url(self, name: str, query: Iterable[tuple[str, str]]) -> str:
        carried = urlencode([pair for pair in query if pair[1]], errors="replace")
        return f"{self.call.settings.public_base_url}/api/twimlets/{name}" + (
            f"?{carried}" if carried else ""
        )

    def tell(self, verb: Any, message: str) -> None:
        """Play a message that is a URL, say any other."""
        if message.startswith("http"):
            verb.play(self.allowed(message, "Message"))
        else:
            prompts.say(verb, message, prompts.of_text(message, self.call.settings))

    def allowed(self, url: str, name: str) -> str:
        return twiml_rules.check_url(url, self.call.settings, name, base=self.call.request.url)


def twimlet(name: str, request: TwilioRequest, settings: Settings) -> Reply:
    """Answer one Twimlet. Raises NotFound for a name that never was one."""
    if name not in TWIMLETS:
        raise NotFound(f"no twimlet {name[:40]!r}")
    flow, names = TWIMLETS[name]
    parameters = _parameters(request.query, names) or _parameters(request.fields, names)
    call = Call.of(request, settings)
    try:
        return flow(Twimlet(name, call, parameters))
    except InvalidRequest as exc:
        return call.end(VoiceResponse(), "apology", Warn(f"twimlet {name}: {exc}"))


def _parameters(pairs: Sequence[tuple[str, str]], names: frozenset[str]) -> list[tuple[str, str, str]]:
    matches = ((PARAMETER.fullmatch(key), value) for key, value in pairs)
    return [(match[1], match[2] or "", value) for match, value in matches if match and match[1] in names]


def message(asked: Twimlet) -> Reply:
    response = VoiceResponse()
    for each in asked.many("Message"):
        asked.tell(response, each)
    return Reply(response)


def menu(asked: Twimlet) -> Reply:
    call, response = asked.call, VoiceResponse()
    options = {index: value for key, index, value in asked.parameters if key == "Options" and index and value}
    if call.digits in options:
        response.redirect(asked.allowed(options[call.digits], f"Options[{call.digits}]"))
        return Reply(response)
    if call.digits:
        call.say(response, "twimlet_menu_wrong")
    rounds = call.count("rounds") + 1
    if rounds > ROUNDS:
        return call.end(response, "goodbye")
    longest = max(map(len, options), default=1)
    gather = response.gather(num_digits=longest, action=asked.again(rounds=rounds), finish_on_key="")
    for each in asked.many("Message"):
        asked.tell(gather, each)
    response.redirect(asked.again(rounds=rounds))
    return Reply(response)


def forward(asked: Twimlet) -> Reply:
    if asked.call.request.state("Dial"):
        return _dialed(asked)
    if asked.many("AllowedCallers") and not asked.lists_caller("AllowedCallers"):
        warning = Warn("twimlet forward: not an allowed caller")
        return asked.call.end(VoiceResponse(), "twimlet_forward_refused", warning)
    return _dial(asked, asked.numbers("PhoneNumber", 1), timeout=20)


def callme(asked: Twimlet) -> Reply:
    if asked.call.request.state("Dial"):
        return _dialed(asked)
    return _dial(asked, asked.numbers("PhoneNumber", 1), timeout=20, whisper=True)


def simulring(asked: Twimlet) -> Reply:
    if asked.call.request.state("Dial"):
        return _dialed(asked)
    return _dial(asked, asked.numbers("PhoneNumbers"), timeout=20, whisper=True, human=True)


def findme(asked: Twimlet) -> Reply:
    if asked.call.request.state("Dial") and answered(asked.call.request):
        return _dialed(asked)
    waiting = asked.numbers("PhoneNumbers")[asked.call.count("Next") :]
    if not waiting:
        return _dialed(asked)
    return _dial(asked, waiting[:1], timeout=60, whisper=True, human=True, after=asked.call.count("Next") + 1)


def _dial(
    asked: Twimlet,
    numbers: list[str],
    *,
    timeout: int,
    whisper: bool = False,
    human: bool = False,
    after: int | None = None,
) -> Reply:
    if not numbers:
        raise InvalidRequest("PhoneNumber", "must be a phone number")
    if failed := asked.one("FailUrl"):
        asked.allowed(failed, "FailUrl")
    response = VoiceResponse()
    caller_id = asked.one("CallerId")
    dial = response.dial(
        action=asked.again(Dial="true", **({} if after is None else {"Next": after})),
        timeout=asked.seconds("Timeout", timeout),
        time_limit=asked.call.settings.call_time_limit,
        caller_id=phone_numbers.parse(caller_id, "CallerId", region=phone_numbers.home(asked.call.settings))
        if caller_id
        else None,
    )
    said = [("Message", asked.one("Message")), ("HumanCheck", "1" if human else "")]
    for number in numbers:
        dial.number(number, url=asked.url("whisper", said) if whisper else None)
    return Reply(response)


def _dialed(asked: Twimlet) -> Reply:
    """After the <Dial>: they talked, or the caller goes on to FailUrl."""
    response = VoiceResponse()
    failed = asked.one("FailUrl")
    if failed and not answered(asked.call.request):
        response.redirect(asked.allowed(failed, "FailUrl"))
    else:
        response.hangup()
    return Reply(response)


def whisper(asked: Twimlet) -> Reply:
    call, response = asked.call, VoiceResponse()
    if call.digits:
        return Reply(response)
    if "Digits" not in call.request.form:
        gather = response.gather(num_digits=1, action=asked.again())
        if said := asked.one("Message"):
            asked.tell(gather, said)
        else:
            call.say(gather, "twimlet_whisper", caller=prompts.spelled(call.request.get("From")))
        if asked.one("HumanCheck", "0").lower() in {"0", "false"}:
            return Reply(response)
    response.hangup()
    return Reply(response)


def conference(asked: Twimlet) -> Reply:
    call, response = asked.call, VoiceResponse()
    password, tries = asked.one("Password"), call.count("tries")
    if password and call.digits != password:
        if call.digits:
            call.say(response, "twimlet_conference_wrong")
        if tries >= TRIES:
            return call.end(response, "goodbye", Warn("twimlet conference: three times no password"))
        gather = response.gather(finish_on_key="#", action=asked.again(tries=tries + 1))
        call.say(gather, "twimlet_conference_password")
        response.redirect(asked.again(tries=tries + 1))
        return Reply(response)
    if said := asked.one("Message"):
        asked.tell(response, said)
    wanted, wait = asked.one("Music"), None
    if wanted in music.BUCKETS:
        wait = asked.url("holdmusic", [("Bucket", f"com.twilio.music.{wanted}")])
    elif wanted:
        wait = asked.allowed(wanted, "Music")
    starts = not asked.many("Moderators") or asked.lists_caller("Moderators")
    room = prompts.clean(asked.one("Name", "conference"), 128)
    dial = response.dial(time_limit=call.settings.conference_time_limit)
    dial.conference(room, start_conference_on_enter=starts, wait_url=wait)
    return Reply(response)


def voicemail(asked: Twimlet) -> Reply:
    language = asked.one("Language", asked.call.language)
    call = Call(
        asked.call.request, asked.call.settings, language if language in prompts.VOICES else prompts.ENGLISH
    )
    response = VoiceResponse()
    if said := asked.one("Message"):
        asked.tell(response, said)
    else:
        call.say(response, "twimlet_voicemail")
    return voice_mail.record(call, response, transcribe=asked.one("Transcribe", "true").lower() != "false")


def holdmusic(asked: Twimlet) -> Reply:
    call, response = asked.call, VoiceResponse()
    tracks: list[str] = []
    for each in asked.many("Bucket") + asked.many("Url"):
        tracks += music.tracks(each.removeprefix("com.twilio.music.")) or [asked.allowed(each, "Bucket")]
    tracks = tracks or music.tracks("classical")
    rounds = call.count("rounds") + 1
    # Another order each time round, and the same for the same request.
    random.Random(ascii((call.request.get("CallSid"), rounds))).shuffle(tracks)
    for track in tracks:
        response.play(track)
        for each in asked.many("Message"):
            asked.tell(response, each)
    if rounds < ROUNDS:
        response.redirect(asked.again(rounds=rounds))
    return Reply(response)


class Echoed(VoiceResponse):  # type: ignore[misc]
    """TwiML that came as XML."""

    def __init__(self, element: Element) -> None:
        super().__init__()
        self.element = element

    def xml(self) -> Element:
        return self.element


def echo(asked: Twimlet) -> Reply:
    settings, url = asked.call.settings, asked.call.request.url
    twiml = asked.one("Twiml")
    return Reply(
        Echoed(twiml_rules.parse(twiml, settings, "Twiml", base=url, limit=twiml_rules.MAX_DOCUMENT))
    )


def _named(
    flow: Callable[[Twimlet], Reply], *names: str
) -> tuple[Callable[[Twimlet], Reply], frozenset[str]]:
    return flow, frozenset(names)


TWIMLETS = {
    "message": _named(message, "Message"),
    "menu": _named(menu, "Message", "Options"),
    "forward": _named(forward, "PhoneNumber", "CallerId", "FailUrl", "Timeout", "AllowedCallers"),
    "callme": _named(callme, "PhoneNumber", "Message", "FailUrl", "Timeout"),
    "simulring": _named(simulring, "PhoneNumbers", "Message", "FailUrl", "Timeout"),
    "findme": _named(findme, "PhoneNumbers", "Message", "FailUrl", "Timeout"),
    "whisper": _named(whisper, "Message", "HumanCheck"),
    "conference": _named(conference, "Moderators", "Password", "Message", "Music", "Name"),
    "voicemail": _named(voicemail, "Email", "Message", "Transcribe", "Language"),
    "holdmusic": _named(holdmusic, "Bucket", "Url", "Message"),
    "echo": _named(echo, "Twiml"),
}
