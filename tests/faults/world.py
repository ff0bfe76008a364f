"""One world to break: real storage, the Twilio emulator, a web server for its callbacks, and one clock."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any
from uuid import uuid4

import azure.functions as func

from local.twilio import Emulator, Options, Pace
from shared.calls import status as call_status
from shared.calls.call import Call
from shared.calls.placing import call_of
from shared.calls.request import CallRequest
from shared.config import Settings
from shared.delivery.drain import drain
from shared.delivery.outbox import Outbox
from shared.delivery.record import Delivery
from shared.delivery.sender import Report
from shared.delivery.states import UNDER_WAY, WAITING, State
from shared.delivery.store import Store, creation
from shared.services import Services
from shared.sms import request, schedule
from shared.sms import status as sms_status
from shared.sms.message import Message
from shared.storage.rows import END
from shared.twiml.request import TwilioRequest
from tests import webhooks
from tests.azurite import Azurite
from tests.faults.audit import Verdict, audit
from tests.faults.workers import Job
from tests.front import Front, running_front
from tests.indexed import astray
from tests.settings import ENVIRON

PEOPLE = tuple(f"+12025550{number}" for number in range(101, 200))
UNSETTLED = WAITING | UNDER_WAY | {State.POSTING, State.UNKNOWN}


@dataclass
class Clock:
    """The clock of everybody in the world; Twilio's runs `skew` ahead of ours."""

    offset: timedelta = timedelta()
    skew: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def at_twilio(self) -> datetime:
        return self.now() + self.skew

    def forward(self, **time: float) -> None:
        self.offset += timedelta(**time)


@dataclass
class World:
    """The whole app but its process: `services` are those of this one; workers are others (workers.py).

    rings: whether the rows of the fault table are played with calls, and not with texts.
    """

    azurite: Azurite
    emulator: Emulator
    front: Front
    clock: Clock
    environ: dict[str, str] = field(default_factory=dict)
    answers_callbacks: bool = True
    rings: bool = False
    services: Services = field(init=False)

    async def start(self, **environ: str) -> None:
        """Empty storage, no faults, nothing sent."""
        await self.stop()
        self.clock.offset = self.clock.skew = timedelta()
        self.emulator.reset()
        self.environ = {
            **ENVIRON,
            "AzureWebJobsStorage": self.azurite.fresh_account(),
            "TWILIO_BASE_URL": self.emulator.url,
            "PUBLIC_BASE_URL": self.front.url,
            **environ,
        }
        self.services = Services(Settings.from_env(self.environ))
        for name in ("messages", "calls", "deadletters"):  # so that a protocol's steps are its own
            await self.services.tables.table(name)._create()
        self.answers_callbacks = True
        self.front.reset()
        self.front.handle = self._webhook

    async def stop(self) -> None:
        if "services" in self.__dict__:
            await self.services.close()

    @property
    def store(self) -> Store[Message]:
        return self.services.messages

    @property
    def outbox(self) -> Outbox[Any]:
        """What the rows of the fault table are played with."""
        return self.services.call_outbox if self.rings else self.services.text_outbox

    async def _webhook(self, req: func.HttpRequest) -> func.HttpResponse:
        """What function_app.py does with a webhook, each through the same call into shared/."""
        if not self.answers_callbacks:
            return func.HttpResponse(status_code=503)
        services = self.services
        notes: dict[str, Callable[[TwilioRequest], Awaitable[None]]] = {
            "sms/status": lambda got: sms_status.reported(got, services.text_outbox),
            "voice/status": lambda got: call_status.reported(got, services.call_outbox),
        }
        path = req.url.removeprefix(f"{self.front.url}/api/").partition("?")[0]
        if path in notes:
            return await webhooks.record(req, services, notes[path])
        if path == "sms":
            return await webhooks.text(req, services)
        return await webhooks.step(path.removeprefix("voice/step/"), req, services)

    def job(self, name: str, **arguments: Any) -> Job:
        """For a Worker: in this world, at its present time."""
        return Job(name, self.environ, self.clock.offset, arguments)

    # What people and the timer do

    async def text(self, to: str, body: str, **request: Any) -> Message:
        """POST messages."""
        asked = {"to": to, "body": body, **request}
        return await schedule.create(asked, self.store, self.services.settings, now=self.clock.now())

    async def many(self, count: int, *, expires_after: int | None = None) -> list[str]:
        """That many texts or calls, all different; their ids. Kept as a bulk load is."""
        made = [self._one(number, expires_after) for number in range(count)]
        store = self.outbox.store
        for partition in store.partitions:
            for batch in batched((each for each in made if each.partition == partition), 25, strict=False):
                await store.table.commit(partition, [write for each in batch for write in creation(each)])
        return [each.id for each in made]

    def _one(self, number: int, expires_after: int | None) -> Message | Call:
        """Texts go to everybody in turn. Calls go to a number each: Twilio's list tells them apart by that."""
        settings, now = self.services.settings, self.clock.now()
        if not self.rings:
            asked = {"to": PEOPLE[number % len(PEOPLE)], "body": f"Message {number}"}
            return request.parse({**asked, "expires_after": expires_after}, settings, now=now)[0]
        ring = {"to": f"+1202555{100 + number:04}", "say": f"Call {number}"}
        call = call_of(CallRequest.from_json(ring, uuid4().hex, settings), now)
        return replace(
            call, is_timed=True, expires=now + timedelta(seconds=expires_after) if expires_after else None
        )

    async def drain(self, partitions: Sequence[str] | None = None, seconds: float = 60) -> Report:
        return await drain(self.outbox, now=self.clock.now(), seconds=seconds, partitions=partitions)

    async def drain_calls(self) -> Report:
        return await drain(self.services.call_outbox, now=self.clock.now(), seconds=60)

    async def settle(
        self,
        *,
        partitions: Sequence[str] | None = None,
        settled: Callable[[], Awaitable[bool]] | None = None,
        minutes: int = 60,
    ) -> int:
        """Let ticks come, four minutes apart, until nothing waits or is in doubt; the minutes it took."""
        for minute in range(0, minutes, 4):
            await self.drain(partitions)
            await self.drain_calls()
            await self.emulator.settle_async(60)
            if await (settled or self.is_settled)():
                return minute
            self.clock.forward(minutes=4)
        return minutes

    async def is_settled(self) -> bool:
        return not any(each.state in UNSETTLED for each in await self.record())

    # What became of it

    async def messages(self, ids: Sequence[str] | None = None) -> list[Message]:
        return await (all_of(self.store) if ids is None else self.store.readable(ids))

    async def record(self) -> Sequence[Message | Call]:
        """All that the rows of the fault table are played with."""
        return await all_of(self.outbox.store)

    async def verdict(self, ids: Sequence[str]) -> Verdict:
        """Our record of these against Twilio's own; and whatever broke, the index of rare ends agrees."""
        assert await astray(self.outbox.store) == set()
        return audit(ids, await self.record(), self.emulator.ledger()["calls" if self.rings else "messages"])


async def all_of[T: Delivery](store: Store[T]) -> list[T]:
    """Everything that is stored."""
    found: list[T] = []
    for partition in store.partitions:
        rows = await store.table.read(partition, "m|", "m|" + END, limit=100_000)
        found += [store.record.from_row(row) for row in rows]
    return found


@asynccontextmanager
async def running_world(azurite: Azurite) -> AsyncIterator[World]:
    clock = Clock()
    options = Options(pace=Pace(step=0.01, talk=0.02), automatic_replies=False)
    async with running_front() as front:
        with Emulator(options, clock=clock.at_twilio) as emulator:
            yield World(azurite, emulator, front, clock)


os.environ["PYTHON_DOTENV_DISABLED"] = "1"
