"""The row in the table `messages` that says when the timer last ran. `ops doctor` and /diagnosis show it."""

from datetime import datetime

from shared.storage.rows import Put, Rows, stamp

PARTITION = "diagnosis"
HEARTBEAT = "heartbeat"


async def beat(table: Rows, report: str, *, now: datetime) -> None:
    """Write that the timer has run, and what it did."""
    await table.commit(PARTITION, [Put(HEARTBEAT, {"at": stamp(now), "report": report})])


async def last_beat(table: Rows) -> dict[str, str] | None:
    """What the last `beat` wrote, as {"at", "report"}; None before the first."""
    row = await table.get(PARTITION, HEARTBEAT)
    return {"at": row.text("at"), "report": row.text("report")} if row else None
