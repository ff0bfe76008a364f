"""The plain loop of the old guide, for comparison: for each due message, create it and mark it as sent."""

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from azure.core.exceptions import AzureError
from azure.data.tables import TableClient
from requests.exceptions import RequestException
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.faults.workers import CRASHED, task
from tests.faults.world import PEOPLE, World

_TABLE = "plain"
_FAILURES = (TwilioRestException, RequestException, AzureError)


@dataclass
class Plain:
    """What the plain loop made of its messages, by Twilio's record and its own."""

    count: int = 0
    once: int = 0
    doubled: int = 0
    not_sent: int = 0
    too_late: int = 0
    wrong: int = 0
    """Twilio's end of it is not the one on record: the loop knows "sent" and nothing else."""

    def __add__(self, other: "Plain") -> "Plain":
        return Plain(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def _table(environ: Mapping[str, str]) -> TableClient:
    return TableClient.from_connection_string(environ["AzureWebJobsStorage"], _TABLE, retry_total=0)


async def fill(world: World, count: int, *, due: datetime | None = None) -> None:
    """That many messages in the loop's own table."""

    def write() -> None:
        with _table(world.environ) as table:
            table.create_table()
            at = (due or world.clock.now()).isoformat()
            for first in range(0, count, 100):
                rows = [_row(n, at) for n in range(first, min(first + 100, count))]
                table.submit_transaction([("create", row) for row in rows])

    await asyncio.to_thread(write)


def _row(number: int, at: str) -> dict[str, Any]:
    to = PEOPLE[number % len(PEOPLE)]
    return {
        "PartitionKey": "due",
        "RowKey": f"{number:06}",
        "to": to,
        "body": f"Plain {number}",
        "at": at,
        "sent": False,
    }


def plain_loop(environ: Mapping[str, str], now: datetime, dies_after_posts: int = 0) -> None:
    """One tick of it. Whatever goes wrong ends it, as it would end the guide's.

    dies_after_posts: the process exits when so many requests have been answered, before the next mark.
    """
    posts = 0
    client = Client(environ["TWILIO_ACCOUNT_SID"], environ["TWILIO_AUTH_TOKEN"])
    client.api.base_url = environ["TWILIO_BASE_URL"]
    with _table(environ) as table:
        for row in table.query_entities(
            "PartitionKey eq 'due' and sent eq false and at le @now", parameters={"now": now.isoformat()}
        ):
            client.messages.create(to=row["to"], from_=environ["TWILIO_FROM_NUMBER"], body=row["body"])
            posts += 1
            if posts == dies_after_posts:
                os._exit(CRASHED)
            row["sent"] = True
            table.update_entity(row)


@task("plain loop")
async def _plain_for_ever(
    environ: Mapping[str, str], now: datetime, ticks: int, dies_after_posts: int = 0
) -> None:
    """As a timer would run it, tick after tick."""
    for _ in range(ticks):
        try:
            await asyncio.to_thread(plain_loop, environ, now, dies_after_posts)
        except _FAILURES:
            await asyncio.sleep(0.05)


async def ticks(world: World, count: int, *, now: datetime | None = None) -> None:
    """So many ticks of the loop, in this process."""
    now = now or world.clock.now() + timedelta(seconds=1)
    await _plain_for_ever(world.environ, now, count)


async def plainly(world: World, count: int) -> Plain:
    """What became of the messages."""

    def read() -> dict[str, bool]:
        with _table(world.environ) as table:
            return {row["body"]: row["sent"] for row in table.list_entities()}

    marked = await asyncio.to_thread(read)
    ledger = world.emulator.ledger()["messages"]
    truth = Counter(entry["body"] for entry in ledger)
    ends = {entry["body"]: entry["status"] for entry in ledger}
    bodies = [f"Plain {number}" for number in range(count)]
    return Plain(
        count=count,
        once=sum(truth[body] == 1 for body in bodies),
        doubled=sum(truth[body] > 1 for body in bodies),
        not_sent=sum(not truth[body] for body in bodies),
        wrong=sum(bool(marked[body]) != (ends.get(body) in ("sent", "delivered")) for body in bodies),
    )
