"""A call status callback: of a call that we placed, by the id in its URL; of one that came in, by its SID."""

import logging
from contextlib import suppress
from datetime import timedelta

from shared import errors
from shared.calls.call import INBOUND, Call
from shared.delivery.callbacks import Callback, report
from shared.delivery.outbox import Outbox
from shared.delivery.states import State, from_twilio
from shared.twiml.request import TwilioRequest

log = logging.getLogger(__name__)


async def reported(request: TwilioRequest, calls: Outbox[Call]) -> None:
    """Note what a call status callback tells."""
    callback = read(request)
    if callback is None:
        log.warning("a call status callback without a status that we know")
        return
    if not request.state("id"):
        with suppress(errors.Contended):  # it is there already
            await calls.store.add(_inbound(request))
    await report(calls, callback)


def read(request: TwilioRequest) -> Callback | None:
    """The callback in a request; None where it names no call, or a status that we do not know."""
    call_id = request.state("id") or request.get("CallSid")
    state = from_twilio(request.get("CallStatus"))
    if state is None or not call_id:
        return None
    seconds, answered_by = request.get("CallDuration"), request.get("AnsweredBy")
    changes: dict[str, object] = {"updated": request.now}
    if seconds.isdecimal():
        changes["seconds"] = int(seconds)
    if answered_by:
        changes["answered_by"] = answered_by
    return Callback(
        id=call_id,
        attempt=request.state("attempt"),
        sid=request.get("CallSid"),
        state=state,
        at=request.now,
        changes=changes,
    )


def _inbound(request: TwilioRequest) -> Call:
    """A call that came in. Twilio tells of one at its end, unless asked to tell more."""
    seconds = request.get("CallDuration")
    began = request.now - timedelta(seconds=int(seconds) if seconds.isdecimal() else 0)
    return Call(
        id=request.get("CallSid"),
        to=request.get("To"),
        sender=request.get("From"),
        direction=INBOUND,
        state=State.SUBMITTED,
        due=began,
        created=began,
    )
