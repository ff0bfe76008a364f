"""What every step of a call works with: the request, the settings, and the caller's language."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from twilio.twiml.voice_response import VoiceResponse

from shared.config import Settings
from shared.twiml.reply import Reply
from shared.twiml.request import TwilioRequest
from shared.voice import prompts

if TYPE_CHECKING:
    from shared.twiml.reply import Effect

TRIES = 3

# What carriers send for a withheld number: ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN, UNAVAILABLE on a keypad.
WITHHELD = frozenset({"+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"})


@dataclass(frozen=True, slots=True)
class CallContext:
    """One request of a call, and the TwiML that a flow makes to answer it.

    The (signed) URLs carry the state of the call from step to step.
    """

    request: TwilioRequest
    settings: Settings
    language: str
    response: VoiceResponse = field(default_factory=VoiceResponse)

    @classmethod
    def of(cls, request: TwilioRequest, settings: Settings, language: str = "") -> "CallContext":
        """language: by default the one that the caller chose, or the one spoken where the caller is."""
        chosen = language or request.state("lang")
        country = request.get("ToCountry" if _outbound(request) else "FromCountry")
        known = chosen in prompts.VOICES
        return cls(request, settings, chosen if known else prompts.for_caller(country, settings))

    def url(self, step: str, **state: object) -> str:
        """The absolute URL of a step. It carries the language, unless `lang` is "", and `state`."""
        query = {"lang": self.language, **state}
        carried = "&".join(
            f"{name}={quote_plus(str(value), errors='replace')}"
            for name, value in query.items()
            if value != ""
        )
        return f"{self.settings.public_base_url}/api/voice/step/{step}" + (f"?{carried}" if carried else "")

    def say(self, name: str, into: Any = None, **values: object) -> None:
        """Say one prompt. into: the Gather that says it; by default, the response itself does."""
        words = prompts.text(name, self.language, **values)
        prompts.say(self.response if into is None else into, words, self.language)

    def ask(self, url: str, **options: Any) -> Any:
        """A Gather that sends the keys to `url`. If the caller presses none, the call goes there too."""
        gather = self.response.gather(action=url, **options)
        self.response.redirect(url)
        return gather

    def ask_key(self, step: str, prompt: str, **values: object) -> Reply:
        """Ask for one key and send it to `step`. The third time without an answer ends the call."""
        tries = self.count("tries") + 1
        if tries > TRIES:
            return self.end("goodbye")
        self.say(prompt, self.ask(self.url(step, tries=tries), num_digits=1, timeout=6), **values)
        return self.reply()

    def end(self, prompt: str = "", *effects: "Effect") -> Reply:
        """Say one last prompt, and hang up."""
        if prompt:
            self.say(prompt)
        self.response.hangup()
        return self.reply(*effects)

    def reply(self, *effects: "Effect") -> Reply:
        """The answer to Twilio as it stands now."""
        return Reply(self.response, effects)

    def count(self, name: str) -> int:
        """A counter that an earlier step put into the URL; 0 if there is none."""
        return whole(self.request.state(name))

    @property
    def digits(self) -> str:
        return self.request.get("Digits")

    @property
    def company(self) -> str:
        return self.settings.company_name or prompts.text("us", self.language)

    @property
    def person(self) -> str:
        """The other end, as Twilio names it: E.164, client:name, sip:..., or a word such as anonymous."""
        return self.request.get("To" if _outbound(self.request) else "From")

    @property
    def number(self) -> str | None:
        """The other end's number; None if it is withheld, or if the other end is no telephone."""
        known = re.fullmatch(r"\+[1-9][0-9]{6,14}", self.person) and self.person not in WITHHELD
        return self.person if known else None

    @property
    def reachable(self) -> str | None:
        """The other end's number, if we may call and text it."""
        from shared import phone_numbers

        return self.number if self.number and phone_numbers.allowed(self.number, self.settings) else None

    @property
    def is_agent(self) -> bool:
        """Whether this is one of the team, by number or address, or a signed-in softphone."""
        team = {*self.settings.team_numbers, self.settings.owner_number}
        return self.person in team or self.person.startswith("client:")

    @property
    def is_open(self) -> bool:
        if not self.settings.business_hours:
            return True
        from shared.times import business_hours

        return business_hours.is_open(self.settings.business_hours, self.settings.time_zone, self.request.now)

    @property
    def callees(self) -> tuple[str, ...]:
        """Whom a caller reaches: the team, or else the owner; never the caller's own phone."""
        targets = self.settings.team_numbers or tuple(filter(None, [self.settings.owner_number]))
        return tuple(target for target in targets if target != self.person)

    @property
    def local_time(self) -> str:
        """Now, in the company's time zone, such as 2030-01-31 09:05."""
        from zoneinfo import ZoneInfo

        return f"{self.request.now.astimezone(ZoneInfo(self.settings.time_zone)):%Y-%m-%d %H:%M}"


def whole(text: str) -> int:
    """A whole number from a request, up to six digits; 0 for anything else."""
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else 0


def _outbound(request: TwilioRequest) -> bool:
    return request.get("Direction").startswith("outbound")
