"""A request's path, query and headers as the real host's web server hands them on.

Sources: in dotnet/aspnetcore Http1Connection, PathDecoder, UrlDecoder and PathNormalizer (all of Kestrel),
PathString and QueryFeature; in dotnet/runtime StringValues and Uri.UnescapeDataString. Microsoft's host was
seen to answer 400 to a header beyond ASCII.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

_PERCENT_ENCODED = re.compile("(?:%[0-9a-fA-F]{2})+")
_LEFT_IN_A_PATH = "/!$&'()*+,;=:@-._~"


class BadRequest(ValueError):
    """What the web server answers with 400 before any function sees it."""


def path(raw: str) -> str:
    """The path that is routed: percent-decoded but for slashes, with `.` and `..` resolved.

    Raises BadRequest.
    """
    if not raw.isascii() or "\0" in raw:
        raise BadRequest("a path must be ASCII")
    # The odd parts are slashes that were encoded, and stay so.
    parts = re.split("(%2[fF])", raw)
    decoded = "".join(part if number % 2 else _unescaped(part) for number, part in enumerate(parts))
    if "\0" in decoded:
        raise BadRequest("a path must not have a null character")
    return _without_dots(decoded)


def url_path(decoded: str) -> str:
    """The path in the URL that a function is given: encoded again, so not always as it was sent."""
    parts = re.split("(%[0-9a-fA-F]{2})", decoded)
    return "".join(part if number % 2 else quote(part, _LEFT_IN_A_PATH) for number, part in enumerate(parts))


def query(raw: str) -> dict[str, list[str]]:
    """The values by name. Names are one whatever their case, and spelled as the first of them is."""
    found: dict[str, list[str]] = {}
    spelled: dict[str, str] = {}
    for pair in raw.split("&"):
        if pair:
            name, value = (_unescaped(part.replace("+", " ")) for part in pair.partition("=")[::2])
            found.setdefault(spelled.setdefault(name.lower(), name), []).append(value)
    return found


def headers(sent: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names in lower case, repeated ones joined. Raises BadRequest where a value is not ASCII."""
    found: dict[str, list[str]] = {}
    for name, value in sent:
        if not value.isascii():
            raise BadRequest(f"the header {name} must be ASCII")
        found.setdefault(name.lower(), []).append(value)
    return {name: joined(values) for name, values in found.items()}


def joined(values: list[str]) -> str:
    """Several values in one text, without those that are empty."""
    return ",".join(value for value in values if value)


def first(values: Mapping[str, list[str]], name: str) -> str | None:
    """The first value of a name in any case, None where the query does not have it."""
    return next((found[0] for key, found in values.items() if key.lower() == name), None)


def _without_dots(decoded: str) -> str:
    """RFC 3986, section 5.2.4."""
    kept: list[str] = []
    parts = decoded.split("/")[1:]
    for part in parts:
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    if parts[-1:] in ([".."], ["."]):
        kept.append("")
    return "/" + "/".join(kept)


def _unescaped(text: str) -> str:
    """Percent-decoded as UTF-8. What is no UTF-8 stays as it was written."""
    return _PERCENT_ENCODED.sub(lambda match: _decoded(match[0]), text)


def _decoded(run: str) -> str:
    raw, done = bytes.fromhex(run.replace("%", "")), ""
    at = 0
    while at < len(raw):
        try:
            return done + raw[at:].decode()
        except UnicodeDecodeError as exc:
            wrong = range(at + exc.start, at + exc.end)
            done += raw[at : wrong.start].decode() + run[3 * wrong.start : 3 * wrong.stop]
            at = wrong.stop
    return done
