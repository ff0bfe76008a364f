"""The fault table, played small; `make faults` plays it in full and prints it beside the plain loop."""

import pytest

from tests.faults import rows
from tests.faults.world import World


async def test_drainers_that_are_killed_and_replaced_lose_and_double_nothing(world: World) -> None:
    outcome = await rows.kills(world, 600, every=0.25, at_once=6)
    assert outcome.notes["killed"] >= 4
    assert outcome.notes["minutes"] <= 30
    assert outcome.ours.is_clean(), outcome
    assert not outcome.ours.left_unresolved, outcome
    assert outcome.plain.doubled


async def test_lost_answers_are_settled_by_the_list_and_repeated_never(world: World) -> None:
    outcome = await rows.lost_answers(world, 150)
    assert outcome.notes["in doubt"]
    assert outcome.ours.is_clean(), outcome
    assert not outcome.ours.unresolved, outcome


async def test_with_broken_callbacks_the_final_state_is_the_truth_for_all(world: World) -> None:
    outcome = await rows.broken_callbacks(world, 100)
    assert outcome.ours.is_clean(), outcome
    assert len(outcome.ours.once) == 100
    assert outcome.ours.states["undelivered"]


async def test_with_callbacks_and_list_dark_what_is_in_doubt_is_unresolved_and_not_resent(
    world: World,
) -> None:
    outcome = await rows.all_dark(world, 30)
    assert outcome.ours.unresolved
    assert outcome.ours.is_clean(), outcome
    assert outcome.plain.doubled


async def test_two_timers_and_every_queue_message_three_times_send_once(world: World) -> None:
    outcome = await rows.two_at_once(world, 100)
    assert outcome.ours.is_clean(), outcome
    assert len(outcome.ours.once) == 100
    assert outcome.notes["rung once"] == outcome.notes["calls"]


async def test_a_write_whose_answer_is_lost_sends_once(world: World) -> None:
    outcome = await rows.lost_writes(world, 9)
    assert outcome.notes["answers lost"] >= 6
    assert outcome.ours.is_clean(), outcome
    assert len(outcome.ours.once) == outcome.ours.count


@pytest.mark.parametrize("size", [20])
async def test_refused_credentials_burn_no_attempt(world: World, size: int) -> None:
    outcome = await rows.credentials_refused(world, size)
    assert outcome.notes["attempts burned"] == 0
    assert len(outcome.ours.once) == size
    assert outcome.ours.is_clean(), outcome
