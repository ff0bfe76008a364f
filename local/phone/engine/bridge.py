"""The bridge between two calls: joining them, and taking them apart."""

from local.twilio.carrier.exchange.events import Connected, Disconnected
from local.twilio.carrier.exchange.leg import Leg
from local.twilio.carrier.exchange.signals import Parted, Receive, Wait
from local.twilio.carrier.exchange.telephony import Telephony


def join(telephony: Telephony, one: Leg, other: Leg) -> None:
    """Let two parties talk."""
    one.peer, other.peer = other, one
    for call, peer in ((one, other), (other, one)):
        telephony.emit(Connected(at=telephony.now, call_sid=call.sid, other_sid=peer.sid, other=peer.party))


def part(telephony: Telephony, call: Leg, *, diverted: bool = False) -> None:
    """Take a call off the bridge it is on, and tell the other side."""
    peer = call.peer
    if peer is None:
        return
    call.peer = peer.peer = None
    for one, other in ((call, peer), (peer, call)):
        if not one.is_over:
            telephony.emit(Disconnected(at=telephony.now, call_sid=one.sid, other=other.party))
    telephony.signal(peer, Parted(call, diverted=diverted))


async def stay() -> None:
    """Be on the line until the call is over."""
    while True:
        await Receive(None, Wait.DEADLINE)
