"""A message status callback."""

import logging

from shared.delivery.callbacks import Callback, report
from shared.delivery.outbox import Outbox
from shared.delivery.states import State, from_twilio
from shared.sms.message import Message
from shared.twilio_errors import meaning
from shared.twiml.request import TwilioRequest

log = logging.getLogger(__name__)


async def reported(request: TwilioRequest, texts: Outbox[Message]) -> None:
    """Note what a message status callback tells."""
    callback = read(request)
    if callback is None:
        log.info("a message status callback that is not about a text of ours")
    else:
        await report(texts, callback)


def read(request: TwilioRequest) -> Callback | None:
    """The callback in a request; None where it names no text of ours, or a status that we do not know."""
    state = from_twilio(request.get("MessageStatus"))
    if state is None or not Message.is_id(request.state("id")):
        return None
    code = request.get("ErrorCode")
    failed = int(code) if code.isdecimal() and state in {State.FAILED, State.UNDELIVERED} else 0
    return Callback(
        id=request.state("id"),
        attempt=request.state("attempt"),
        sid=request.get("MessageSid"),
        state=state,
        at=request.now,
        code=failed,
        reason=meaning(failed) if failed else "",
    )
