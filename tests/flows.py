"""Runs call flows without a server: form fields in, parsed TwiML and effects out."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, urljoin, urlsplit

from shared.config import Settings
from shared.errors import NotFound
from shared.twiml.reply import Effect, Reply
from shared.twiml.request import TwilioRequest
from shared.voice import menu, outbound, softphone, steps, twimlets
from tests import clock

PUBLIC = "https://switchboard.example.com"
OURS, CALLER, ANNA, BEN, OWNER = (f"+1202555010{digit}" for digit in range(5))
NOW = clock.NOW.replace(year=2008, month=1, day=31, hour=14, minute=5)  # a Thursday
CALL_SID = "CA" + "1" * 32
RECORDING_SID = "RE" + "2" * 32
REQUIRED = {
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "twilio_test_auth_token",
    "TWILIO_FROM_NUMBER": OURS,
    "PUBLIC_BASE_URL": PUBLIC,
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "SMS_SCHEDULE": "0 * * * * *",
}
COMPANY = {
    "COMPANY_NAME": "Example & Sons",
    "COMPANY_ADDRESS": "1 Main Street",
    "OWNER_NUMBER": OWNER,
    "TEAM_NUMBERS": f"{ANNA},{BEN},client:carol,sip:dave@example.com",
    "CONFERENCE_ROOMS": "standup:4321,board:8765",
    "ALLOWED_TWIML_HOSTS": "media.example.com",
}


def settings(**environ: str) -> Settings:
    return Settings.from_env(REQUIRED | environ)


def company(**environ: str) -> Settings:
    """Everything that a company can set is set."""
    return settings(**(COMPANY | environ))


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request, as Twilio reads it."""

    twiml: ET.Element
    effects: tuple[Effect, ...]

    @property
    def heard(self) -> str:
        return " ".join(say.text or "" for say in self.twiml.iter("Say"))

    @property
    def verbs(self) -> list[str]:
        return [verb.tag for verb in self.twiml]

    def find(self, path: str) -> ET.Element:
        found = self.twiml.find(path)
        assert found is not None, f"no {path} in {ET.tostring(self.twiml, encoding='unicode')}"
        return found

    def url(self, path: str, attribute: str = "action") -> str:
        return self.find(path).attrib[attribute]


def parse(xml: str) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314 (our own)


def request(
    url: str, form: Mapping[str, str] | None = None, *, method: str = "POST", now: datetime = NOW
) -> TwilioRequest:
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    fields = {
        "CallSid": CALL_SID,
        "AccountSid": "AC" + "0" * 32,
        "From": CALLER,
        "To": OURS,
        "Direction": "inbound",
        "FromCountry": "US",
        **(form or {}),
    }
    if method == "GET":
        query += fields.items()
        return TwilioRequest(dict(reversed(query)), query, (), method, url, now)
    return TwilioRequest(fields, query, tuple(fields.items()), method, url, now)


def ask(
    known: Settings,
    url: str,
    form: Mapping[str, str] | None = None,
    *,
    say: str = "Hello",
    method: str = "POST",
    now: datetime = NOW,
) -> Answer:
    """Send a request to the flow behind `url`, or behind a path under /api/."""
    url = urljoin(f"{PUBLIC}/api/", url)
    assert url.startswith(f"{PUBLIC}/api/"), f"{url} is not ours"
    reply = route(urlsplit(url).path.split("/")[2:], request(url, form, method=method, now=now), known, say)
    return Answer(parse(str(reply.twiml)), reply.effects)


def route(path: list[str], asked: TwilioRequest, known: Settings, say: str) -> Reply:
    match path:
        case ["voice"]:
            return menu.greeting(asked, known)
        case ["voice", "client"]:
            return softphone.client(asked, known)
        case ["voice", "step", "outbound"]:
            return outbound.outbound(asked, known, say)
        case ["voice", "step", name]:
            return steps.step(name, asked, known)
        case ["twimlets", name]:
            return twimlets.twimlet(name, asked, known)
    raise AssertionError(path)


def walk(known: Settings, url: str, form: Mapping[str, str], key: str = "") -> Iterator[str]:
    """The URLs that a call fetches if its caller presses `key` at every Gather, or never any key.

    Nobody answers a Dial, nothing is recorded, and the queue is full. An unknown step ends the call.
    """
    pending: list[tuple[str, dict[str, str]]] = [(url, {})]
    while pending:
        url, extra = pending.pop()
        yield url
        try:
            answer = ask(known, url, {**form, **extra})
        except NotFound:
            return
        for verb in answer.twiml:
            action = verb.get("action")
            following: tuple[str, dict[str, str]] | None = None
            if verb.tag == "Gather" and key and action:
                following = action, {"Digits": key}
            elif verb.tag == "Dial" and action:
                following = action, {"DialCallStatus": "no-answer", "DialBridged": "false"}
            elif verb.tag == "Enqueue" and action:
                following = action, {"QueueResult": "queue-full"}
            elif verb.tag == "Redirect":
                following = (verb.text or ""), {}
            if following and following[0].startswith(f"{PUBLIC}/api/"):
                pending.append(following)
            if following or verb.tag in {"Hangup", "Reject"}:
                break
