"""Process exit at each step of the protocol: nothing is sent twice, nothing is lost, nothing hangs."""

import pytest

from shared.delivery.states import State
from tests.faults import call_steps, steps
from tests.faults.world import World


@pytest.mark.parametrize("protocol", steps.PROTOCOLS)
async def test_an_exit_at_any_step_loses_and_doubles_nothing(world: World, protocol: str) -> None:
    cases = [case async for case in steps.PROTOCOLS[protocol](world)]
    assert cases
    for case in cases:
        assert case.verdict.is_clean(), case
        assert not case.verdict.left_unresolved, case
        if "before the claim" in case.step:
            assert len(case.verdict.once) == case.verdict.count, case


async def test_an_exit_at_any_step_of_a_call_rings_once_or_says_that_nobody_knows(world: World) -> None:
    cases = [case async for case in call_steps.exits(world)]
    assert {case.step for case in cases} >= {"before the POST", "after the POST"}
    for case in cases:
        assert len(case.rung) <= 1, case
        assert case.state in (State.COMPLETED if case.rung else State.UNRESOLVED,), case
        assert "POST" in case.step or "after" in case.step or case.rung, case
