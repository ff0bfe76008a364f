"""Access control: function keys, the Host header, and which requests come from this machine.

The host listens on 127.0.0.1 only. Strangers can still reach it in two ways: through a tunnel, which makes
it public, and from any page in the developer's browser, which can send requests to localhost.
"""

import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from local.host import http_request
from shared.config import is_loopback

_LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
# Headers that proxies and tunnels add. A request with any of them does not come from this machine.
_FORWARDING = {
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "disguised-host",
}
_FORWARDING_PREFIXES = ("x-forwarded-", "x-original-", "x-azure-", "cf-", "ngrok-")


@dataclass(frozen=True)
class Keys:
    """The master key opens everything; the default key opens the functions of level FUNCTION."""

    master: str = field(repr=False)
    default: str = field(repr=False)

    @classmethod
    def kept_in(cls, folder: Path) -> "Keys":
        """Read the keys in this folder, or create them there, in a file that only its owner can read."""
        path = folder / "keys.json"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            path.chmod(0o600)
            values = json.loads(path.read_text())
            return cls(values["master"], values["default"])
        keys = cls(secrets.token_urlsafe(40), secrets.token_urlsafe(40))
        with os.fdopen(descriptor, "w") as file:
            json.dump({"master": keys.master, "default": keys.default}, file)
        return keys

    def level(self, key: str) -> str:
        """The level of a key: `admin`, `function`, or `anonymous` for a wrong one. Takes constant time."""
        given = key.encode(errors="surrogateescape")
        is_master = hmac.compare_digest(given, self.master.encode())
        is_default = hmac.compare_digest(given, self.default.encode())
        return "admin" if is_master else "function" if is_default else "anonymous"


def must_enforce(environ: Mapping[str, str]) -> str | None:
    """The reason why function keys must be on: a real Twilio or a public address; else None."""
    public, twilio = environ.get("PUBLIC_BASE_URL", ""), environ.get("TWILIO_BASE_URL", "")
    if public and not is_loopback(public):
        return f"PUBLIC_BASE_URL is {public}"
    if twilio and not is_loopback(twilio):
        return f"TWILIO_BASE_URL is {twilio}"
    if not twilio and environ.get("TWILIO_ACCOUNT_SID"):
        return "no TWILIO_BASE_URL is set, so Twilio is the real one"
    return None


def host_name(value: str) -> str:
    """The host name in a Host header, an authority or an origin; empty if it is malformed."""
    try:
        return urlsplit(value if "//" in value else f"//{value}").hostname or ""
    except ValueError:
        return ""


@dataclass(frozen=True)
class Gate:
    """Admits or refuses each request before a function sees it."""

    keys: Keys
    enforced: bool
    public_host: str = ""

    def knows_host(self, host: str) -> bool:
        """Whether a Host header names us: a loopback name, or the one in PUBLIC_BASE_URL.

        Any other name is an attempt at DNS rebinding.
        """
        name = host_name(host)
        return bool(name) and (name in _LOOPBACK_NAMES or name == self.public_host)

    def admits(self, request: web.Request, level: str) -> bool:
        """Whether this request may call a function of this level."""
        if level == "anonymous":
            return True
        if not self.enforced:
            return not self._from_another_site(request)
        return self._key_level(request) in ("admin", level)

    def refuses_admin(self, request: web.Request) -> HTTPStatus | None:
        """Why /admin stays closed to this request, as a status; None if it is open.

        It is for this machine, by a loopback name, with nothing forwarded. Where keys are on, it takes the
        master key. As in the real host, no key and a wrong one get 401; a function key gets 403, since it is
        known and opens too little (PolicyNames.AdminAuthLevel, AuthenticationLevelHandler).
        """
        if (
            not _is_loopback_peer(request.remote)
            or host_name(request.host) not in _LOOPBACK_NAMES
            or _is_forwarded(request)
            or self._from_another_site(request)
        ):
            return HTTPStatus.FORBIDDEN
        known = self._key_level(request) if self.enforced else "admin"
        refusals = {"function": HTTPStatus.FORBIDDEN, "anonymous": HTTPStatus.UNAUTHORIZED}
        return refusals.get(known)

    def _key_level(self, request: web.Request) -> str:
        """The level of the key in the header; only without that header, of the key in the query.

        Source: GetAuthorizationKeyInfoAsync in azure-functions-host.
        """
        key = request.headers.get("x-functions-key")
        if key is None:
            key = http_request.first(http_request.query(request.raw_path.partition("?")[2]), "code")
        return self.keys.level(key or "")

    def _from_another_site(self, request: web.Request) -> bool:
        """Whether a page of another site, open in the developer's browser, sent this request."""
        if request.headers.get("Sec-Fetch-Site", "").lower() == "cross-site":
            return True
        origin = request.headers.get("Origin")
        return origin is not None and not self.knows_host(origin)


def _is_loopback_peer(address: str | None) -> bool:
    try:
        return bool(address) and ip_address(str(address).partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_forwarded(request: web.Request) -> bool:
    names = [name.lower() for name in request.headers]
    return any(name in _FORWARDING or name.startswith(_FORWARDING_PREFIXES) for name in names)
