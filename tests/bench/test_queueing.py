"""bench/queue_child.py and bench/child.py: what is counted, and that a measure ends."""

import asyncio

import pytest

from bench import child, webhook_request
from bench.child import ChildFailed
from bench.queue_child import Tally


async def test_a_message_that_comes_twice_counts_once() -> None:
    tally = Tally(["a", "b"])
    complete = asyncio.create_task(tally.complete())
    for body in ("a", "a", "a"):
        tally.handled(body)
        await asyncio.sleep(0)
        assert not complete.done()
    tally.handled("b")
    tally.handled("b")
    await complete


async def test_a_message_that_fails_ends_the_measure() -> None:
    tally = Tally(["a", "b"])
    tally.handled("a")
    tally.failed(RuntimeError("refused"))
    tally.handled("b")
    with pytest.raises(RuntimeError, match="refused"):
        await tally.complete()


def test_a_child_that_never_answers_is_given_up() -> None:
    with (
        child.running("bench.drain_child", environ=webhook_request.ENVIRON) as each,
        pytest.raises(ChildFailed, match=r"bench\.drain_child.* gave no answer for 0\.3 s"),
    ):
        each.answer(0.3)  # it was asked for nothing, so it waits
