"""Requests that Twilio would make, and their answers. Nothing here opens a connection."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from twilio.request_validator import RequestValidator

METHODS = ("GET", "POST")

type Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a document comes from: a URL, or TwiML itself (the Twiml parameter of a call)."""

    url: str | None
    method: str = "POST"
    params: Params = ()
    twiml: str | None = None


@dataclass(frozen=True, slots=True)
class WebRequest:
    """One request to the application.

    target: the URL as it stands in the TwiML or in the number's settings. params: what Twilio sends.
    purpose: why it is made, such as "call document". at: seconds on the exchange's clock.
    wants_twiml: whether its answer is a document.
    """

    id: int
    call_sid: str
    method: str
    target: str
    params: Params
    purpose: str
    at: float
    wants_twiml: bool

    @property
    def url(self) -> str:
        """The URL that is requested and signed. A GET has the parameters in its query."""
        return with_query(self.target, self.params) if self.method == "GET" else self.target

    @property
    def form(self) -> Params:
        """The body of a POST, before it is encoded."""
        return self.params if self.method == "POST" else ()

    def headers(self, auth_token: str) -> dict[str, str]:
        """The headers that Twilio sends, with its signature."""
        signature = RequestValidator(auth_token).compute_signature(self.url, dict(self.form))
        headers = {"X-Twilio-Signature": signature, "User-Agent": "TwilioProxy/1.1", "Accept": "*/*"}
        if self.method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
        return headers

    @property
    def body(self) -> bytes:
        """The body of a POST, encoded."""
        return urlencode(self.form).encode()


@dataclass(frozen=True, slots=True)
class WebResponse:
    """The answer of the application. url: where it came from, if there were redirects."""

    status: int
    content_type: str
    body: bytes
    url: str | None = None


@dataclass(frozen=True, slots=True)
class NoResponse:
    """No answer came. code: Twilio's, such as 11200 (timed out), 11205 (connection) or 11210 (host name)."""

    code: int
    reason: str


type Answer = WebResponse | NoResponse


def with_query(url: str, params: Iterable[tuple[str, str]]) -> str:
    """The URL with `params` at the end of its query, as Twilio does for GET."""
    added = urlencode(list(params))
    parts = urlsplit(url)
    query = f"{parts.query}&{added}" if parts.query and added else parts.query or added
    return urlunsplit(parts._replace(query=query))


def resolve(base: str | None, reference: str) -> str:
    """The absolute http(s) URL for the value of an attribute or a <Redirect>, relative to its document.

    Raises ValueError saying what is wrong: another scheme, no host, or a relative URL with no document.
    """
    try:
        reference = reference.strip()
        is_whole = urlsplit(reference).scheme != ""
        url = reference if is_whole or base is None else urljoin(base, reference)
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise ValueError(f"{reference[:100]!r} is not a URL: {exc}") from exc
    if parts.scheme not in {"http", "https"}:
        if not base and not parts.scheme:
            raise ValueError(f"{reference[:100]!r} is relative, and TwiML given with the call has no URL")
        raise ValueError(f"{reference[:100]!r} is not an http or https URL")
    if not host:
        raise ValueError(f"{reference[:100]!r} has no host name")
    return urlunsplit(parts._replace(fragment=""))
