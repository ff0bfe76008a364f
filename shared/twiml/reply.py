"""What a flow answers: TwiML, and the effects that it wants besides. The webhook carries them out.

Twilio may deliver one webhook twice. Each effect that sends something therefore carries an id, which makes it
safe to carry out twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twilio.twiml.messaging_response import MessagingResponse
    from twilio.twiml.voice_response import VoiceResponse


@dataclass(frozen=True, slots=True)
class CallBack:
    """Put a call on `outbound-calls`: ring `to` (E.164), then do the TwiML at `url`, at PUBLIC_BASE_URL."""

    to: str
    url: str
    id: str


@dataclass(frozen=True, slots=True)
class Text:
    """Send an SMS to `to` (E.164), once for this `id`."""

    to: str
    body: str
    id: str


@dataclass(frozen=True, slots=True)
class OptOut:
    """Never call or text this address (E.164) again."""

    address: str


@dataclass(frozen=True, slots=True)
class OptIn:
    """Allow calls and texts to this address (E.164) again."""

    address: str


@dataclass(frozen=True, slots=True)
class Warn:
    """Log a warning that says why a request was refused, without a whole number or the text of a message."""

    reason: str


type Effect = CallBack | Text | OptOut | OptIn | Warn


@dataclass(frozen=True, slots=True)
class Reply:
    """The TwiML for Twilio, and what to do besides."""

    twiml: VoiceResponse | MessagingResponse
    effects: tuple[Effect, ...] = ()
