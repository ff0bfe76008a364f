"""<Enqueue>, its waitUrl, and <Dial><Queue>: "TwiML Voice: <Enqueue>", <Queue> and <Leave>."""

from dataclasses import dataclass

from local.phone.engine.bridge import join, part
from local.phone.engine.interpreter import Place, Walk
from local.phone.twiml.attributes import flag, whole, word
from local.phone.twiml.document import DocumentFailed
from local.phone.twiml.markup import Element
from local.phone.verbs.speech import Left
from local.twilio.carrier.exchange.events import Dequeued, Music, NotWalked, Queued
from local.twilio.carrier.exchange.rooms import CallQueue, Waiter
from local.twilio.carrier.exchange.signals import (
    CallerReady,
    CallOver,
    Dequeue,
    Diverted,
    Interrupted,
    Key,
    LegEnded,
    Parted,
    QueueJoined,
    Wait,
)
from local.twilio.carrier.exchange.web_requests import Params, Target
from local.twilio.model.errors import Notice

LONGEST_NAME = 64
SHORTEST_WAIT = 1.0  # seconds between two requests for a waitUrl whose TwiML takes no time

_WHILE_WAITING = frozenset({"Play", "Say", "Pause", "Hangup", "Redirect", "Leave", "Gather"})
_BEFORE_CONNECTING = frozenset({"Play", "Say", "Pause", "Redirect"})


async def enqueue(walk: Walk, element: Element) -> Target | None:
    """Wait in a queue until an agent takes the call, or it leaves. The action gets the QueueResult."""
    telephony, call = walk.telephony, walk.call
    action = walk.target(element)
    queue = _joinable(walk, element)
    if not isinstance(queue, CallQueue):
        return _handed_on(action, (("QueueResult", queue),))
    member = Waiter(call, queue, telephony.now)
    queue.members.append(member)
    telephony.emit(Queued(at=telephony.now, call_sid=call.sid, queue=queue.name, position=len(queue.members)))
    for agent in list(queue.agents):
        telephony.signal(agent, QueueJoined())
    result = "hangup"
    try:
        held = await _hold(walk, element, member)
        if isinstance(held, Dequeue):
            result = "bridged"
            await _connect(walk, element, member, held)
        else:
            result = held
    except CallOver:
        _gone(walk, member, result, action)
        raise
    except Diverted:
        _gone(walk, member, "redirected-from-bridged" if result == "bridged" else "redirected", action)
        raise
    member.leave(telephony.now)
    _emit(walk, member, result)
    return _handed_on(action, _result(walk, member, result))


def _joinable(walk: Walk, element: Element) -> CallQueue | str:
    """The queue to wait in, or the QueueResult that says why the call cannot wait."""
    if "workflowSid" in element.attributes:
        walk.telephony.emit(
            NotWalked(at=walk.telephony.now, call_sid=walk.call.sid, verb="Enqueue workflowSid")
        )
        return "system-error"
    if walk.document.error_in(element):
        return "error"
    name = element.text
    if not 1 <= len(name) <= LONGEST_NAME:
        code = 14205 if name else 14204
        detail = f"queue names have 1 to {LONGEST_NAME} characters"
        walk.telephony.note(walk.call, Notice(code, detail, element.line, element.column))
        return "error"
    queue = walk.telephony.queues.setdefault(name, CallQueue(name))
    size = element.attributes.get("maxQueueSize", "")
    most = int(size) if size.isascii() and size.isdecimal() and len(size) < 9 else queue.max_size
    if len(queue.members) >= most:
        detail = f"{name} holds {most} calls"
        walk.telephony.note(walk.call, Notice(14207, detail, element.line, element.column))
        return "queue-full"
    return queue


async def _hold(walk: Walk, element: Element, member: Waiter) -> Dequeue | str:
    """Repeat the waitUrl's TwiML until an agent takes the call. Returns that signal, or the QueueResult."""
    telephony, call = walk.telephony, walk.call
    place = Place(
        "queue's wait",
        _WHILE_WAITING,
        ends=True,
        wait=Wait.BACKGROUND,
        params=lambda: member.params(telephony.now),
    )
    inner = walk.at(place)
    telephony.interrupt_on(call, Dequeue)
    try:
        reference = element.attributes.get("waitUrl")
        if not reference:
            if reference is None:
                telephony.emit(Music(at=telephony.now, call_sid=call.sid, url=""))
            while True:
                await inner.wait_for(None)
        try:
            target = Target(walk.url(element, reference), word(element, "waitUrlMethod"))
        except DocumentFailed:
            return "error"
        while True:
            started = telephony.now
            await inner.follow(target)
            if telephony.now - started < SHORTEST_WAIT:
                await inner.wait_for(SHORTEST_WAIT)
    except Interrupted as exc:
        return exc.signal if isinstance(exc.signal, Dequeue) else "system-error"
    except Left:
        return "leave"
    except DocumentFailed:
        return "error"
    finally:
        telephony.interrupt_on(call)


async def _connect(walk: Walk, element: Element, member: Waiter, taken: Dequeue) -> None:
    """Carry out the TwiML at the url of the agent's <Queue>, then talk until one of the two hangs up."""
    telephony, call = walk.telephony, walk.call
    if taken.whisper:
        params = (
            ("QueueSid", member.queue.sid),
            ("QueueTime", str(member.seconds(telephony.now))),
            ("DequeingCallSid", taken.agent.sid),
        )
        place = Place("queue's whisper", _BEFORE_CONNECTING, params=lambda: params)
        try:
            await walk.at(place).follow(taken.whisper)
        except DocumentFailed as exc:
            telephony.note(call, Notice(12200, f"connected without it: {exc}", element.line, element.column))
    telephony.signal(taken.agent, CallerReady(call))
    while member.agent is taken.agent:
        await walk.wait_for(None, Parted)


def _gone(walk: Walk, member: Waiter, result: str, action: Target | None) -> None:
    """The caller hung up, or REST gave the call other TwiML: leave the queue and tell the agent."""
    call = walk.call
    part(walk.telephony, call)
    if member.agent is not None:
        walk.telephony.signal(member.agent, LegEnded(call))
    member.leave(walk.telephony.now)
    _emit(walk, member, result)
    if action:
        walk.notify(action, "Enqueue action", _result(walk, member, result))


def _emit(walk: Walk, member: Waiter, result: str) -> None:
    walk.telephony.emit(
        Dequeued(
            at=walk.telephony.now,
            call_sid=walk.call.sid,
            queue=member.queue.name,
            result=result,
            seconds=member.seconds(walk.telephony.now),
        )
    )


def _result(walk: Walk, member: Waiter, result: str) -> Params:
    seconds = str(member.seconds(walk.telephony.now))
    return (("QueueResult", result), ("QueueSid", member.queue.sid), ("QueueTime", seconds))


def _handed_on(action: Target | None, params: Params) -> Target | None:
    return Target(action.url, action.method, params) if action else None


async def take(walk: Walk, element: Element, noun: Element, action: Target | None) -> Params:
    """Connect this call to the first one in a queue. Wait for one as long as the <Dial>'s timeout."""
    name = noun.text
    queue = walk.telephony.queues.get(name)
    if not 1 <= len(name) <= LONGEST_NAME:
        raise walk.fail(14213 if name else 14212, f"queue names have 1 to {LONGEST_NAME} characters", noun)
    if queue is None:
        return (("DialCallStatus", "failed"), ("DialBridged", "false"))
    served = _Served(walk, element, queue, walk.target(noun, "url"))
    try:
        await served.run()
    except (CallOver, Diverted):
        served.stop()
        if walk.call.is_over and action:
            walk.notify(action, "Dial action", served.params())
        raise
    served.stop()
    return served.params()


@dataclass(slots=True)
class _Served:
    """One <Dial><Queue>: who was taken out of the queue, and how long they talked."""

    walk: Walk
    element: Element
    queue: CallQueue
    whisper: Target | None
    member: Waiter | None = None
    bridged_at: float | None = None
    ended_at: float | None = None

    async def run(self) -> None:
        deadline = self.walk.telephony.now + (whole(self.element, "timeout") or 30)
        while self.bridged_at is None:
            self.queue.agents.append(self.walk.call)
            while not self.queue.members:
                if await self.walk.wait_for(deadline - self.walk.telephony.now, QueueJoined) is None:
                    return
            self.queue.agents.remove(self.walk.call)
            self.member = self.queue.members[0]
            await self._serve(self.member)

    async def _serve(self, member: Waiter) -> None:
        walk, telephony, caller = self.walk, self.walk.telephony, member.call
        member.leave(telephony.now)
        member.agent = walk.call
        telephony.signal(caller, Dequeue(walk.call, self.whisper))
        while True:
            signal = await walk.wait_for(None, CallerReady, LegEnded)
            if isinstance(signal, LegEnded) and signal.leg is caller:
                self.member = None
                return
            if isinstance(signal, CallerReady) and signal.caller is caller:
                break
        self.bridged_at = telephony.now
        join(telephony, walk.call, caller)
        until = telephony.now + (whole(self.element, "timeLimit") or 14400)
        while True:
            signal = await walk.wait_for(until - telephony.now, Parted, Key)
            star = isinstance(signal, Key) and signal.key == "*" and flag(self.element, "hangupOnStar")
            if signal is None or star or (isinstance(signal, Parted) and signal.other is caller):
                return

    def stop(self) -> None:
        if self.walk.call in self.queue.agents:
            self.queue.agents.remove(self.walk.call)
        self.ended_at = self.walk.telephony.now
        if self.member is not None:
            self.member.agent = None
            part(self.walk.telephony, self.walk.call)
            self.walk.telephony.signal(self.member.call, Parted(self.walk.call))

    def params(self) -> Params:
        if self.member is None:
            status = "canceled" if self.walk.call.is_over else "no-answer"
            return (("DialCallStatus", status), ("DialBridged", "false"), ("QueueSid", self.queue.sid))
        ended_at = self.walk.telephony.now if self.ended_at is None else self.ended_at
        talked = 0.0 if self.bridged_at is None else ended_at - self.bridged_at
        return (
            ("DialCallStatus", "completed"),
            ("DialCallSid", self.member.call.sid),
            ("DialCallDuration", str(round(talked))),
            ("DialBridged", "true" if self.bridged_at is not None else "false"),
            ("QueueSid", self.queue.sid),
            ("QueueTime", str(self.member.seconds(self.walk.telephony.now))),
            ("DequeingCallSid", self.walk.call.sid),
        )
