"""How fast to send: how many requests at once, how many a second, and when to try again."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from time import monotonic

AHEAD = 4
"""The part of the requests under way for which as many again stand ready, and are claimed at a time."""


class Slots:
    """How many messages are claimed at once: as many as requests are under way, and some that stand ready.

    limit: requests under way at once; Twilio's 429 makes them fewer, success more again.
    """

    def __init__(self, most: int) -> None:
        self.most = self.limit = most
        self.used = 0
        self._changed = asyncio.Condition()

    @property
    def room(self) -> int:
        """Claimed at once. A quarter stands ready, or requests would wait for claims; each is one more that
        is in doubt where the process is killed."""
        return self.limit + self.limit // AHEAD

    async def take(self, wanted: int) -> int:
        """Wait until there is room for a good part; how much of it was taken, at most `wanted`."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: self.room - self.used >= min(wanted, max(1, self.limit // AHEAD))
            )
            taken = min(wanted, self.room - self.used)
            self.used += taken
            return taken

    async def give_back(self, count: int = 1) -> None:
        async with self._changed:
            self.used -= count
            self._changed.notify_all()

    def slower(self) -> None:
        self.limit = max(1, self.limit // 2)

    def faster(self) -> None:
        self.limit = min(self.most, self.limit + 1)


class Pace:
    """At most so many a second, evenly; no limit where the rate is None."""

    def __init__(self, rate: float | None) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._next = 0.0
        self._ended = asyncio.Event()

    async def ready(self) -> None:
        """Wait until the turns that are taken lie within a second: what waits longer is not to be claimed."""
        await self._sleep(self._next - monotonic() - 1)

    async def turn(self) -> bool:
        """Take a turn and wait for it. Is it to be used? Not where `end` came first."""
        if self._gap:
            self._next = mine = max(self._next + self._gap, monotonic())
            await self._sleep(mine - monotonic())
        return not self._ended.is_set()

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
