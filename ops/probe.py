"""Send a webhook what Twilio would send, and find out why the app refuses it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from twilio.request_validator import RequestValidator

from ops import signature
from ops.azure_sign_in import TIMEOUT
from ops.client import Deployment
from ops.errors import OpsError

TOKENS = ("TWILIO_AUTH_TOKEN", "TWILIO_AUTH_TOKEN_SECONDARY", "TWILIO_API_SECRET")
"""What the app may check with: the right one first, then what people put in its place."""
REDIRECTS = {301, 302, 307, 308}


@dataclass(frozen=True, slots=True)
class Finding:
    """status: ok, warn, fail, or unknown where the check could not be made. mend: what to do."""

    check: str
    status: str
    says: str
    mend: str = ""


class Probe:
    """Sends what Twilio sends for a call or a text. Neither exists at Twilio, so nobody gets a reply.

    seen: what the app says of itself (GET diagnosis), or nothing.
    """

    def __init__(self, deployment: Deployment, number: str, seen: Mapping[str, Any]) -> None:
        self._deployment = deployment
        self._number = number
        self._seen = seen
        (self._account_sid,) = deployment.setting("TWILIO_ACCOUNT_SID")
        self._tokens = _tokens(deployment)
        self._base: str | None = seen.get("public_base_url")

    def look(self, name: str, url: str) -> Finding:
        """Does the app accept a request signed for this URL? name: voice_url or sms_url. Raises OpsError."""
        fields = self._fields(name)
        where = f"{name} {signature.masked(url)}"
        status = self._knock(url, url, self._tokens["TWILIO_AUTH_TOKEN"], fields)
        if status == 200:
            return Finding("signature", "ok", f"a request signed by Twilio is let in at {where}")
        if status in REDIRECTS:
            mend = signature.MENDS["scheme"]
            return _refused(f"{where} is redirected, because of the scheme", mend)
        if status != 403:
            return _refused(f"{where} answers {status}", "it is not a webhook of Switchboard's")

        def accepts(expected: str, token: str) -> bool:
            # The app takes nothing but its own PUBLIC_BASE_URL: if it says which, that need not be guessed.
            if self._base and not expected.startswith(f"{self._base}/"):
                return False
            return self._knock(url, expected, token, fields) == 200

        bases = (*([self._base] if self._base else []), self._deployment.url)
        if found := signature.probe(accepts, url, self._tokens, bases):
            names = " and the ".join(found.mistakes)
            return _refused(f"{where} is refused, because of the {names}: {found}", found.mend)
        return self._foreign(where, url, fields)

    def _foreign(self, where: str, url: str, fields: Mapping[str, str]) -> Finding:
        """The finding where neither a known URL nor a known token fits."""
        theirs = self._seen.get("account_sid", fields["AccountSid"])
        if theirs != fields["AccountSid"]:
            says = f"{where} is refused, because of the account: the app's is {theirs}"
            return _refused(says, signature.MENDS["account"])
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        direct = f"{self._deployment.url}{path}"
        signed = f"{self._base or self._deployment.url}{path}"
        if self._knock(direct, signed, self._tokens["TWILIO_AUTH_TOKEN"], fields) == 200:
            says = f"{where} is refused, and the app itself is not: something on the way rewrites the request"
            return _refused(says, f"{signature.MENDS['query']}. {signature.MENDS['encoding']}")
        says = f"{where} is refused, because of the token: the app checks with another than the account's"
        return _refused(says, signature.MENDS["token"])

    def _fields(self, name: str) -> dict[str, str]:
        common = {
            "AccountSid": self._account_sid,
            "ApiVersion": "2010-04-01",
            "From": self._number,
            "To": self._number,
        }
        if name == "sms_url":
            return {**common, "MessageSid": f"SM{'0' * 32}", "Body": "", "NumMedia": "0"}
        return {**common, "CallSid": f"CA{'0' * 32}", "CallStatus": "ringing", "Direction": "inbound"}

    def _knock(self, url: str, signed_url: str, token: str, fields: Mapping[str, str]) -> int:
        """Send a request to `url` that is signed for `signed_url`; its status."""
        signed = RequestValidator(token).compute_signature(signed_url, fields)
        try:
            return requests.post(
                url,
                data=fields,
                headers={"X-Twilio-Signature": signed},
                timeout=TIMEOUT,
                allow_redirects=False,
            ).status_code
        except requests.RequestException as exc:
            raise OpsError(f"{signature.masked(url)} cannot be reached: {type(exc).__name__}") from exc


def _tokens(deployment: Deployment) -> dict[str, str]:
    """What the app may check with, by setting; the auth token must be known."""
    tokens = {"TWILIO_AUTH_TOKEN": deployment.setting("TWILIO_AUTH_TOKEN")[0]}
    for name in TOKENS[1:]:
        value = deployment.settings.get(name) or deployment.secrets(name)
        if value:
            tokens[name] = value
    return tokens


def _refused(says: str, mend: str) -> Finding:
    return Finding("signature", "fail", says, mend)
