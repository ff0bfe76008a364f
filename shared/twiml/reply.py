"""What a flow answers: TwiML, and the effects that it wants besides. The webhook carries them out.

Twilio may deliver one webhook twice. Each effect that sends something therefore carries an id, which makes it
safe to carry out twice. These are named tuples: Python takes five times as long to define a dataclass, and
at a cold start a caller waits for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from twilio.twiml.messaging_response import MessagingResponse
    from twilio.twiml.voice_response import VoiceResponse


class CallBack(NamedTuple):
    """Put a call on `outbound-calls`: ring `to` (E.164), then do the TwiML at `url`, at PUBLIC_BASE_URL."""

    to: str
    url: str
    id: str


class Text(NamedTuple):
    """Send an SMS to `to` (E.164), once for this `id`."""

    to: str
    body: str
    id: str


class OptOut(NamedTuple):
    """Never call or text this address (E.164) again; or, if it `ends`, allow calls and texts again."""

    address: str
    ends: bool = False


class Warn(NamedTuple):
    """Log a warning that says why a request was refused, without a whole number or the text of a message."""

    reason: str


type Effect = CallBack | Text | OptOut | Warn


class Reply(NamedTuple):
    """The TwiML for Twilio, and what to do besides."""

    twiml: VoiceResponse | MessagingResponse
    effects: tuple[Effect, ...] = ()
