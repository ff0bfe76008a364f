"""DST gaps and folds, clocks that are off, and quiet hours: the documented instant, once."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.delivery.states import State
from shared.storage.partitions import shard
from tests.faults import rows
from tests.faults.world import PEOPLE, World


async def test_a_gap_moves_forward_and_a_fold_happens_once(world: World) -> None:
    outcome = await rows.clock_changes(world, 2)
    assert len(outcome.ours.once) == outcome.ours.count == 2 * len(rows.CHANGES)
    assert outcome.ours.is_clean(), outcome
    assert not outcome.notes["not at the documented instant"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
async def test_a_daily_message_comes_once_a_day_while_clocks_change(world: World, zone: str) -> None:
    """A year's two changes, at half past two and half past one, where hours are missing or come twice."""
    changes = {
        "Europe/Berlin": (datetime(2027, 3, 26, tzinfo=UTC), datetime(2027, 10, 29, tzinfo=UTC)),
        "America/New_York": (datetime(2027, 3, 12, tzinfo=UTC), datetime(2027, 11, 5, tzinfo=UTC)),
    }
    for start in changes[zone]:
        await world.start()
        world.clock.offset += start - world.clock.now()
        for clock in ("01:30", "02:30"):
            first = f"{start.date() + timedelta(days=1)}T{clock}:00"
            await world.text(PEOPLE[0], clock, send_at=first, time_zone=zone, repeat="FREQ=DAILY;COUNT=4")
        for _ in range(24 * 6):
            if await world.store.due(shard(PEOPLE[0]), world.clock.now(), limit=1):
                await world.drain([shard(PEOPLE[0])])
            world.clock.forward(hours=1)
        sent = [each for each in await world.messages() if each.sid]
        assert len(sent) == len(world.emulator.ledger()["messages"]) == 2 * 4
        days = {(each.body, each.due.astimezone(each.zone).date()) for each in sent}
        assert len(days) == len(sent)


async def test_a_clock_five_minutes_off_does_not_hide_what_was_sent(world: World) -> None:
    outcome = await rows.clocks(world, 12)
    assert outcome.ours.is_clean()
    assert not outcome.ours.unresolved


async def test_what_was_due_while_the_app_was_down_is_caught_up_once(world: World) -> None:
    outcome = await rows.six_hours_down(world, 8)
    assert outcome.ours.is_clean()
    assert outcome.ours.states == {State.DELIVERED: 8, State.EXPIRED: 8}
