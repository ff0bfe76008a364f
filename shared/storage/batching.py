"""Commits of one partition, made together: those that come while one is under way share the next transaction.

Nobody waits who comes alone. Each commit stays all or nothing: where storage refuses a shared transaction,
each of its commits is made on its own, so that one that is contended stops no other.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from shared.delivery.store import Rows
from shared.errors import StorageAway
from shared.storage.rows import TRANSACTION_LIMIT, Row, Write


class _Commit:
    def __init__(self, writes: Sequence[Write]) -> None:
        self.writes = writes
        self.keys = {write.key for write in writes}
        self.etags: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()


class Together:
    """A table whose concurrent commits to one partition share transactions."""

    def __init__(self, table: Rows) -> None:
        self._table = table
        self._waiting: dict[str, deque[_Commit]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def get(self, partition: str, key: str) -> Row | None:
        """The row, or None."""
        return await self._table.get(partition, key)

    async def read(
        self,
        partition: str,
        low: str,
        high: str,
        *,
        limit: int,
        select: Sequence[str] = (),
    ) -> list[Row]:
        """At most `limit` rows with low < key < high in the order of their keys."""
        return await self._table.read(partition, low, high, limit=limit, select=select)

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
        waiting = self._waiting[partition]
        group: list[_Commit] = []
        try:
            while group := _group(waiting):
                if not await self._commit(partition, group):
                    await asyncio.gather(*(self._commit(partition, [each]) for each in group))
        finally:
            del self._waiting[partition]
            for each in (*group, *waiting):  # none, unless this was canceled
                each.etags.cancel()

    async def _commit(self, partition: str, group: Sequence[_Commit]) -> bool:
        """Tell each of the group what became of it. False where each is to be tried on its own."""
        try:
            etags = iter(await self._table.commit(partition, [w for each in group for w in each.writes]))
        except Exception as exc:  # noqa: BLE001 - whoever waits for it is told
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
    """The first of those that wait, and those behind it that fit: a transaction has no row twice.

    Whoever was canceled meanwhile has nobody to learn of it, so it is not made.
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
