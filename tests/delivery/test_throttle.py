"""throttle.py, and the drains that keep to it: what is claimed, and how many requests are under way."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from local.twilio import Emulator
from shared import errors, timer
from shared.delivery import sender
from shared.delivery.store import Store
from shared.delivery.throttle import READY, Slots
from shared.services import Services
from shared.sms.message import Message
from shared.storage.rows import Row, Write
from shared.twilio_helper import Sent, Twilio
from tests.azurite import Azurite
from tests.clock import NOW
from tests.front import Front
from tests.sending import drained, keep, person, states
from tests.settings import settings
from tests.waiting import PATIENCE, until

AT_ONCE = 8


class Watched(Twilio):
    """Notes how many messages are under way; while `gate` is shut, none is answered."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.settings)
        self.now = self.most = self.begun = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def send_sms(self, **arguments: Any) -> Sent:
        self.now += 1
        self.begun += 1
        self.most = max(self.most, self.now)
        try:
            await self.gate.wait()
            return await super().send_sms(**arguments)
        finally:
            self.now -= 1


@pytest_asyncio.fixture
async def services(azurite: Azurite, emulator: Emulator, front: Front) -> AsyncIterator[Services]:
    """Eight requests at once."""
    made = Services(
        settings(
            AzureWebJobsStorage=azurite.fresh_account(),
            TWILIO_BASE_URL=emulator.url,
            PUBLIC_BASE_URL=front.url,
            SEND_CONCURRENCY=str(AT_ONCE),
        )
    )
    made.twilio = Watched(made)
    yield made
    await made.close()


def watched(services: Services) -> Watched:
    assert isinstance(services.twilio, Watched)
    return services.twilio


async def test_all_drains_of_a_process_share_its_requests_at_once(
    services: Services, emulator: Emulator
) -> None:
    await keep(services, 60)
    emulator.faults(latency_ms=20)
    await asyncio.gather(*(drained(services) for _ in range(4)))
    assert watched(services).most == AT_ONCE
    assert await states(services) == {"submitted": 60}


async def test_no_more_is_claimed_than_is_under_way_and_a_quarter(services: Services) -> None:
    await keep(services, 40, to=person(1))
    watched(services).gate.clear()
    draining = asyncio.create_task(drained(services))
    await until(lambda: watched(services).now == AT_ONCE)
    assert (await states(services))["posting"] <= AT_ONCE + AT_ONCE // READY
    watched(services).gate.set()
    await draining
    assert await states(services) == {"submitted": 40}


class Unsteady(Store[Message]):
    """Claims go wrong: `wrong` is raised in turn, or nothing where it is None."""

    def __init__(self, services: Services, *wrong: Exception | None) -> None:
        super().__init__(services.tables.table("messages"), Message)
        self.wrong = list(wrong)
        self.entered, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def claim(
        self,
        partition: str,
        rows: Sequence[Row],
        attempt: str,
        *,
        now: datetime,
        lease: datetime,
        extra: Sequence[Write] = (),
    ) -> list[Message]:
        self.entered.set()
        await self.gate.wait()
        if self.wrong and (exc := self.wrong.pop(0)):
            raise exc
        return await super().claim(partition, rows, attempt, now=now, lease=lease, extra=extra)


def over(services: Services, store: Store[Message]) -> None:
    """Let what is due be sent out of this store."""
    services.text_outbox = replace(services.text_outbox, store=store)


def all_free(services: Services) -> bool:
    slots = services.slots
    return (slots.claimed, slots.under_way) == (0, 0)


async def test_every_slot_comes_back_where_half_of_a_claim_fails(services: Services) -> None:
    await keep(services, 8, to=person(1))
    for _ in range(3):
        over(services, Unsteady(services, errors.Contended("x"), None, errors.StorageAway("away")))
        await drained(services)
        assert all_free(services)
    over(services, Unsteady(services))
    await drained(services)
    assert (await states(services), all_free(services)) == ({"submitted": 8}, True)


async def test_every_slot_comes_back_where_a_drain_is_canceled_while_it_claims(services: Services) -> None:
    await keep(services, 8, to=person(1))
    store = Unsteady(services)
    over(services, store)
    store.gate.clear()
    draining = asyncio.create_task(drained(services))
    await store.entered.wait()
    draining.cancel()
    await asyncio.sleep(0)  # it is told
    store.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await draining
    assert all_free(services)
    await drained(services)
    assert (await states(services), all_free(services)) == ({"submitted": 8}, True)


async def test_what_has_no_turn_when_a_drain_ends_goes_back_and_is_not_in_doubt(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twilio is slow: what is under way is waited for, what stands ready is not."""
    monkeypatch.setattr(sender, "LAST_SENDS", 0.1)
    await keep(services, AT_ONCE + AT_ONCE // READY, to=person(1))
    watched(services).gate.clear()
    draining = asyncio.create_task(drained(services))
    while (await states(services))["pending"] != AT_ONCE // READY or watched(services).now != AT_ONCE:
        assert not draining.done()
    assert await states(services) == {"posting": AT_ONCE, "pending": AT_ONCE // READY}
    watched(services).gate.set()
    await draining
    assert await states(services) == {"submitted": AT_ONCE, "pending": AT_ONCE // READY}
    assert watched(services).begun == AT_ONCE
    await drained(services)
    assert await states(services) == {"submitted": AT_ONCE + AT_ONCE // READY}


async def test_who_stops_does_not_wait_for_the_turns_of_another_drain(services: Services) -> None:
    await keep(services, AT_ONCE, to=person(1))
    watched(services).gate.clear()
    one = asyncio.create_task(drained(services))
    await until(lambda: watched(services).now == AT_ONCE)
    await keep(services, 1, to=person(2))
    other = asyncio.create_task(drained(services))
    while (await states(services))["posting"] != AT_ONCE + 1:
        assert not other.done()
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other
    assert await states(services) == {"posting": AT_ONCE, "pending": 1}
    watched(services).gate.set()
    await one


async def test_under_429_fewer_are_under_way_and_then_more_again(
    services: Services, emulator: Emulator
) -> None:
    await keep(services, 40)
    emulator.plan(kind="error", resource="messages", code=20429, times=3)
    limits: list[int] = []
    slots, slower = services.slots, services.slots.slower

    def noted() -> None:
        slower()
        limits.append(slots.limit)

    slots.slower = noted  # type: ignore[method-assign]
    await drained(services)
    assert min(limits) <= AT_ONCE // 2
    assert slots.limit > min(limits)
    assert all_free(services)


async def test_a_large_wish_is_not_passed_by_later_small_ones() -> None:
    slots = Slots(8)
    assert await slots.take(10) == 10
    order: list[str] = []

    async def wish(name: str, wanted: int) -> None:
        await slots.take(wanted)
        order.append(name)

    wishes = [asyncio.create_task(wish("large", 2))]
    await asyncio.sleep(0)
    wishes += [asyncio.create_task(wish(f"small {n}", 1)) for n in range(2)]
    for _ in range(4):
        await asyncio.sleep(0)
        slots.give_back()
    await asyncio.gather(*wishes)
    assert order[0] == "large"


@given(st.lists(st.sampled_from(["enter", "leave", "slower", "faster"]), max_size=60))
def test_turns_are_neither_lost_nor_made(steps: list[str]) -> None:
    async def play() -> None:
        slots, entered = Slots(4), 0
        for step in steps:
            if step == "leave" and entered:
                slots.leave()
                entered -= 1
            elif step == "enter":
                fits = slots.under_way < slots.limit
                try:
                    async with asyncio.timeout(0):
                        await slots.enter()
                except TimeoutError:
                    assert not fits
                else:
                    assert fits
                    entered += 1
            elif step in ("slower", "faster"):
                getattr(slots, step)()
        for _ in range(entered):
            slots.leave()
        for _ in range(slots.limit):
            async with asyncio.timeout(PATIENCE):
                await slots.enter()
        assert slots.under_way == slots.limit

    asyncio.run(play())


async def test_a_tick_ends_although_nothing_is_due(services: Services) -> None:
    report = await timer.tick(services.text_outbox, services.call_outbox, now=NOW)
    assert (str(report), all_free(services)) == ("nothing due", True)
