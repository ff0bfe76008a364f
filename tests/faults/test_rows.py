"""The fault table, played small with texts and with calls; `make faults` plays it in full."""

import pytest

from shared.delivery.states import State
from tests.faults import rows
from tests.faults.world import World

both = pytest.mark.parametrize("rings", [False, True], ids=["texts", "calls"])


@both
async def test_drainers_that_are_killed_and_replaced_lose_and_double_nothing(
    world: World, rings: bool
) -> None:
    world.rings = rings
    outcome = await rows.kills(world, 150 if rings else 600, every=0.25, at_once=3 if rings else 6)
    assert outcome.notes["killed"] >= 4
    assert outcome.notes["minutes"] <= 30
    assert outcome.ours.is_clean(), outcome
    assert not outcome.ours.left_unresolved, outcome
    assert rings or outcome.plain.doubled


@both
async def test_lost_answers_are_settled_by_the_list_and_repeated_never(world: World, rings: bool) -> None:
    world.rings = rings
    outcome = await rows.lost_answers(world, 150)
    assert outcome.notes["in doubt"]
    assert outcome.ours.is_clean(), outcome
    assert not outcome.ours.unresolved, outcome


@both
async def test_with_broken_callbacks_the_final_state_is_the_truth_for_all(world: World, rings: bool) -> None:
    world.rings = rings
    outcome = await rows.broken_callbacks(world, 100)
    assert outcome.ours.is_clean(), outcome
    assert len(outcome.ours.once) == 100
    assert rings or outcome.ours.states["undelivered"]


@both
async def test_with_callbacks_and_list_dark_what_is_in_doubt_is_unresolved_and_not_resent(
    world: World, rings: bool
) -> None:
    world.rings = rings
    outcome = await rows.all_dark(world, 30)
    assert outcome.ours.unresolved
    assert outcome.ours.is_clean(), outcome
    assert rings or outcome.plain.doubled


@both
async def test_two_timers_and_every_queue_message_three_times_send_once(world: World, rings: bool) -> None:
    world.rings = rings
    outcome = await rows.two_at_once(world, 100)
    assert outcome.ours.is_clean(), outcome
    assert len(outcome.ours.once) == 100


async def test_a_write_whose_answer_is_lost_sends_once(world: World) -> None:
    outcome = await rows.lost_writes(world, 9)
    assert outcome.notes["answers lost"] >= 6
    assert outcome.ours.is_clean(), outcome
    assert len(outcome.ours.once) == outcome.ours.count


@both
async def test_refused_credentials_burn_no_attempt(world: World, rings: bool) -> None:
    world.rings = rings
    outcome = await rows.credentials_refused(world, 20)
    assert outcome.notes["attempts burned"] == 0
    assert len(outcome.ours.once) == 20
    assert outcome.ours.is_clean(), outcome


@both
async def test_a_clock_five_minutes_off_does_not_hide_what_was_sent(world: World, rings: bool) -> None:
    world.rings = rings
    outcome = await rows.clocks(world, 12)
    assert outcome.ours.is_clean()
    assert not outcome.ours.unresolved


@both
async def test_what_was_due_while_the_app_was_down_is_caught_up_once(world: World, rings: bool) -> None:
    world.rings = rings
    outcome = await rows.six_hours_down(world, 8)
    assert outcome.ours.is_clean()
    assert outcome.ours.states == {State.COMPLETED if rings else State.DELIVERED: 8, State.EXPIRED: 8}
