"""How fast to send: how many requests at once, how many a second, and when to try again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from time import monotonic

AHEAD = 4
"""The part of the requests under way for which as many again stand ready, and are claimed at a time."""


class Slots:
    """How many messages are claimed at once, and how many requests are under way, by all drains of a process.

    limit: requests under way; Twilio's 429 makes them fewer, success more again.
    """

    def __init__(self, most: int) -> None:
        self.most = self.limit = most
        self.claimed = 0
        self._changed = asyncio.Condition()
        self._turns = asyncio.Semaphore(most)
        self._withheld = 0

    @property
    def room(self) -> int:
        """Claimed at once. A quarter stands ready, or requests would wait for claims; each is one more that
        is in doubt where the process is killed."""
        return self.limit + self.limit // AHEAD

    async def take(self, wanted: int) -> int:
        """Wait until there is room for a good part; how much of it was taken, at most `wanted`."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: self.room - self.claimed >= min(wanted, max(1, self.limit // AHEAD))
            )
            taken = min(wanted, self.room - self.claimed)
            self.claimed += taken
            return taken

    async def give_back(self, count: int = 1) -> None:
        async with self._changed:
            self.claimed -= count
            self._changed.notify_all()

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Wait for a turn, first come first, and have it for one request."""
        await self._turns.acquire()
        try:
            yield
        finally:
            self._end_turn()

    def slower(self) -> None:
        fewer = max(1, self.limit // 2)
        self._withheld += self.limit - fewer
        self.limit = fewer

    def faster(self) -> None:
        if self.limit < self.most:
            self.limit += 1
            self._end_turn()

    def _end_turn(self) -> None:
        if self._withheld:
            self._withheld -= 1
        else:
            self._turns.release()


class Pace:
    """At most so many a second, evenly; no limit where the rate is None."""

    def __init__(self, rate: float | None) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._next = 0.0
        self._ended = asyncio.Event()

    async def ready(self) -> None:
        """Wait until the turns that are taken lie within a second: what waits longer is not to be claimed."""
        await self._sleep(self._next - monotonic() - 1)

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    async def turn(self) -> None:
        """Take a turn and wait for it, or for the end."""
        if self._gap:
            self._next = mine = max(self._next + self._gap, monotonic())
            await self._sleep(mine - monotonic())

    def end(self) -> None:
        """Nobody's turn comes any more."""
        self._ended.set()

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._ended.wait()


def backoff(attempts: int) -> timedelta:
    """How long to wait before the next attempt: at random, in a range that doubles, up to ten minutes."""
    from tenacity import RetryCallState, wait_random_exponential

    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]
    state.attempt_number = max(1, attempts)
    return timedelta(seconds=wait_random_exponential(multiplier=2, min=1, max=600)(state))
