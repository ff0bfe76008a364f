"""Wait for something to become true, instead of sleeping for as long as it usually takes."""

import asyncio
from collections.abc import Callable

PATIENCE = 100.0
"""Seconds for what happens at once on an idle machine: short of pytest's own limit, which names no reason."""


async def until(condition: Callable[[], object]) -> None:
    """Ask again and again; pytest's own time limit ends a wait that is in vain."""
    while not condition():  # noqa: ASYNC110  what is waited for is in another process
        await asyncio.sleep(0.05)
