"""How fast to send: how many requests at once, how many a second, and when to try again."""

import asyncio
from collections import deque
from contextlib import suppress
from datetime import timedelta
from time import monotonic

READY = 4
"""For every so many requests under way one more message stands ready, claimed; a claim takes as many."""


class Slots:
    """How many messages are claimed at once, and how many requests are under way, by all drains of a process.

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
        """Claimed at once. Some stand ready, or requests would wait for claims; each is one more that is in
        doubt where the process is killed."""
        return self.limit + self.limit // READY

    async def take(self, wanted: int) -> int:
        """Wait, first come first, until there is room for a good part; how much of it was taken."""
        async with self._line:
            while self.room - self.claimed < min(wanted, max(1, self.limit // READY)):
                self._freed.clear()
                await self._freed.wait()
            taken = min(wanted, self.room - self.claimed)
            self.claimed += taken
            return taken

    def give_back(self, count: int = 1) -> None:
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
            if not turn.cancelled():  # it had come
                self.leave()
            raise

    def leave(self) -> None:
        self.under_way -= 1
        self._admit()

    def slower(self) -> None:
        self.limit = max(1, self.limit // 2)

    def faster(self) -> None:
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
