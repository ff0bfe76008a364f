"""How fast to send: how many requests at once, how many a second, and when to try again."""

import asyncio
import random
from collections import deque
from contextlib import suppress
from datetime import timedelta
from time import monotonic

READY = 4
"""For every so many requests under way one more item stands ready, claimed; a claim takes as many."""
LONGEST_BACKOFF = 600


class Slots:
    """How many items are claimed at once, and how many requests are under way, by all drains of a process.

    limit: requests under way; Twilio's 429 makes them fewer, success more again.
    """

    def __init__(self, most: int) -> None:
        self.most = self.limit = most
        self.claimed = self.under_way = 0
        self._line = asyncio.Lock()
        self._freed = asyncio.Event()
        self._turns: deque[asyncio.Future[None]] = deque()

    @property
    def room(self) -> int:
        """How many may be claimed at once.

        Some stand ready, or requests would wait for claims. Each of these is in doubt after a kill.
        """
        return self.limit + self.limit // READY

    async def take(self, wanted: int) -> int:
        """Wait, first come first, until there is room for a good part of these; how many were taken."""
        async with self._line:
            while self.room - self.claimed < min(wanted, max(1, self.limit // READY)):
                self._freed.clear()
                await self._freed.wait()
            taken = min(wanted, self.room - self.claimed)
            self.claimed += taken
            return taken

    def give_back(self, count: int = 1) -> None:
        """So many are not claimed any more."""
        self.claimed -= count
        self._freed.set()

    async def enter(self) -> None:
        """Wait, first come first, until one more request may be under way; `leave` when it is over."""
        turn = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was admitted
                self.leave()
            raise

    def leave(self) -> None:
        """A request is over."""
        self.under_way -= 1
        self._admit()

    def slower(self) -> None:
        """Twilio asked for it (429)."""
        self.limit = max(1, self.limit // 2)

    def faster(self) -> None:
        """A request succeeded."""
        self.limit = min(self.most, self.limit + 1)
        self._admit()
        self._freed.set()

    def _admit(self) -> None:
        while self._turns and self.under_way < self.limit:
            turn = self._turns.popleft()
            if not turn.done():
                self.under_way += 1
                turn.set_result(None)


class Pace:
    """At most so many a second, evenly; no limit where the rate is None."""

    def __init__(self, rate: float | None) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._next = 0.0
        self._ended = asyncio.Event()

    async def ready(self) -> None:
        """Wait until the turns that are taken lie within a second: do not claim further ahead than that."""
        await self._sleep(self._next - monotonic() - 1)

    @property
    def ended(self) -> bool:
        """Does nobody get a turn any more?"""
        return self._ended.is_set()

    async def turn(self) -> None:
        """Take a turn and wait for it, or for the end."""
        if self._gap:
            self._next = mine = max(self._next + self._gap, monotonic())
            await self._sleep(mine - monotonic())

    def end(self) -> None:
        """Give no further turn."""
        self._ended.set()

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._ended.wait()


def backoff(attempts: int) -> timedelta:
    """How long to wait before the next attempt: at random, in a range that doubles, up to ten minutes."""
    most = min(LONGEST_BACKOFF, 2 ** min(max(1, attempts), 20))
    return timedelta(seconds=random.uniform(1, max(1, most)))
