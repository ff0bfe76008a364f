"""Access tokens for the softphone: short-lived, for one identity, and a limited number each minute.

The count is a row in storage for each identity, so that the limit holds across all instances.
"""

import hashlib
import re
from datetime import datetime, timedelta
from typing import Any

from shared.config import Settings
from shared.errors import Contended, InvalidRequest, SettingsError, TooMany
from shared.storage.rows import Insert, Put, Rows, stamp
from shared.twilio_helper import Twilio

PER_MINUTE = 10
"""Tokens for one identity: each reload of the page and each refresh needs one."""
LONGEST = 121
"""Characters that an identity may have (Twilio error 51003)."""
PARTITION = "token"
FOR_A_TOKEN = {"APP_SERVICE_AUTHENTICATION", "TWILIO_API_KEY", "TWILIO_API_SECRET", "TWILIO_TWIML_APP_SID"}


async def mint(
    principal: str, settings: Settings, twilio: Twilio, counts: Rows, *, now: datetime
) -> dict[str, Any]:
    """A Voice access token, with its identity and its end. (Twilio docs: Access Tokens.)

    principal: who has signed in, according to App Service authentication. Raises SettingsError if a setting
    is missing, if the API key cannot sign tokens, or if the sign-in is off, so that anybody can name any
    principal; TooMany; InvalidRequest if nobody has signed in.
    """
    wrong = tuple(each for each in settings.unusable if each[0] in FOR_A_TOKEN)
    needed = {"TWILIO_API_KEY": settings.api_key, "TWILIO_TWIML_APP_SID": settings.twiml_app_sid}
    if any(name == "TWILIO_API_SECRET" for name, _ in wrong):
        del needed["TWILIO_API_KEY"]  # it is set: only its secret is not known
    missing = tuple(name for name, value in needed.items() if not value)
    if missing or wrong:
        raise SettingsError(missing, wrong)
    identity = _identity(principal, settings)
    await _count(identity, counts, now)
    if problem := await twilio.signing_key_problem():
        raise SettingsError(invalid=(("TWILIO_API_KEY", problem),))
    from twilio.jwt.access_token import AccessToken
    from twilio.jwt.access_token.grants import VoiceGrant

    token = AccessToken(
        settings.account_sid,
        settings.api_key,
        settings.api_secret,
        grants=[VoiceGrant(outgoing_application_sid=settings.twiml_app_sid, incoming_allow=True)],
        identity=identity,
        nbf=None,  # else a token is "not yet valid" (error 20105) when our clock is ahead of Twilio's
        ttl=settings.client_token_seconds,
    )
    expires = now + timedelta(seconds=settings.client_token_seconds)
    return {"token": token.to_jwt(), "identity": identity, "expires_at": stamp(expires)}


def _identity(principal: str, settings: Settings) -> str:
    """Whom the token is for. Twilio allows only letters, digits and underscores."""
    if not settings.app_service_authentication:
        return settings.client_identity
    if not principal:
        raise InvalidRequest(None, "sign in first, at /.auth/login/aad", code="not_signed_in", status=401)
    spelled = {"_": "__", ".": "_dot_", "@": "_at_"}  # so that two names never become the same identity
    named = principal.lower()
    name = re.sub("[^a-z0-9]", lambda found: spelled.get(found[0], f"_x{ord(found[0]):x}_"), named)
    return name if len(name) <= LONGEST else hashlib.sha256(named.encode()).hexdigest()


async def _count(identity: str, table: Rows, now: datetime) -> None:
    """Count one more token in this minute. Raises TooMany if the limit is reached."""
    minute = stamp(now)[:16]
    for _ in range(PER_MINUTE):
        row = await table.get(PARTITION, identity)
        count = int(row.values["count"]) if row and row.text("minute") == minute else 0
        if count >= PER_MINUTE:
            break
        values = {"minute": minute, "count": count + 1}
        write = Put(identity, values, row.etag) if row else Insert(identity, values)
        try:
            await table.commit(PARTITION, [write])
        except Contended:
            continue
        return
    wait = 60 - now.second
    raise TooMany(f"at most {PER_MINUTE} tokens a minute; try again in {wait} s", retry_after=wait)
