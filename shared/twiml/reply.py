"""What a flow answers. Its effects are in shared/twiml/effects.py: most answers have none, and load none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twilio.twiml.messaging_response import MessagingResponse
    from twilio.twiml.voice_response import VoiceResponse

    from shared.twiml.effects import Effect


@dataclass(frozen=True, slots=True)
class Reply:
    """What Twilio is answered, and what is to be done besides."""

    twiml: VoiceResponse | MessagingResponse
    effects: tuple[Effect, ...] = ()
