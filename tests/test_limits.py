"""shared/limits.py: how much one recipient gets in a day, whoever counts and wherever the message lies."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from local.twilio import Double
from shared import errors, limits, schedule
from shared.message import Message, shard
from shared.message_store import MessageStore
from shared.rows import Insert, Write
from shared.services import Services
from shared.states import State
from shared.tables import Table
from tests.front import Front
from tests.sending import NOW, drained, keep, person, states
from tests.settings import settings
from tests.storage import Azurite

BOB = person(1)
STRANGERS = [each for each in map(person, range(2, 60)) if shard(each) != shard(BOB)]
NEIGHBOUR = next(each for each in map(person, range(2, 90)) if shard(each) == shard(BOB))
TOMORROW = NOW + timedelta(days=1)


class Hooked(Table):
    """A table that remembers its commits, and dies at one that writes a key with `dies_at` in it."""

    def __init__(self, table: Table) -> None:
        super().__init__(table._client)
        self.commits: list[tuple[str, Sequence[Write]]] = []
        self.dies_at = ""

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        if self.dies_at and any(self.dies_at in write.key for write in writes):
            raise errors.StorageAway("the process died here")
        self.commits.append((partition, writes))
        return await super().commit(partition, writes)


@pytest_asyncio.fixture
async def limited(azurite: Azurite, double: Double, front: Front) -> AsyncIterator[Services]:
    """At most two texts a day."""
    made = Services(
        settings(
            AzureWebJobsStorage=azurite.fresh_account(),
            TWILIO_BASE_URL=double.url,
            PUBLIC_BASE_URL=front.url,
            DAILY_LIMIT="2",
        )
    )
    yield made
    await made.close()


@pytest.fixture
def table(limited: Services) -> Hooked:
    """The messages' table, with hooks."""
    hooked = Hooked(limited.tables.table("messages"))
    limited.messages = MessageStore(hooked, limited.settings.erasure_key)
    return hooked


async def moved(services: Services, former: str, to: str = BOB, **changes: Any) -> Message:
    """A message to somebody that was edited to go to another."""
    (kept,) = await keep(services, to=former, **changes)
    edited = await schedule.edit(kept.id, {"to": to}, services, now=NOW)
    assert edited.to == to
    return edited


def texts_to(double: Double) -> int:
    return sum(each["to"] == BOB for each in double.ledger()["messages"])


# Messages


async def test_what_is_over_the_limit_is_held_until_tomorrow(limited: Services, double: Double) -> None:
    await keep(limited, to=BOB)
    await keep(limited, to=BOB)
    (late,) = await keep(limited, to=BOB, due=NOW + timedelta(minutes=1))
    await drained(limited, NOW + timedelta(minutes=2))
    held = await limited.messages.get(late.id)
    assert (texts_to(double), held.state) == (2, State.HELD)
    assert held.reason == "the recipient has had 2 messages today (DAILY_LIMIT)"
    assert held.retry == late.due + timedelta(days=1)
    await drained(limited, TOMORROW + timedelta(minutes=2))
    assert texts_to(double) == 3


async def test_an_edited_recipient_does_not_evade_the_limit(limited: Services, double: Double) -> None:
    for _ in range(2):
        await keep(limited, to=BOB)
    await drained(limited)
    edited = await moved(limited, STRANGERS[0])
    assert edited.partition != shard(BOB)
    await drained(limited)
    held = await limited.messages.get(edited.id)
    assert (texts_to(double), held.state) == (2, State.HELD)
    assert "DAILY_LIMIT" in held.reason
    await drained(limited, TOMORROW)
    assert texts_to(double) == 3


async def test_a_message_from_another_partition_counts_for_the_recipients_own(
    limited: Services, double: Double
) -> None:
    for stranger in STRANGERS[:2]:
        await moved(limited, stranger)
    await drained(limited)
    (own,) = await keep(limited, to=BOB)
    await drained(limited)
    assert (await limited.messages.get(own.id)).state is State.HELD
    assert texts_to(double) == 2


async def test_several_of_one_batch_do_not_exceed_it_together(limited: Services, double: Double) -> None:
    for _ in range(5):
        await moved(limited, STRANGERS[0])
    await drained(limited)
    assert await states(limited) == {"submitted": 2, "held": 3}
    assert texts_to(double) == 2


async def test_drains_at_once_do_not_exceed_it_together(limited: Services, double: Double) -> None:
    for stranger in STRANGERS[:8]:
        await moved(limited, stranger)
    for _ in range(4):
        await keep(limited, to=BOB)
    other = Services(limited.settings)
    for _ in range(3):  # one that met another at the count waits for the next
        await asyncio.gather(*(drained(each) for each in (limited, other, limited, other)))
    await other.close()
    assert texts_to(double) == 2
    assert await states(limited) == {"submitted": 2, "held": 10}


async def test_a_message_that_comes_back_unsent_counts_once(limited: Services, double: Double) -> None:
    await moved(limited, STRANGERS[0])
    await moved(limited, STRANGERS[1])
    double.faults(credentials_refused=True)
    for minutes in range(4):
        await drained(limited, NOW + timedelta(minutes=minutes))
    assert (await states(limited), texts_to(double)) == ({"pending": 2}, 0)
    double.faults(credentials_refused=False)
    await drained(limited, NOW + timedelta(minutes=9))
    assert await states(limited) == {"submitted": 2}


@pytest.mark.parametrize("former", [NEIGHBOUR, STRANGERS[0]])
async def test_what_came_back_unsent_counts_for_whom_it_is_edited_to(
    limited: Services, double: Double, former: str
) -> None:
    (kept,) = await keep(limited, to=former)
    double.faults(credentials_refused=True)
    await drained(limited)
    double.faults(credentials_refused=False)
    assert (await limited.messages.get(kept.id)).posted
    later = NOW + timedelta(hours=1)
    await schedule.edit(kept.id, {"to": BOB, "send_at": later.isoformat()}, limited, now=NOW)
    for _ in range(2):
        await keep(limited, to=BOB)
    await drained(limited)
    assert texts_to(double) == 2
    await drained(limited, later)
    assert (await limited.messages.get(kept.id)).state is State.HELD
    assert texts_to(double) == 2


async def test_a_drain_that_dies_between_the_count_and_the_claim_counts_it_once(
    limited: Services, double: Double, table: Hooked
) -> None:
    edited = await moved(limited, STRANGERS[0])
    table.dies_at = "|l|"
    report = await drained(limited)
    assert report.stopped == "the process died here"
    assert (await states(limited), double.exchanges()) == ({"pending": 1}, [])
    day = f"n|{BOB}|2026-11-23"
    row = await table.get(shard(BOB), day)
    assert row is not None
    assert row.values["count"] == 1
    assert await table.get(shard(BOB), f"{day}|{edited.id}")
    table.dies_at = ""
    await drained(limited)
    (own,) = await keep(limited, to=BOB)
    await drained(limited)
    assert (await limited.messages.get(own.id)).state is State.SUBMITTED
    row = await table.get(shard(BOB), day)
    assert row is not None
    assert row.values["count"] == 2
    assert texts_to(double) == 2


async def test_the_count_is_written_before_the_claim(limited: Services, table: Hooked) -> None:
    edited = await moved(limited, STRANGERS[0])
    table.commits.clear()
    await drained(limited)
    counted = [n for n, (_, writes) in enumerate(table.commits) if any("n|" in w.key[:2] for w in writes)]
    claimed = [n for n, (_, writes) in enumerate(table.commits) if any("|l|" in w.key for w in writes)]
    assert counted == [0]
    assert counted < claimed
    partition, writes = table.commits[0]
    assert partition == shard(BOB) != edited.partition
    assert isinstance(writes[0], Insert)  # conditional: it fails where another has counted meanwhile


async def test_a_count_that_keeps_changing_leaves_the_message_due(
    limited: Services, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = await moved(limited, STRANGERS[0])
    monkeypatch.setattr(limits, "TRIES", 0)
    await drained(limited)
    assert (await limited.messages.get(edited.id)).state is State.PENDING
    monkeypatch.undo()
    await drained(limited)
    assert texts_to(double) == 1


async def test_without_a_limit_nothing_is_counted(services: Services, double: Double) -> None:
    hooked = Hooked(services.tables.table("messages"))
    services.messages = MessageStore(hooked)
    for stranger in STRANGERS[:3]:
        await moved(services, stranger)
    await drained(services)
    assert texts_to(double) == 3
    assert not [write for _, writes in hooked.commits for write in writes if write.key.startswith("n|")]
