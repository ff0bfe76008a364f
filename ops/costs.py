"""`costs`: what 1,000 messages and calls cost in Azure, from counted requests and a table of prices.

The tests count the requests with the real code on real storage. Twilio's prices come on top.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.table import Table

from ops.client import AsJson
from ops.console import console, print_json

PRICES_OF = "May 2025"
"""US dollars, list prices of East US. Put the present ones here: they are on Azure's pricing pages."""
TABLE_REQUEST = 0.00036 / 10_000
QUEUE_REQUEST = 0.004 / 10_000
EXECUTION = 0.40 / 1_000_000
GB_SECOND = 0.000026
FREE_EXECUTIONS, FREE_GB_SECONDS = 250_000, 100_000
LOG_ALERT = {5: 1.50, 15: 0.50, 60: 0.50}
"""A month, by the minutes between two looks; more than 15 cost no less."""
ALERTS = (5, 15, 15, 15, 15, 15, 60)
"""The minutes between two looks of each alert in infra/monitoring.bicep."""

COLUMNS = ("table requests", "queue requests", "executions", "GB-s")

MEMORY_GB = 2
LEAST_SECONDS = 1
"""Flex Consumption bills an instance that works for at least a second."""

IDLE_TICK = 41
CREATE, SEND, STATUS = 4, 4, 2
ASK_DRAIN = 3
"""Table requests so that a text leaves at once: its shard is looked up, noted on `sms-drain`, and begun."""
POISON_QUEUES = 3
"""Queue requests of a tick: it looks into each poison queue, once a minute at most."""
SEND_IN_BURST = 0.5
"""Table requests of one message among hundreds: claims and outcomes share transactions."""
STATUSES = 2
"""Of a message: sent, delivered. Of a call: four."""
ACCEPT_CALL, PLACE_CALL, CALL_STATUS, CALL_STATUSES = 1, 4, 2, 4
QUEUED = 3
"""Queue requests of one queue message: put, get, delete."""
BURST_PER_SECOND = 400
AT_ONCE = 8
"""Of the 16 requests that infra/app.bicep lets an instance take at once, more than 8 gain nothing (bench)."""
STATUS_SECONDS = 0.02 / AT_ONCE
"""Of an instance, for one status callback among many: it takes 20 ms, most of it waiting for storage."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What 1,000 of something cost, or a month. Dollars, before the free grants."""

    what: str
    tables: float
    queues: float
    executions: float
    gb_seconds: float
    other: float = 0

    @property
    def dollars(self) -> float:
        return (
            self.tables * TABLE_REQUEST
            + self.queues * QUEUE_REQUEST
            + self.executions * EXECUTION
            + self.gb_seconds * GB_SECOND
            + self.other
        )

    def view(self) -> Mapping[str, str | float]:
        """For --json."""
        return {
            "what": self.what,
            "table_requests": self.tables,
            "queue_requests": self.queues,
            "executions": self.executions,
            "gb_seconds": self.gb_seconds,
            "dollars": round(self.dollars, 4),
        }


def estimate() -> list[Cost]:
    """Every row of the table."""
    ticks = 30 * 24 * 60
    alone = 1 + 1 + STATUSES  # created, sent, reported
    call = 1 + 1 + 1 + CALL_STATUSES  # accepted, placed, its TwiML fetched, reported
    burst_seconds = 1000 / BURST_PER_SECOND + 1000 * STATUSES * STATUS_SECONDS
    return [
        Cost(
            "1,000 messages, each by itself",
            1000 * (CREATE + ASK_DRAIN + SEND + STATUSES * STATUS),
            1000 * QUEUED,
            1000 * alone,
            1000 * alone * LEAST_SECONDS * MEMORY_GB,
        ),
        Cost(
            "1,000 messages at once, from a file",
            1000 * (CREATE + SEND_IN_BURST + STATUSES * STATUS),
            2 * QUEUED,
            2 + 1000 * STATUSES,
            burst_seconds * MEMORY_GB,
        ),
        Cost(
            "1,000 calls, each by itself",
            1000 * (ACCEPT_CALL + PLACE_CALL + CALL_STATUSES * CALL_STATUS),
            1000 * QUEUED,
            1000 * call,
            1000 * call * LEAST_SECONDS * MEMORY_GB,
        ),
        Cost(
            "a month of the timer",
            ticks * IDLE_TICK,
            ticks * POISON_QUEUES,
            ticks,
            ticks * LEAST_SECONDS * MEMORY_GB,
        ),
        Cost("a month of the seven alerts", 0, 0, 0, 0, sum(LOG_ALERT[minutes] for minutes in ALERTS)),
    ]


def markdown() -> str:
    """The table of docs/operations.md."""
    lines = [
        f"| | {' | '.join(COLUMNS)} | US$ |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {each.what} | {each.tables:,.0f} | {each.queues:,.0f} | {each.executions:,.0f} "
        f"| {each.gb_seconds:,.0f} | {each.dollars:.2f} |"
        for each in estimate()
    ]
    return "\n".join(lines)


def costs(as_json: AsJson = False) -> None:
    """Estimate what 1,000 messages and calls cost in Azure, before the free grants."""
    if as_json:
        print_json({"prices_of": PRICES_OF, "rows": [dict(each.view()) for each in estimate()]})
        return
    table = Table("", *COLUMNS, "US$", box=None, pad_edge=False)
    for each in estimate():
        numbers = (each.tables, each.queues, each.executions, each.gb_seconds)
        table.add_row(each.what, *(f"{number:,.0f}" for number in numbers), f"{each.dollars:.2f}")
    console.print(table)
    free = f"{FREE_EXECUTIONS:,} executions and {FREE_GB_SECONDS:,} GB-s"
    console.print(f"Prices of {PRICES_OF}, East US. The first {free} of a month are free.")
