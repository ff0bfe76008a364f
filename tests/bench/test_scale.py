"""bench/scale.py: the simulation keeps to the limits that it is given."""

from dataclasses import replace

import pytest

from bench import scale
from bench.scale import AZURE, RAISED, World
from shared import timer
from shared.delivery import drain

FREE = World(cpu=0.0, storage=0.0, partition=None, account=None)


def test_one_instance_sends_no_more_than_its_slots_allow() -> None:
    run = scale.simulate(FREE, 1, 5_000, ticks=False)
    assert run.rate == pytest.approx(64 / 0.1, rel=0.1)
    assert run.binds == "64 requests an instance"


def test_cpu_binds_where_it_is_scarce() -> None:
    run = scale.simulate(replace(FREE, cpu=0.01), 1, 2_000, ticks=False)
    assert run.rate == pytest.approx(100, rel=0.1)
    assert run.binds == "our CPU"


def test_a_partition_takes_so_many_rows_a_second() -> None:
    world = replace(FREE, partition=2_000.0, slots=6_400)
    run = scale.simulate(world, 1, 5_000, shards=1, ticks=False)
    rows = scale.CLAIM_ROWS + scale.OUTCOME_ROWS + scale.LEASE_ROWS / drain.BATCH
    assert run.rate == pytest.approx(2_000 / rows, rel=0.1)
    assert run.binds == "a partition's rows a second"


def test_shards_help_until_the_account_binds() -> None:
    found = dict(scale.shard_counts(RAISED))
    assert found[4].rate == pytest.approx(found[1].rate * 4, rel=0.15)
    assert found[64].binds == "the account's rows a second"
    assert found[64].rate < found[32].rate * 1.1
    assert found[16].rate > found[64].rate * 0.95, "SHARDS is 16 because more gain nothing"


def test_twilios_concurrency_is_never_exceeded() -> None:
    runs = [scale.simulate(AZURE, number, 50_000, ticks=False) for number in (1, 4, 16, 1000)]
    assert all(run.rate <= 100 / 0.1 for run in runs)
    assert runs[-1].rate == pytest.approx(1_000, rel=0.1)
    assert runs[-1].binds == "Twilio's requests at once"


def test_a_backlog_of_a_tick_leaves_in_the_first_tick() -> None:
    few, many = scale.simulate(AZURE, 16, 1_000), scale.simulate(AZURE, 16, 100_000)
    assert few.seconds < timer.TICK_SECONDS < many.seconds
    assert few.lateness < many.lateness < many.seconds


def test_a_backlog_beyond_what_is_simulated_goes_on_at_its_pace() -> None:
    whole = scale.simulate(FREE, 2, scale.SIMULATED, ticks=False)
    tenfold = scale.simulate(FREE, 2, scale.SIMULATED * 10, ticks=False)
    assert tenfold.seconds == pytest.approx(whole.seconds * 10, rel=0.1)


def test_on_one_machine_everything_takes_turns() -> None:
    world = scale.machine(FREE, cores=2, cpu=0.002, azurite=0.0005, emulator=0.0005)
    one, four = (scale.simulate(world, number, 4_000, ticks=False).rate for number in (1, 4))
    each = 0.002 + 3 * 0.0005 + 0.0005
    assert one < four <= 2 / each


def test_what_binds_a_large_backlog_is_what_binds_it_under_way() -> None:
    """Not the start, in which one instance ticks alone."""
    run = scale.simulate(RAISED, 1000, 10_000_000)
    assert run.binds == "the account's rows a second"
    assert run.rate == pytest.approx(20_000 / (scale.CLAIM_ROWS + scale.OUTCOME_ROWS), rel=0.1)
