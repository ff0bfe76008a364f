"""What a flow wants done besides its TwiML. Flows only say so; the trigger does it.

Twilio may deliver one webhook twice, so each effect that sends something carries the id that makes it safe
to carry out twice.
"""

from __future__ import annotations

from dataclasses import dataclass


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
    """This address (E.164) may be called and texted again."""

    address: str


@dataclass(frozen=True, slots=True)
class Warn:
    """Log, as a warning, why a request was refused. The reason holds no whole number and no message text."""

    reason: str


type Effect = CallBack | Text | OptOut | OptIn | Warn
