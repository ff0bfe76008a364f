"""The pages, softphone and console: static files that `npm run build` puts into web/build."""

import gzip
import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import SettingsError

if TYPE_CHECKING:
    from shared.services import Services

BUILT = Path(__file__).parent.parent / "web" / "build"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src {connect}; "
    "media-src {media}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
POLICIES = {
    "console.html": STRICT.format(connect="'self'", media="blob:"),
    # Twilio's signalling and its call quality reports; blob: is for the tones that the page makes itself.
    "softphone.html": STRICT.format(
        connect="'self' blob: https://*.twilio.com wss://*.twilio.com", media="blob: mediastream:"
    ),
}
DEFAULT_PHONE = "http://127.0.0.1:7070"


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: a file, that it has not changed (304), or that it was never built (503)."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    status: int = 200


@cache
def _files() -> dict[str, bytes]:
    """What is there to serve, by name: a name from outside never becomes a path."""
    found = BUILT.iterdir() if BUILT.is_dir() else ()
    return {each.name: each.read_bytes() for each in found if each.suffix in TYPES}


@cache
def _zipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def asset(name: str, headers: Mapping[str, str]) -> Page | None:
    """A script or a style sheet, or None."""
    body = _files().get(name)
    return None if body is None or name.endswith(".html") else _page(name, body, headers)


def page(name: str, headers: Mapping[str, str], services: "Services") -> Page:
    """A page by its name without .html. In the laptop edition it knows where the phone is."""
    body = _files().get(f"{name}.html")
    if body is None:
        text = "The pages are not built: npm ci && npm run build\n"
        return Page(text.encode(), {"Content-Type": TYPES[".txt"]}, 503)
    phone = html.escape(_phone(services))
    body = body.replace(b'name="phone" content=""', f'name="phone" content="{phone}"'.encode())
    return _page(f"{name}.html", body, headers)


def _phone(services: "Services") -> str:
    """The laptop edition's phone, where there is no Twilio; else ""."""
    try:
        settings = services.settings
    except SettingsError:
        return ""  # which the page will hear of when it asks for something
    return (settings.phone_url or DEFAULT_PHONE) if settings.twilio_base_url else ""


def _page(name: str, body: bytes, asked: Mapping[str, str]) -> Page:
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = {
        "Content-Type": TYPES[Path(name).suffix],
        "Content-Security-Policy": POLICIES.get(name, "default-src 'none'"),
        "Permissions-Policy": "camera=(), geolocation=(), microphone="
        + ("(self)" if name == "softphone.html" else "()"),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding",
        "ETag": etag,
    }
    if etag in asked.get("If-None-Match", ""):
        return Page(b"", headers, 304)
    if "gzip" in asked.get("Accept-Encoding", ""):
        return Page(_zipped(body), {**headers, "Content-Encoding": "gzip"})
    return Page(body, headers)
