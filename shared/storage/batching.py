"""Concurrent commits to one partition share transactions, so that many small ones cost few requests.

While a transaction of a partition is under way, further commits to it wait, and share the next one. A commit
that comes alone does not wait. Each commit stays all or nothing: if storage refuses a shared transaction,
each of its commits is made again on its own, so that a contended one fails no other.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from shared.errors import StorageAway
from shared.storage.rows import TRANSACTION_LIMIT, Write


class _Commit:
    def __init__(self, writes: Sequence[Write]) -> None:
        self.writes = writes
        self.keys = {write.key for write in writes}
        self.etags: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()


class Batches:
    """The commits of one table. transact: makes one transaction, as `Rows.commit` describes it."""

    def __init__(self, transact: Callable[[str, Sequence[Write]], Awaitable[list[str]]]) -> None:
        self._transact = transact
        self._waiting: dict[str, deque[_Commit]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Make up to 100 writes in one partition, all of them or none; the new etags, in order.

        Raises Contended where a row was not as a write expects it.
        """
        mine = _Commit(writes)
        if partition in self._waiting:
            self._waiting[partition].append(mine)
        else:
            self._waiting[partition] = deque([mine])
            running = asyncio.create_task(self._run(partition))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        return await mine.etags

    async def _run(self, partition: str) -> None:
        """Make transactions until no commit to this partition waits."""
        waiting = self._waiting[partition]
        group: list[_Commit] = []
        try:
            while group := _group(waiting):
                if not await self._commit(partition, group):
                    await asyncio.gather(*(self._commit(partition, [each]) for each in group))
        finally:
            del self._waiting[partition]
            for each in (*group, *waiting):  # there are some only where this task was canceled
                each.etags.cancel()

    async def _commit(self, partition: str, group: Sequence[_Commit]) -> bool:
        """Make one transaction, and answer each commit in it. False where each must be made on its own."""
        try:
            etags = iter(await self._transact(partition, [w for each in group for w in each.writes]))
        except Exception as exc:  # noqa: BLE001 - each caller gets it
            if len(group) > 1 and not isinstance(exc, StorageAway):
                return False
            for each in group:
                if not each.etags.done():
                    each.etags.set_exception(exc)
        else:
            for each in group:
                mine = [next(etags) for _ in each.writes]
                if not each.etags.done():
                    each.etags.set_result(mine)
        return True


def _group(waiting: deque[_Commit]) -> list[_Commit]:
    """Take the first waiting commit, and those behind it that fit into its transaction.

    A transaction has at most 100 writes, and no row twice. A commit whose caller was canceled is dropped.
    """
    group: list[_Commit] = []
    keys: set[str] = set()
    while waiting:
        first = waiting[0]
        fits = len(keys) + len(first.keys) <= TRANSACTION_LIMIT and keys.isdisjoint(first.keys)
        if not first.etags.done():
            if group and not fits:
                break
            group.append(first)
            keys |= first.keys
        waiting.popleft()
    return group
