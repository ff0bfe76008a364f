"""The pages, softphone and console: static files, which `npm run build` puts into web/build."""

import gzip
import hashlib
import html
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import azure.functions as func

from shared.config import Settings
from shared.errors import SettingsError

BUILT = Path(__file__).parent.parent.parent / "web" / "build"
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


@cache
def _files() -> dict[str, bytes]:
    """Every file that may be served, by its name, so that a name from outside never becomes a path."""
    found = BUILT.iterdir() if BUILT.is_dir() else ()
    return {each.name: each.read_bytes() for each in found if each.suffix in TYPES}


@cache
def _zipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def asset(name: str, headers: Mapping[str, str]) -> func.HttpResponse:
    """A script or a style sheet; 404 if there is none by that name."""
    body = _files().get(name)
    if body is None or name.endswith(".html"):
        return func.HttpResponse(status_code=404)
    return _answer(name, body, headers)


def page(name: str, headers: Mapping[str, str], settings: Callable[[], Settings]) -> func.HttpResponse:
    """A page, by its name without .html; 503 if the pages were never built.

    On the laptop it names the URL of the phone. settings: may raise SettingsError, which does no harm here.
    """
    body = _files().get(f"{name}.html")
    if body is None:
        text = "The pages are not built: npm ci && npm run build\n"
        return func.HttpResponse(text, status_code=503, headers={"Content-Type": TYPES[".txt"]})
    phone = html.escape(_phone(settings))
    body = body.replace(b'name="phone" content=""', f'name="phone" content="{phone}"'.encode())
    return _answer(f"{name}.html", body, headers)


def _phone(settings: Callable[[], Settings]) -> str:
    """The URL of the laptop edition's phone; "" with the real Twilio, or while settings are missing."""
    try:
        known = settings()
    except SettingsError:
        return ""
    return (known.phone_url or DEFAULT_PHONE) if known.twilio_base_url else ""


def _answer(name: str, body: bytes, asked: Mapping[str, str]) -> func.HttpResponse:
    """A file with its headers; 304 if the browser has it already."""
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
        return func.HttpResponse(status_code=304, headers=headers)
    if "gzip" in asked.get("Accept-Encoding", ""):
        body, headers = _zipped(body), {**headers, "Content-Encoding": "gzip"}
    return func.HttpResponse(body, headers=headers)
