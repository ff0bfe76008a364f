"""Why a webhook's signature is refused: compute it again with each mistake that people make.

Twilio signs the URL that it is configured with. The app checks PUBLIC_BASE_URL with the path and query that
reached it. If the two differ, then a signature over a URL with the same mistake fits, and names the mistake.
"""

import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from twilio.request_validator import RequestValidator

from shared.voice.steps import STEPS
from shared.voice.twimlets import TWIMLETS

MOST_MISTAKES = 2
"""So many mistakes at once are tried; more would be guesswork."""

EDGES = (
    "(ashburn|dublin|frankfurt|sao-paulo|singapore|sydney|tokyo|umatilla"
    "|(ashburn|frankfurt|london|san-jose|singapore)-ix)"
)
FAILURES = "(4xx|5xx|ct|rt|all)"
OVERRIDE = rf"((ct|rt|tt|rc)=[0-9]{{1,5}}|rp={FAILURES}(,{FAILURES})*|sni=[yn]|e={EDGES}(,{EDGES})*)"
OVERRIDES = re.compile(f"{OVERRIDE}(&{OVERRIDE})*")
"""Twilio docs: Webhook connection overrides, every one with the values that Twilio takes."""

WEBHOOKS = (
    "voice", "voice/client", "voice/status", *(f"voice/step/{step}" for step in STEPS),
    "sms", "sms/status", *(f"twimlets/{name}" for name in TWIMLETS),
)  # fmt: skip
OUR_PATH = re.compile(f"(?P<before>/.*?)??(?P<ours>(/api)?/({'|'.join(WEBHOOKS)})/?)")
"""A webhook's path, also where a proxy puts something before it, takes /api away or adds a slash."""
PLACE = re.compile(
    r"(?P<origin>([a-z][a-z0-9+.-]*://)?(\.\.\.@)?(\[[0-9a-f:.]*\]?|[\w.-]*)(:[0-9]*)?)"
    r"(?P<odd>[^/]*)(?P<path>.*)",
    re.IGNORECASE | re.DOTALL,
)
"""It matches any text. odd: characters that no host has."""
NAMED = re.compile(r"([\w.-]{1,32}=)[^=].*", re.DOTALL)
"""A name in a query, with a value. The padding of base64 is not a value."""

MENDS = {
    "scheme": "use the same scheme in both: https, in Twilio's URL and in PUBLIC_BASE_URL",
    "host": "set PUBLIC_BASE_URL to the host that Twilio calls, or connect the number anew",
    "port": "set PUBLIC_BASE_URL with the port that Twilio calls, or without one if it calls none",
    "slash": "something on the way adds or removes the slash at the end: leave it out at Twilio",
    "code": "take ?code= out of Twilio's URL: webhooks need no function key, and it would be in every log",
    "query": "something on the way drops or changes the query: let the proxy pass it on as it is",
    "encoding": "a proxy decodes or encodes the URL anew: let it pass the URL on as it is",
    "prefix": "a proxy takes a part of the path away: give Twilio the path that the app sees",
    "token": "set TWILIO_AUTH_TOKEN of the app to the account's present auth token",
    "account": "set TWILIO_ACCOUNT_SID of the app to the account that the number belongs to",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """mistakes: names, as in MENDS. expected: the URL that the app checked, where Twilio signed another."""

    mistakes: tuple[str, ...]
    signed: str
    expected: str
    token: str

    def __str__(self) -> str:
        parts = []
        if self.expected != self.signed:
            # What was encoded anew is seen in the values alone.
            show = shown if "encoding" in self.mistakes else masked
            parts.append(f"Twilio signs {show(self.signed)}, the app checks {show(self.expected)}")
        if "token" in self.mistakes:
            parts.append(f"the app checks with {self.token}")
        return "; ".join(parts)

    @property
    def mend(self) -> str:
        return ". ".join(MENDS[name][0].upper() + MENDS[name][1:] for name in self.mistakes)


def explain(
    signature: str,
    url: str,
    fields: Mapping[str, str],
    tokens: Mapping[str, str],
    bases: tuple[str, ...] = (),
) -> Explanation | None:
    """Why this signature does not fit `url`, which the app checked with the first of `tokens`.

    tokens: name -> auth token. bases: other origins that Twilio may call. None where no likely mistake fits.
    """

    def fits(candidate: str, token: str) -> bool:
        return hmac.compare_digest(RequestValidator(token).compute_signature(candidate, fields), signature)

    for mistakes, signed, token in attempts(url, tokens, bases):
        if fits(signed, tokens[token]):
            return Explanation(mistakes, signed, url, token)
    return None


def probe(
    accepts: Callable[[str, str], bool], url: str, tokens: Mapping[str, str], bases: tuple[str, ...] = ()
) -> Explanation | None:
    """The same from outside: find the URL and token whose signature the app accepts at `url`.

    accepts: sends a request signed for this URL with this token, and says whether the app accepted it.
    """
    for mistakes, expected, token in attempts(url, tokens, bases):
        if accepts(expected, tokens[token]):
            return Explanation(mistakes, url, expected, token)
    return None


def attempts(
    url: str, tokens: Mapping[str, str], bases: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """(mistakes, URL, name of the token): without a mistake, then with one, then with two. Each URL once."""
    found: list[tuple[tuple[str, ...], str, str]] = []
    for (origin, wrong), (path, bent), (position, token) in product(
        _origins(urlsplit(url), bases), _paths(urlsplit(url)), enumerate(tokens)
    ):
        mistakes = (*wrong, *bent, *(["token"] if position else []))
        if len(mistakes) <= MOST_MISTAKES:
            found.append((mistakes, origin + path, token))
    seen: set[tuple[str, str]] = set()
    for mistakes, candidate, token in sorted(found, key=lambda each: len(each[0])):
        if (candidate, token) not in seen:
            seen.add((candidate, token))
            yield mistakes, candidate, token


def _origins(url: SplitResult, bases: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    others = [urlsplit(base) for base in bases]
    schemes = dict.fromkeys((url.scheme, "https", "http"))
    hosts = dict.fromkeys(
        (url.hostname or "", *(each.hostname or "" for each in others), "localhost", "127.0.0.1")
    )
    ports = dict.fromkeys((url.port, *(each.port for each in others), None))
    for scheme, host, port in product(schemes, hosts, ports):
        wrong = (
            *(["scheme"] if scheme != url.scheme else []),
            *(["host"] if host != url.hostname else []),
            *(["port"] if port != url.port else []),
        )
        yield f"{scheme}://{host}{f':{port}' if port else ''}", wrong


def _paths(url: SplitResult) -> Iterator[tuple[str, tuple[str, ...]]]:
    plain = urlunsplit(("", "", url.path, url.query, ""))
    yield plain, ()
    for path, name in (
        (url.path.removesuffix("/") if url.path.endswith("/") else f"{url.path}/", "slash"),
        (f"/{url.path.split('/', 2)[2]}" if url.path.count("/") > 1 else url.path, "prefix"),
    ):
        yield urlunsplit(("", "", path, url.query, "")), (name,)
    if url.query:
        pairs = url.query.split("&")
        without = "&".join(pair for pair in pairs if not pair.startswith("code="))
        if without != url.query:
            yield urlunsplit(("", "", url.path, without, "")), ("code",)
        yield url.path, ("query",)
    for other in (
        unquote(plain),
        quote(unquote(plain), safe="/?&=:+,"),
        plain.replace("%20", "+"),
        plain.replace("+", "%20"),
    ):
        if other != plain:
            yield other, ("encoding",)


def shown(url: str) -> str:
    """A URL for people and logs, without the value of code= and without a password."""
    head, mark, tail = without_password(url).partition("code=")
    return f"{head}{mark}...{tail[tail.find('&') :] if '&' in tail else ''}" if mark else head


def masked(url: str) -> str:
    """A URL that may hold any secret, without it: scheme, host, and the names in its query.

    The path stays if it is one of Switchboard's webhooks. Elsewhere (Make, Zapier, Slack) the path is the
    secret. The fragment stays if it holds nothing but Twilio's connection overrides.
    """
    address, hash_, fragment = without_password(url).partition("#")
    place, mark, query = address.partition("?")
    parts = PLACE.fullmatch(place)
    assert parts  # noqa: S101 - it fits anything at all
    origin = f"{parts['origin']}{'...' if parts['odd'] else ''}{_masked_path(parts['path'])}"
    pairs = (NAMED.fullmatch(pair) for pair in query.split("&"))
    names = "&".join(f"{pair[1]}..." if pair else "..." for pair in pairs)
    kept = fragment if OVERRIDES.fullmatch(fragment) else "..."
    return f"{origin}{mark}{names if query else ''}{hash_}{kept if fragment else ''}"


def _masked_path(path: str) -> str:
    known = OUR_PATH.fullmatch(path)
    if known:
        return f"{'/...' if known['before'] else ''}{known['ours']}"
    return "/..." if path.strip("/") else path


def without_password(url: str) -> str:
    """The same URL without its user and password; "..." where they cannot be found."""
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        return "..." if "@" in url else url
    end = min((place for each in "/?#" if (place := rest.find(each)) >= 0), default=len(rest))
    user, at, host = rest[:end].rpartition("@")
    return f"{scheme}://{'...' if user else ''}{at}{host}{rest[end:]}"
