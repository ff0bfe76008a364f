"""The rules for TwiML from outside: no DTD, no entities, only our countries and hosts, limited calls."""

import re
import xml.etree.ElementTree as ET
from urllib.parse import urljoin, urlsplit

from shared import phone_numbers
from shared.config import LONGEST_CALL, Settings
from shared.errors import InvalidRequest

# Calls' Twiml parameter takes 4,000 characters; Twilio fetches documents of up to 64 KB.
MAX_INLINE = 4_000
MAX_DOCUMENT = 64_000

SSML = frozenset({"break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"})
SPOKEN = frozenset({"Say", "Play", "Pause"})
DIALED = frozenset({"Number", "Client", "Sip", "Conference", "Queue"})
# The elements that each element may hold. Verbs that reach further (Connect, Start, Pay, Refer) are refused.
CHILDREN: dict[str, frozenset[str]] = {
    "Response": SPOKEN
    | {"Gather", "Record", "Dial", "Enqueue", "Leave", "Hangup", "Reject", "Redirect", "Sms", "Message"},
    "Gather": SPOKEN,
    "Dial": DIALED,
    "Client": frozenset({"Identity", "Parameter"}),
    "Message": frozenset({"Body", "Media"}),
    "Say": SSML,
    **dict.fromkeys(SSML, SSML),
}
MAX_DEPTH = 12


class _NoDoctype(ET.TreeBuilder):
    def doctype(self, *_: object) -> None:
        raise ValueError("must not have a DOCTYPE")


def parse(
    twiml: str, settings: Settings, field: str = "twiml", *, base: str | None = None, limit: int = MAX_INLINE
) -> ET.Element:
    """The <Response>: every verb, number and URL in it is allowed, and every <Dial> has a time limit.

    A <Dial> without a timeLimit, or with a longer one, gets ours (CALL_TIME_LIMIT). Relative URLs are
    resolved against `base`, and refused without one. Raises InvalidRequest naming `field` and the fault.
    """
    if len(twiml) > limit:
        raise InvalidRequest(field, f"must be at most {limit:,} characters", status=413)
    parser = ET.XMLParser(target=_NoDoctype())  # noqa: S314 (no DOCTYPE, so no entity)
    try:
        parser.feed(twiml.strip())
        root = parser.close()
    except (ET.ParseError, ValueError) as exc:
        raise InvalidRequest(field, f"must be TwiML, which is XML: {exc}") from exc
    if root.tag != "Response":
        raise InvalidRequest(field, f"must be TwiML: its root is <{root.tag}>, not <Response>")
    try:
        _check_element(root, settings, base, MAX_DEPTH)
    except InvalidRequest as exc:
        raise InvalidRequest(field, f"{exc.field} {exc.message}", code=exc.code) from exc
    return root


def check(twiml: str, settings: Settings, field: str = "twiml") -> str:
    """TwiML to send with a call, serialized again after `parse`. Raises InvalidRequest as `parse` does."""
    written = ET.tostring(parse(twiml, settings, field), encoding="unicode")
    if len(written) > MAX_INLINE:
        problem = f"must be at most {MAX_INLINE:,} characters, with a timeLimit on every <Dial>"
        raise InvalidRequest(field, problem, status=413)
    return written


def check_url(url: str, settings: Settings, field: str = "url", *, base: str | None = None) -> str:
    """The absolute URL, if it is on PUBLIC_BASE_URL or a host of ALLOWED_TWIML_HOSTS.

    Raises InvalidRequest naming `field` and the fault.
    """
    # Browsers and Java read these characters differently from Python.
    if not url or re.search(r"[\s\\\x00-\x1f\x7f-\x9f\ud800-\udfff]", url) or len(url) > 4_000:
        raise InvalidRequest(field, "must be an http or https URL without spaces")
    try:
        absolute = urljoin(base, url) if base else url
        parts = urlsplit(absolute)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise InvalidRequest(field, "must be an http or https URL") from exc
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc:
        raise InvalidRequest(field, "must be an absolute http or https URL")
    if host != urlsplit(settings.public_base_url).hostname and host not in settings.allowed_twiml_hosts:
        raise _host_not_allowed(host, field)
    return absolute


def _host_not_allowed(host: str, field: str) -> InvalidRequest:
    problem = f"is on {host}, which ALLOWED_TWIML_HOSTS does not name"
    return InvalidRequest(field, problem, code="host_not_allowed")


def _check_element(element: ET.Element, settings: Settings, base: str | None, depth: int) -> None:
    tag = element.tag
    where = f"<{tag}>"
    if not depth:
        raise InvalidRequest(where, "is nested too deeply")
    _check_targets(element, settings, where, base)
    if tag == "Dial":
        _limit(element, settings)
    for child in element:
        if child.tag not in CHILDREN.get(tag, frozenset()):
            raise InvalidRequest(where, f"must not hold <{child.tag}>")
        if (child.tail or "").strip() and tag != "Say" and tag not in SSML:
            raise InvalidRequest(where, f"must not hold text after <{child.tag}>")
        _check_element(child, settings, base, depth - 1)


def _check_targets(element: ET.Element, settings: Settings, where: str, base: str | None) -> None:
    """Check every URL, number and SIP address that one element names."""
    tag, text = element.tag, (element.text or "").strip()
    for name, value in element.attrib.items():
        if (name == "action" or name.lower().endswith(("url", "callback"))) and (value or name != "waitUrl"):
            check_url(value.strip(), settings, f"{where} {name}", base=base)
    if tag in {"Redirect", "Media"} or (tag == "Play" and (text or "digits" not in element.attrib)):
        check_url(text, settings, where, base=base)
    elif tag == "Number" or (tag == "Dial" and text):
        phone_numbers.permitted(text, settings, where, region=phone_numbers.home(settings))
    elif tag == "Sip":
        _check_sip(text, settings, where)
    elif tag in {"Sms", "Message"} and "to" in element.attrib:
        phone_numbers.permitted(element.attrib["to"], settings, f"{where} to")


def _limit(dial: ET.Element, settings: Settings) -> None:
    """Set the timeLimit of a <Dial>: the one that it asks for, but at most ours."""
    is_conference = {child.tag for child in dial} == {"Conference"} and not (dial.text or "").strip()
    most = settings.conference_time_limit if is_conference else settings.call_time_limit
    asked = dial.get("timeLimit", str(most))
    if not re.fullmatch("[0-9]{1,5}", asked) or not 1 <= int(asked) <= LONGEST_CALL:
        raise InvalidRequest("<Dial> timeLimit", f"must be whole seconds from 1 to {LONGEST_CALL:,}")
    dial.set("timeLimit", str(min(int(asked), most)))


def _check_sip(uri: str, settings: Settings, where: str) -> None:
    match = re.fullmatch(r"sips?:[^@\s]+@([A-Za-z0-9.\-]+)(:\d+)?([;?]\S*)?", uri)
    if not match:
        raise InvalidRequest(where, "must be a SIP URI, such as sip:alice@example.com")
    if match[1].lower() not in settings.allowed_twiml_hosts:
        raise _host_not_allowed(match[1], where)
