"""Status callbacks. Those of one message or call are sent one after the other, unless a fault changes it."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from local.twilio.carrier.webhooks import Webhook, Webhooks
from local.twilio.model.background import Background
from local.twilio.model.faults import Dice


@dataclass(slots=True)
class _Chain:
    waiting: deque[Webhook] = field(default_factory=deque)
    held: list[Webhook] = field(default_factory=list)
    ended: bool = False
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    running: bool = False


class Callbacks:
    """Sends status callbacks through `webhooks`, with the faults that `dice` draws."""

    def __init__(self, webhooks: Webhooks, dice: Dice, background: Background) -> None:
        self._webhooks = webhooks
        self._dice = dice
        self._background = background
        self._chains: dict[str, _Chain] = {}

    def clear(self) -> None:
        self._chains.clear()

    def add(self, webhook: Webhook, *, last: bool) -> None:
        """Queue one callback. last: none follows for this SID; held back ones are sent after it."""
        chain = self._chains.setdefault(webhook.sid, _Chain())
        chain.ended = chain.ended or last
        if self._dice.faults.callbacks_dark:
            self._dice.counts["callbacks_dark"] += 1
        elif self._dice.hits("callbacks_dropped"):
            pass
        else:
            copies = 2 if self._dice.hits("callbacks_doubled") else 1
            late = not last and self._dice.hits("callbacks_reordered")
            (chain.held if late else chain.waiting).extend([webhook] * copies)
        if last:
            chain.waiting.extend(chain.held)
            chain.held.clear()
        if not chain.running:
            chain.running = True
            chain.idle.clear()
            self._background.spawn(self._run(webhook.sid, chain))

    async def sent(self, sid: str, timeout: float) -> None:
        """Wait until the queued callbacks of this SID are answered, or the time is up."""
        chain = self._chains.get(sid)
        if chain is None or not chain.running:
            return
        try:
            async with asyncio.timeout(timeout):
                await chain.idle.wait()
        except TimeoutError:
            return

    async def _run(self, sid: str, chain: _Chain) -> None:
        while chain.waiting:
            await self._webhooks.send(chain.waiting.popleft())
        chain.running = False
        chain.idle.set()
        if chain.ended and not chain.held:
            self._chains.pop(sid, None)
