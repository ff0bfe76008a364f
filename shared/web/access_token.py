"""Access tokens for the softphone: short-lived, for one identity, and not many at a time.

The limit is a row of storage for each identity, so that it holds over all instances.
"""

import hashlib
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.config import Settings
from shared.errors import Contended, InvalidRequest, SettingsError, TooMany
from shared.storage.rows import Insert, Put, stamp

if TYPE_CHECKING:
    from shared.services import Services

PER_MINUTE = 10
"""Tokens for one identity: a reload and a refresh need one each."""
LONGEST = 121
"""Characters of an identity (Twilio error 51003)."""
PARTITION = "token"


async def mint(principal: str, services: "Services", *, now: datetime) -> dict[str, Any]:
    """A Voice access token, with the identity that it is for. (Twilio docs: Access Tokens.)

    principal: who has signed in, as App Service authentication says. Raises SettingsError that names what is
    missing, or says that the API key cannot sign tokens, or that the sign-in is off, so that this may be
    anybody's word; TooMany; InvalidRequest where nobody has signed in.
    """
    settings = services.settings
    needed = {"TWILIO_API_KEY": settings.api_key, "TWILIO_TWIML_APP_SID": settings.twiml_app_sid}
    if missing := tuple(name for name, value in needed.items() if not value):
        raise SettingsError(missing)
    if settings.unusable:
        raise SettingsError(invalid=settings.unusable)
    identity = _identity(principal, settings)
    await _count(identity, services, now)
    if problem := await services.twilio.signing_key_problem():
        raise SettingsError(invalid=(("TWILIO_API_KEY", problem),))
    from twilio.jwt.access_token import AccessToken
    from twilio.jwt.access_token.grants import VoiceGrant

    token = AccessToken(
        settings.account_sid,
        settings.api_key,
        settings.api_secret,
        grants=[VoiceGrant(outgoing_application_sid=settings.twiml_app_sid, incoming_allow=True)],
        identity=identity,
        nbf=None,  # a clock of ours that is ahead would make it "not yet valid" (error 20105)
        ttl=settings.client_token_seconds,
    )
    expires = now + timedelta(seconds=settings.client_token_seconds)
    return {"token": token.to_jwt(), "identity": identity, "expires_at": stamp(expires)}


def _identity(principal: str, settings: Settings) -> str:
    """Who the token is for. Twilio allows letters, digits and underscores alone."""
    if not settings.app_service_authentication:
        return settings.client_identity
    if not principal:
        raise InvalidRequest(None, "sign in first, at /.auth/login/aad", code="not_signed_in", status=401)
    spelled = {"_": "__", ".": "_dot_", "@": "_at_"}  # no two names are spelled the same
    name = re.sub(
        "[^a-z0-9]", lambda found: spelled.get(found[0], f"_x{ord(found[0]):x}_"), principal.lower()
    )
    return name if len(name) <= LONGEST else hashlib.sha256(principal.lower().encode()).hexdigest()


async def _count(identity: str, services: "Services", now: datetime) -> None:
    """Raises TooMany where this minute's tokens are used up."""
    table = services.limits
    minute = stamp(now)[:16]
    for _ in range(PER_MINUTE):
        row = await table.get(PARTITION, identity)
        count = int(row.values["count"]) if row and row.text("minute") == minute else 0
        if count >= PER_MINUTE:
            break
        values = {"minute": minute, "count": count + 1}
        try:
            await table.commit(
                PARTITION, [Put(identity, values, row.etag) if row else Insert(identity, values)]
            )
        except Contended:
            continue
        return
    wait = 60 - now.second
    raise TooMany(f"at most {PER_MINUTE} tokens a minute; try again in {wait} s", retry_after=wait)
