"""The eleven Twimlets, as Twilio served them until it retired them: parameters in, TwiML out.

Unlike the originals, they call numbers in allowed countries only, and fetch from allowed hosts only.
Otherwise they apologise, hang up, and log the reason.
"""

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from twilio.twiml.voice_response import VoiceResponse

from shared import phone_numbers
from shared.config import Settings
from shared.errors import InvalidRequest, NotFound
from shared.twiml import rules
from shared.twiml.reply import Reply, Warn
from shared.twiml.request import TwilioRequest
from shared.voice import hold_music, prompts
from shared.voice.context import TRIES, CallContext
from shared.voice.voicemail import record

ROUNDS = 20
"""How often a Twimlet repeats itself at most. The originals never ended by themselves."""
PARAMETER = re.compile(r"([A-Za-z]+)(?:\[([0-9*#]{0,16})\])?")


@dataclass(frozen=True, slots=True)
class Twimlet:
    """One request of a Twimlet: its call, and its parameters as (name, index, value)."""

    name: str
    call: CallContext
    parameters: Sequence[tuple[str, str, str]]

    def many(self, name: str, most: int = 100) -> list[str]:
        """The values of Name, Name[], Name[0], Name[1]... in the order of their index, without blank ones."""
        found = [(index, value) for key, index, value in self.parameters if key == name and value.strip()]
        found.sort(key=lambda each: int(each[0]) if each[0].isdecimal() else 0)
        return [value.strip() for _, value in found][:most]

    def one(self, name: str, default: str = "") -> str:
        return next(iter(self.many(name)), default)

    def seconds(self, name: str, default: int) -> int:
        text = self.one(name)
        return min(max(int(text), 1), 600) if re.fullmatch("[0-9]{1,9}", text) else default

    def numbers(self, name: str, most: int = 10) -> list[str]:
        """Numbers in E.164 that we may call. Raises InvalidRequest naming the parameter."""
        known, region = self.call.settings, phone_numbers.home(self.call.settings)
        return [phone_numbers.permitted(text, known, name, region=region) for text in self.many(name, most)]

    def parsed(self, name: str) -> list[str]:
        """Numbers in E.164, whether we may call them or not. Raises InvalidRequest naming the parameter."""
        region = phone_numbers.home(self.call.settings)
        return [phone_numbers.parse(text, name, region=region) for text in self.many(name)]

    def lists_caller(self, name: str) -> bool:
        """Whether the caller is one of these numbers."""
        return self.call.request.get("From") in self.parsed(name)

    def again(self, **state: object) -> str:
        """The URL of this Twimlet's next step, with its parameters and `state`."""
        kept = [(f"{key}[{index}]" if index else key, value) for key, index, value in self.parameters]
        return self.url(self.name, [*kept, *((key, str(value)) for key, value in state.items())])

    def url(self, name: str, query: Iterable[tuple[str, str]]) -> str:
        carried = urlencode([pair for pair in query if pair[1]], errors="replace")
        address = f"{self.call.settings.public_base_url}/api/twimlets/{name}"
        return f"{address}?{carried}" if carried else address

    def tell(self, verb: Any, most: int = 100) -> bool:
        """Play each Message that is a URL, say any other. Returns whether there is one."""
        messages = self.many("Message", most)
        for message in messages:
            if message.startswith("http"):
                verb.play(self.allowed(message, "Message"))
            else:
                prompts.say(verb, message, prompts.of_text(message, self.call.settings))
        return bool(messages)

    def allowed(self, url: str, name: str) -> str:
        return rules.check_url(url, self.call.settings, name, base=self.call.request.url)


def twimlet(name: str, request: TwilioRequest, settings: Settings) -> Reply:
    """Answer one Twimlet. Raises NotFound for an unknown name."""
    if name not in TWIMLETS:
        raise NotFound(f"no twimlet {name[:40]!r}")
    flow, names = TWIMLETS[name]
    parameters = _parameters(request.query, names) or _parameters(request.fields, names)
    call = CallContext.of(request, settings)
    try:
        return flow(Twimlet(name, call, parameters))
    except InvalidRequest as exc:
        return replace(call, response=VoiceResponse()).end("apology", Warn(f"twimlet {name}: {exc}"))


def _parameters(pairs: Sequence[tuple[str, str]], names: set[str]) -> list[tuple[str, str, str]]:
    matches = ((PARAMETER.fullmatch(key), value) for key, value in pairs)
    return [(match[1], match[2] or "", value) for match, value in matches if match and match[1] in names]


def message(asked: Twimlet) -> Reply:
    asked.tell(asked.call.response)
    return asked.call.reply()


def menu(asked: Twimlet) -> Reply:
    call = asked.call
    options = {index: value for key, index, value in asked.parameters if key == "Options" and index and value}
    if call.digits in options:
        call.response.redirect(asked.allowed(options[call.digits], f"Options[{call.digits}]"))
        return call.reply()
    if call.digits:
        call.say("not_understood")
    rounds = call.count("rounds") + 1
    if rounds > ROUNDS:
        return call.end("goodbye")
    longest = max(map(len, options), default=1)
    asked.tell(call.ask(asked.again(rounds=rounds), num_digits=longest, finish_on_key=""))
    return call.reply()


def forward(asked: Twimlet) -> Reply:
    if asked.many("AllowedCallers") and not asked.lists_caller("AllowedCallers"):
        return asked.call.end("twimlet_forward_refused", Warn("twimlet forward: not an allowed caller"))
    return _dial(asked, asked.numbers("PhoneNumber", 1))


def callme(asked: Twimlet) -> Reply:
    return _dial(asked, asked.numbers("PhoneNumber", 1), whisper=True)


def simulring(asked: Twimlet) -> Reply:
    return _dial(asked, asked.numbers("PhoneNumbers"), whisper=True, human="1")


def findme(asked: Twimlet) -> Reply:
    count, request = asked.call.count("Next"), asked.call.request
    waiting = asked.numbers("PhoneNumbers")[count:]
    if not waiting or (request.state("Dial") and request.dial_answered):
        return _dialed(asked)
    return _dial(asked, waiting[:1], timeout=60, whisper=True, human="1", after=count + 1)


def _dial(
    asked: Twimlet,
    numbers: list[str],
    *,
    timeout: int = 20,
    whisper: bool = False,
    human: str = "",
    after: int | None = None,
) -> Reply:
    """Ring the numbers at once. after: how many were rung before, if more are to be rung in turn."""
    if asked.call.request.state("Dial") and after is None:
        return _dialed(asked)
    if not numbers:
        raise InvalidRequest("PhoneNumber", "must be a phone number")
    if failed := asked.one("FailUrl"):
        asked.allowed(failed, "FailUrl")
    dial = asked.call.response.dial(
        action=asked.again(Dial="true", **({} if after is None else {"Next": after})),
        timeout=asked.seconds("Timeout", timeout),
        time_limit=asked.call.settings.call_time_limit,
        caller_id=next(iter(asked.parsed("CallerId")), None),
    )
    said = [("Message", asked.one("Message")), ("HumanCheck", human)]
    for number in numbers:
        dial.number(number, url=asked.url("whisper", said) if whisper else None)
    return asked.call.reply()


def _dialed(asked: Twimlet) -> Reply:
    """The <Dial> has ended: hang up after a talk, else go on to FailUrl."""
    call, failed = asked.call, asked.one("FailUrl")
    if not failed or call.request.dial_answered:
        return call.end()
    call.response.redirect(asked.allowed(failed, "FailUrl"))
    return call.reply()


def whisper(asked: Twimlet) -> Reply:
    call = asked.call
    if call.digits:
        return call.reply()
    if "Digits" not in call.request.form:
        gather = call.response.gather(num_digits=1, action=asked.again())
        if not asked.tell(gather, 1):
            call.say("twimlet_whisper", gather, caller=prompts.spelled(call.request.get("From")))
        if asked.one("HumanCheck", "0").lower() in {"0", "false"}:
            return call.reply()
    return call.end()


def conference(asked: Twimlet) -> Reply:
    call = asked.call
    password, tries = asked.one("Password"), call.count("tries")
    if password and call.digits != password:
        if call.digits:
            call.say("twimlet_conference_wrong")
        if tries >= TRIES:
            return call.end("goodbye", Warn("twimlet conference: three times no password"))
        call.say("twimlet_conference_password", call.ask(asked.again(tries=tries + 1), finish_on_key="#"))
        return call.reply()
    asked.tell(call.response, 1)
    wanted, wait = asked.one("Music"), None
    if wanted in hold_music.BUCKETS:
        wait = asked.url("holdmusic", [("Bucket", f"com.twilio.music.{wanted}")])
    elif wanted:
        wait = asked.allowed(wanted, "Music")
    starts = not asked.many("Moderators") or asked.lists_caller("Moderators")
    room = prompts.clean(asked.one("Name", "conference"), 128)
    dial = call.response.dial(time_limit=call.settings.conference_time_limit)
    dial.conference(room, start_conference_on_enter=starts, wait_url=wait)
    return call.reply()


def voicemail(asked: Twimlet) -> Reply:
    language = asked.one("Language", asked.call.language)
    call = replace(asked.call, language=language if language in prompts.VOICES else prompts.ENGLISH)
    if not asked.tell(call.response, 1):
        call.say("twimlet_voicemail")
    return record(call, transcribe=asked.one("Transcribe", "true").lower() != "false")


def holdmusic(asked: Twimlet) -> Reply:
    call = asked.call
    tracks: list[str] = []
    for each in asked.many("Bucket") + asked.many("Url"):
        tracks += hold_music.tracks(each.removeprefix("com.twilio.music.")) or [asked.allowed(each, "Bucket")]
    tracks = tracks or hold_music.tracks("classical")
    rounds = call.count("rounds") + 1
    # Each round has an order of its own, which stays the same when Twilio repeats the request.
    random.Random(ascii((call.request.get("CallSid"), rounds))).shuffle(tracks)
    for track in tracks:
        call.response.play(track)
        asked.tell(call.response)
    if rounds < ROUNDS:
        call.response.redirect(asked.again(rounds=rounds))
    return call.reply()


class Echoed(VoiceResponse):  # type: ignore[misc]
    """TwiML that was given as XML."""

    def __init__(self, element: Element) -> None:
        super().__init__()
        self.element = element

    def xml(self) -> Element:
        return self.element


def echo(asked: Twimlet) -> Reply:
    call, twiml = asked.call, asked.one("Twiml")
    checked = rules.parse(twiml, call.settings, "Twiml", base=call.request.url, limit=rules.MAX_DOCUMENT)
    return Reply(Echoed(checked))


TWIMLETS: dict[str, tuple[Callable[[Twimlet], Reply], set[str]]] = {
    "message": (message, {"Message"}),
    "menu": (menu, {"Message", "Options"}),
    "forward": (forward, {"PhoneNumber", "CallerId", "FailUrl", "Timeout", "AllowedCallers"}),
    "callme": (callme, {"PhoneNumber", "Message", "FailUrl", "Timeout"}),
    "simulring": (simulring, {"PhoneNumbers", "Message", "FailUrl", "Timeout"}),
    "findme": (findme, {"PhoneNumbers", "Message", "FailUrl", "Timeout"}),
    "whisper": (whisper, {"Message", "HumanCheck"}),
    "conference": (conference, {"Moderators", "Password", "Message", "Music", "Name"}),
    "voicemail": (voicemail, {"Email", "Message", "Transcribe", "Language"}),
    "holdmusic": (holdmusic, {"Bucket", "Url", "Message"}),
    "echo": (echo, {"Twiml"}),
}
"""Each Twimlet with the names of its parameters."""
