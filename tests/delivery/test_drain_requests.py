"""At most one message for each shard lies on sms-drain, and none that is needed is missing there."""

import asyncio
from datetime import timedelta

import pytest

from local.twilio import Emulator
from shared import timer
from shared.delivery import drain_requests
from shared.services import Services
from shared.sms import schedule
from tests.clock import NOW
from tests.sending import keep, person, states
from tests.settings import settings


async def wants(services: Services, number: int) -> bool:
    (message,) = await keep(services, to=person(1), body=f"text {number}")
    return await schedule.wants_drain(message, services.messages, services.settings, now=NOW)


async def test_a_text_whose_shard_lies_on_the_queue_drops_no_second_message(
    services: Services, emulator: Emulator
) -> None:
    assert [await wants(services, number) for number in range(3)] == [True, False, False]
    shard = services.messages.record.home_of(person(1))
    await timer.one_shard(shard.encode(), services.text_outbox, now=NOW)
    assert len(emulator.ledger()["messages"]) == 3
    assert [await wants(services, number) for number in (3, 4)] == [True, False]


async def test_texts_at_once_drop_one_message(services: Services) -> None:
    assert sum(await asyncio.gather(*(wants(services, number) for number in range(8)))) == 1


async def test_a_backlog_puts_each_shard_on_the_queue_once(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timer, "TICK_SECONDS", 0)
    shards = {each.partition for each in await keep(services, 40)}
    asked: list[str] = []
    for seconds in range(0, 300, 60):
        now = NOW + timedelta(seconds=seconds)
        asked += (await timer.tick(services.text_outbox, services.call_outbox, now=now)).to_do
    assert sorted(asked) == sorted(shards)


async def test_a_message_that_was_lost_is_replaced(services: Services) -> None:
    assert await wants(services, 0)
    later = NOW + drain_requests.HOLDS
    shard = services.messages.record.home_of(person(1))
    assert await drain_requests.request(services.messages, shard, now=later)


async def test_what_is_left_over_asks_again(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer, "SHARD_SECONDS", 0)
    (first, *_) = await keep(services, 20, to=person(1))
    for _ in range(2):
        report = await timer.one_shard(first.partition.encode(), services.text_outbox, now=NOW)
        assert report.to_do == [first.partition]


async def test_with_a_rate_only_ticks_send(services: Services, emulator: Emulator) -> None:
    known = services.settings
    paced = Services(
        settings(
            AzureWebJobsStorage=known.storage or "",
            TWILIO_BASE_URL=known.twilio_base_url or "",
            PUBLIC_BASE_URL=known.public_base_url,
            MAX_PER_SECOND="1",
        )
    )
    assert not await wants(paced, 0)
    shard = services.messages.record.home_of(person(1))
    await timer.one_shard(shard.encode(), paced.text_outbox, now=NOW)
    assert (await states(paced), emulator.ledger()["messages"]) == ({"pending": 1}, [])
    await paced.close()
