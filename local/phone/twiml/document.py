"""Reads an answer as a TwiML document, by the rules of "TwiML for Programmable Voice"."""

from dataclasses import dataclass

from local.phone.twiml.markup import Element, ParseError, parse
from local.phone.twiml.schema import check
from local.twilio.carrier.exchange.web_requests import Answer, NoResponse
from local.twilio.model.errors import Notice

LARGEST = 64 * 1024  # bytes: error 11750's page

_TWIML_TYPES = frozenset({"text/xml", "application/xml", "text/html"})
_AUDIO_TYPES = frozenset(
    {"audio/mpeg", "audio/wav", "audio/wave", "audio/x-wav", "audio/aiff", "audio/x-aifc", "audio/x-aiff"}
    | {"audio/x-gsm", "audio/gsm", "audio/ulaw"}
)


class DocumentFailed(Exception):
    """There is no TwiML at `url`, or it cannot be carried out. `notice` says why."""

    def __init__(self, notice: Notice, url: str | None = None) -> None:
        self.notice = notice
        self.url = url
        super().__init__(str(notice))


@dataclass(frozen=True, slots=True)
class Document:
    """A TwiML document: its <Response>, and where it came from (None for TwiML given with a call)."""

    root: Element
    url: str | None
    notices: tuple[Notice, ...] = ()

    def error_in(self, verb: Element) -> Notice | None:
        """The error because of which this verb, or a noun of it, cannot be carried out."""
        places = {(each.line, each.column) for each in (verb, *verb.children)}
        return next((n for n in self.notices if n.is_error and (n.line, n.column) in places), None)


def read(answer: Answer, url: str) -> Document:
    """The document in an answer. Raises DocumentFailed with Twilio's code for what is wrong."""
    if isinstance(answer, NoResponse):
        raise DocumentFailed(Notice(answer.code, f"{answer.reason} from {url}"), url)
    url = answer.url or url
    if not 200 <= answer.status < 300:
        raise DocumentFailed(Notice(11200, f"Got HTTP {answer.status} response to {url}"), url)
    kind = answer.content_type.partition(";")[0].strip().lower()
    if kind in _AUDIO_TYPES:
        return Document(_only("Play", url), url)
    if len(answer.body) > LARGEST:
        raise DocumentFailed(Notice(11750, f"{len(answer.body)} bytes from {url}; at most {LARGEST}"), url)
    if kind == "text/plain":
        try:
            return read_twiml(answer.body, url)
        except DocumentFailed:
            return Document(_only("Say", answer.body.decode(errors="replace")), url)
    if kind not in _TWIML_TYPES:
        raise DocumentFailed(Notice(12300, f"{answer.content_type or 'no Content-Type'} from {url}"), url)
    return read_twiml(answer.body, url)


def read_twiml(body: bytes | str, url: str | None) -> Document:
    """The document of this TwiML, checked against the schema. Raises DocumentFailed (12100, 12102)."""
    place = url or "the call's Twiml"
    try:
        root = parse(body.strip())
    except ParseError as exc:
        detail = "it is empty" if not body.strip() else str(exc)
        raise DocumentFailed(Notice(12100, f"{place}: {detail}"), url) from exc
    if root.name != "Response":
        notice = Notice(12102, f"{place} begins with <{root.name[:50]}>", root.line, root.column)
        raise DocumentFailed(notice, url)
    return Document(root, url, tuple(check(root)))


def _only(verb: str, text: str) -> Element:
    return Element("Response", {}, 1, 1, [Element(verb, {}, 1, 1, [text])])
