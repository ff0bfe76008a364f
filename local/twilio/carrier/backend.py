"""The state of one running emulator: the account, its resources, the faults, and what is under way."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from local.twilio.carrier.callbacks import Callbacks
from local.twilio.carrier.webhooks import Webhooks
from local.twilio.model.account import Account
from local.twilio.model.background import Background
from local.twilio.model.errors import meaning
from local.twilio.model.faults import Dice, FaultError
from local.twilio.model.options import Options, Pace
from local.twilio.model.recordings import Recordings
from local.twilio.model.resources import Call, Message, mask, new_sid
from local.twilio.model.store import Clock, Ledger, OptOutPairs, Records

log = logging.getLogger("local.twilio")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestRequest:
    """One REST request and its answer, without credentials. status is None if no answer was sent."""

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
    """What Twilio's debugger would show: an error or a warning about the answer to a webhook."""

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


class Backend:
    """The state, and what all parts of the emulator do with it, on one event loop.

    revision: counts the changes that the inspector shows. on_rest_request: gets every REST request.
    """

    def __init__(self, options: Options, clock: Clock = utcnow) -> None:
        self.options = options
        self.clock = clock
        self.pace = options.pace
        self.base_url = ""
        self.revision = 0
        self.dice = Dice()
        self.dice.reset(options.seed)
        self.background = Background()
        self.account = Account(options, clock)
        self.messages: Records[Message] = Records(options.capacity)
        self.calls: Records[Call] = Records(options.capacity)
        self.recordings = Recordings(options.capacity)
        self.ledger = Ledger(options.capacity)
        self.opt_outs = OptOutPairs()
        self.rest_requests: deque[RestRequest] = deque(maxlen=options.rest_requests_kept)
        self.alerts: deque[Alert] = deque(maxlen=1000)
        self.webhooks = Webhooks(options, clock, self.changed)
        self.callbacks = Callbacks(self.webhooks, self.dice, self.background)
        self.on_rest_request: Callable[[RestRequest], None] | None = None
        self._first_options = options

    async def open(self) -> None:
        await self.webhooks.open()

    async def close(self) -> None:
        await self.background.cancel()
        await self.webhooks.close()

    async def reset(self, options: Options | None = None) -> None:
        """Back to the start: nothing under way, nothing remembered, the numbers of the options, no faults."""
        await self.background.cancel()
        self.options = options or self._first_options
        self.pace = self.options.pace
        self.dice.reset(self.options.seed)
        self.account = Account(self.options, self.clock)
        self.messages.clear()
        self.calls.clear()
        self.recordings.clear()
        self.ledger.clear()
        self.opt_outs.pairs.clear()
        self.rest_requests.clear()
        self.alerts.clear()
        self.callbacks.clear()
        self.webhooks.options = self.options
        self.webhooks.clear()
        self.changed()

    def changed(self) -> None:
        """Note that something has changed that the inspector shows."""
        self.revision += 1

    def alert(self, code: int, sid: str, detail: str) -> None:
        log.warning("alert %s for %s: %s", code, sid, meaning(code))
        self.alerts.append(Alert(self.clock(), code, sid, detail))
        self.changed()

    def record(self, request: RestRequest) -> None:
        """Keep a REST request that was answered."""
        self.rest_requests.append(request)
        if self.on_rest_request is not None:
            self.on_rest_request(request)

    def at(self, moment: datetime, action: Callable[..., None], *args: Any) -> None:
        """Call `action` at that time. `settled` does not wait for it."""
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

    # The records of calls

    def new_call(self, to: str, sender: str, direction: str) -> Call:
        """A new record of a call. `keep_call` adds it to the calls."""
        now = self.clock()
        number = self.account.number(to if direction == "inbound" else sender)
        return Call(
            sid=new_sid("CA"),
            account_sid=self.account.sid,
            to=to,
            sender=sender,
            direction=direction,
            status="queued",
            date_created=now,
            date_updated=now,
            phone_number_sid=number.sid if number else None,
        )

    def keep_call(self, call: Call) -> None:
        self.calls.add(call)
        if call.direction != "inbound":
            self.ledger.add_call(call)
        log.info("call %s from %s to %s %s", call.sid, mask(call.sender), mask(call.to), call.status)
        self.changed()
