"""One running emulator without its HTTP server: its state and all that happens, on one event loop."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from local.twilio.carrier.callbacks import Callbacks
from local.twilio.carrier.calling import Calling
from local.twilio.carrier.legs import CallRunner, Carrier
from local.twilio.carrier.live import Live
from local.twilio.carrier.messaging import Messaging
from local.twilio.carrier.webhooks import Webhooks
from local.twilio.model.account import Account
from local.twilio.model.background import Work
from local.twilio.model.errors import meaning
from local.twilio.model.faults import Dice, FaultError
from local.twilio.model.options import Options, Pace
from local.twilio.model.recordings import Recordings
from local.twilio.model.resources import Call, Message
from local.twilio.model.store import Clock, Ledger, OptOuts, Records

log = logging.getLogger("local.twilio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One REST request and its answer, without credentials. status is None when no answer was sent."""

    at: datetime
    method: str
    path: str
    query: str
    content_type: str
    form: str
    status: int | None
    answer: str

    def as_json(self) -> dict[str, Any]:
        return {
            "at": self.at.isoformat(),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "content_type": self.content_type,
            "form": self.form,
            "status": self.status,
            "answer": self.answer,
        }


@dataclass(frozen=True, slots=True)
class Alert:
    """What Twilio's debugger would show: an error or warning about a webhook's answer."""

    at: datetime
    code: int
    sid: str
    detail: str

    def as_json(self) -> dict[str, Any]:
        return {
            "at": self.at.isoformat(),
            "code": self.code,
            "meaning": meaning(self.code),
            "sid": self.sid,
            "detail": self.detail,
        }


def utcnow() -> datetime:
    return datetime.now(UTC)


class Core:
    """State and behaviour. `open` and `close` on the loop that everything else is called on."""

    def __init__(
        self,
        options: Options,
        runner: CallRunner | None = None,
        clock: Clock = utcnow,
        carrier: "Callable[[Core], Carrier] | None" = None,
    ) -> None:
        self.options = options
        self.clock = clock
        self.pace = options.pace
        self.base_url = ""
        self.revision = 0
        self.dice = Dice()
        self.dice.reset(options.seed)
        self.work = Work()
        self.account = Account(options, clock)
        self.messages: Records[Message] = Records(options.capacity)
        self.calls: Records[Call] = Records(options.capacity)
        self.recordings = Recordings(options.capacity)
        self.ledger = Ledger(options.capacity)
        self.opt_outs = OptOuts()
        self.exchanges: deque[Exchange] = deque(maxlen=options.exchanges_kept)
        self.alerts: deque[Alert] = deque(maxlen=1000)
        self.webhooks = Webhooks(options, clock, self.changed)
        self.callbacks = Callbacks(self.webhooks, self.dice, self.work)
        self.messaging = Messaging(self)
        self.calling = Calling(self)
        self.live: Carrier = carrier(self) if carrier else Live(self, runner)
        self.on_exchange: Callable[[Exchange], None] | None = None
        self._first_options = options

    async def open(self) -> None:
        await self.webhooks.open()

    async def close(self) -> None:
        await self.work.cancel()
        await self.webhooks.close()

    def changed(self) -> None:
        """Something that the inspector shows is different now."""
        self.revision += 1

    def alert(self, code: int, sid: str, detail: str) -> None:
        log.warning("alert %s for %s: %s", code, sid, meaning(code))
        self.alerts.append(Alert(self.clock(), code, sid, detail))
        self.changed()

    def at(self, moment: datetime, action: Callable[..., None], *args: Any) -> None:
        """Do it at that time. Nobody waits for it: `settled` does not count it."""
        seconds = max((moment - self.clock()).total_seconds(), 0)
        asyncio.get_running_loop().call_later(seconds, action, *args)

    def set_pace(self, values: Mapping[str, Any]) -> Pace:
        """Change step or talk, in seconds. Raises FaultError."""
        for name, value in values.items():
            if name not in {"step", "talk"}:
                raise FaultError(f"{name}: no such pace; there are step and talk")
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise FaultError(f"{name}: must be seconds, 0 or more")
        self.pace = replace(self.pace, **values)
        return self.pace

    def record(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        if self.on_exchange is not None:
            self.on_exchange(exchange)

    async def reset(self, options: Options | None = None) -> None:
        """Back to the start: nothing under way, nothing remembered, the options' numbers, no faults."""
        await self.work.cancel()
        self.options = options or self._first_options
        self.pace = self.options.pace
        self.dice.reset(self.options.seed)
        self.account = Account(self.options, self.clock)
        self.messages.clear()
        self.calls.clear()
        self.recordings.clear()
        self.ledger.clear()
        self.opt_outs.pairs.clear()
        self.exchanges.clear()
        self.alerts.clear()
        self.callbacks.clear()
        self.live.clear()
        self.webhooks.options = self.options
        self.webhooks.clear()
        self.changed()
