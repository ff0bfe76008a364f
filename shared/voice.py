"""The call flows: a verified request and the settings in, TwiML and effects out. No I/O, no clock."""

from twilio.twiml.voice_response import VoiceResponse

from shared.config import Settings
from shared.effects import Reply
from shared.errors import NotFound
from shared.twilio_request import TwilioRequest


def greeting(request: TwilioRequest, settings: Settings) -> Reply:
    """Twilio: a call came in."""
    return Reply(VoiceResponse())


def step(name: str, request: TwilioRequest, settings: Settings) -> Reply:
    """A further step of a call, at voice/step/{name}. Raises NotFound for a step that is not there."""
    raise NotFound(f"no step {name!r}")


def client(request: TwilioRequest, settings: Settings) -> Reply:
    """The softphone placed a call: dial a number, another client, or take the next caller of the queue."""
    return Reply(VoiceResponse())


def outbound(request: TwilioRequest, settings: Settings, say: str) -> Reply:
    """A queued call with `say` was answered, or its listener pressed a key.

    Its Url is PUBLIC_BASE_URL/api/voice/step/outbound?id=ID; the trigger looks `say` up by that id, because
    a message text in a URL would be in every request log.
    """
    return Reply(VoiceResponse())
