"""The eleven Twimlets, as Twilio served them: parameters in, TwiML out."""

from shared.config import Settings
from shared.effects import Reply
from shared.errors import NotFound
from shared.twilio_request import TwilioRequest


def twimlet(name: str, request: TwilioRequest, settings: Settings) -> Reply:
    """Answer one Twimlet. Raises NotFound for a name that never was one."""
    raise NotFound(f"no twimlet {name!r}")
