"""The heartbeat: a row that says when the timer last ran, and what it did."""

from datetime import datetime

from shared.storage.rows import Put, Rows, stamp

PARTITION = "diagnosis"
HEARTBEAT = "heartbeat"


async def beat(table: Rows, report: str, *, now: datetime) -> None:
    """Note that the timer has run, and what it did."""
    await table.commit(PARTITION, [Put(HEARTBEAT, {"at": stamp(now), "report": report})])
