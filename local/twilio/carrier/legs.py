"""The seam for whoever is at the other end of a call, and the one who is there by default.

A CallRunner decides how a ringing party reacts and walks the call's TwiML; the emulator does everything that
Twilio does around it: statuses, callbacks, signed requests, limits, and changes over REST.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from local.twilio.carrier import webhook_forms as forms
from local.twilio.carrier.webhooks import Delivery, Webhook
from local.twilio.model.queues import Queue
from local.twilio.model.resources import Call, CallStatus, Document

if TYPE_CHECKING:
    from local.twilio.carrier.inbound_sms import Inbound
    from local.twilio.carrier.live import Live
    from local.twilio.simulator import Core


@dataclass(frozen=True, slots=True)
class Ring:
    """How a called party reacted. answered_by is what machine detection would say: human, machine_start..."""

    outcome: Literal["answered", "busy", "no-answer", "failed"] = "answered"
    answered_by: str = "human"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """A live call was given new instructions over REST: a URL or TwiML itself."""

    url: str | None = None
    method: str = "POST"
    twiml: str | None = None


@dataclass(slots=True)
class Leg:
    """One live call as its runner sees it.

    document: the first TwiML. redirects: new instructions given over REST; a runner that walks TwiML waits on
    it beside whatever it does. When the call is ended over REST or by its time limit, the runner's `talk` is
    cancelled.
    """

    core: "Core"
    live: "Live"
    call: Call
    document: Document | None = None
    redirects: asyncio.Queue[Redirect] = field(default_factory=asyncio.Queue)
    talking: asyncio.Task[CallStatus] | None = None
    ringing: asyncio.Task[Ring] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def fetch(
        self,
        url: str,
        method: str = "POST",
        params: Mapping[str, str] | None = None,
        *,
        fallback_url: str | None = None,
        fallback_method: str = "POST",
    ) -> Delivery:
        """Ask the app for TwiML, signed, with the call's own parameters and these; kept on the call."""
        delivery = await self.core.webhooks.send(
            Webhook(
                kind="voice",
                sid=self.call.sid,
                url=url,
                method=method,
                params={**forms.voice(self.call), **(params or {})},
                fallback_url=fallback_url,
                fallback_method=fallback_method,
            )
        )
        if not delivery.ok:
            detail = delivery.error or f"HTTP {delivery.status}"
            self.core.alert(delivery.error_code or 11200, self.call.sid, detail)
        self.keep(
            Document(
                url=delivery.url,
                method=delivery.method,
                status=delivery.status,
                twiml=delivery.body if delivery.ok else None,
                error=delivery.error or None,
            )
        )
        return delivery

    def keep(self, document: Document) -> None:
        self.call.documents.append(document)
        self.core.changed()

    async def answer(self) -> None:
        """Pick up: the call is in progress from here. An inbound call's runner does this; once is enough."""
        await self.live.answer(self)

    async def instruct(self, redirect: Redirect) -> Document:
        """Carry out a Redirect as far as getting its TwiML, which is also kept on the call."""
        if redirect.url:
            await self.fetch(redirect.url, redirect.method)
        else:
            self.keep(Document(url=None, twiml=redirect.twiml))
        return self.call.documents[-1]

    def dial(self, to: str, *, sender: str, timeout: float = 30) -> "Leg":
        """Start a child leg (outbound-dial) with the same callbacks as any call; the runner rings it."""
        call = self.core.calling.child(self.call, to, sender=sender)
        call.timeout = timeout
        return self.live.start(call)


class Carrier(Protocol):
    """What takes the calls that Calling creates from ringing to their end: Live, or the phone's exchange."""

    def start(self, call: Call) -> object:
        """Let an outbound call ring."""

    async def hurry(self, call: Call) -> None:
        """Report an outbound call initiated and ringing now: the callbacks come before the POST's answer."""

    async def receive(self, call: Call) -> "Inbound":
        """Carry an inbound call from here; returns when its first document has come."""

    def carries(self, call: Call) -> bool:
        """Is it up?"""

    def redirect(self, call: Call, redirect: Redirect) -> None:
        """Give a call that is up new instructions."""

    def hang_up(self, call: Call, status: CallStatus) -> None:
        """End a call that is up."""

    def limit(self, call: Call, seconds: int) -> None:
        """A new time limit, counted from when the call was answered."""

    def queues(self) -> Sequence[Queue]:
        """The queues that calls were put into, the newest first."""

    def clear(self) -> None:
        """Forget every call, their tasks being cancelled."""


class CallRunner(Protocol):
    """The people and machines at the other end.

    ring: the party of an outbound leg reacts; it is cancelled after the leg's timeout or when canceled.
    talk: the call's TwiML is walked from `leg.document`; returns the status the call ends with. An outbound
    leg is in progress when it begins; an inbound one is ringing until the runner awaits `leg.answer()`.
    """

    async def ring(self, leg: Leg) -> Ring: ...

    async def talk(self, leg: Leg) -> CallStatus: ...


class DefaultRunner:
    """Answers every call after a step, listens to TwiML without walking it, and hangs up after a while."""

    async def ring(self, leg: Leg) -> Ring:
        outcome, answered_by = leg.call.ends
        if outcome == "no-answer":
            await asyncio.sleep(min(leg.call.timeout, leg.core.pace.step * 2))
            return Ring("no-answer")
        await asyncio.sleep(leg.core.pace.step)
        if outcome == "busy":
            return Ring("busy")
        if outcome == "failed":
            return Ring("failed")
        return Ring("answered", answered_by or "human")

    async def talk(self, leg: Leg) -> CallStatus:
        await leg.answer()
        while True:
            try:
                async with asyncio.timeout(leg.core.pace.talk):
                    redirect = await leg.redirects.get()
            except TimeoutError:
                return "completed"
            await leg.instruct(redirect)
