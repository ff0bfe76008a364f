"""shared/erasure.py: what is left of an erased recipient is a hash, which still suppresses."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from shared import bulk, calls, erasure, recipients, schedule
from shared.errors import SettingsError
from shared.services import Services
from shared.states import State
from tests.settings import settings
from tests.storage import Azurite

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WHO = "+12025550101"


@pytest_asyncio.fixture
async def services(azurite: Azurite) -> AsyncIterator[Services]:
    made = Services(settings(AzureWebJobsStorage=azurite.fresh_account(), ERASURE_KEY="a key of its own"))
    yield made
    await made.close()


async def scheduled(services: Services, to: str = WHO) -> str:
    request = {"to": to, "body": "your appointment", "send_at": "2026-12-01T09:00:00Z"}
    return (await schedule.create(request, services.messages, services.settings, now=NOW)).id


async def everything(services: Services) -> str:
    rows = [
        row
        for number in range(16)
        for row in await services.messages.table.read(f"{number:02x}", " ", "~", limit=1000)
    ]
    letters = await services.dead_letters.page()
    rung = await services.calls.page()
    return repr(rows) + repr(letters) + repr(rung)


async def test_no_row_holds_the_number_or_the_text_afterwards(services: Services) -> None:
    message_id = await scheduled(services)
    await scheduled(services, "+12025550102")
    await recipients.opt_out(services.messages, WHO, now=NOW, source="STOP")
    await services.dead_letters.add(
        b'{"to": "+12025550101"}', "malformed", call_id="x", queue="outbound-calls", now=NOW
    )
    await calls.accept({"to": WHO, "say": "your appointment", "id": "call-1"}, services, now=NOW)
    done = await erasure.erase(WHO, services, now=NOW)
    assert done == {"messages": 1, "calls": 1, "in_doubt": 0, "dead_letters": 1, "opted_out": True}
    assert (await services.calls.get("call-1")).state is State.CANCELED
    left = await everything(services)
    assert WHO not in left
    assert "+12025550102" in left
    assert (await services.messages.get(message_id)).body == ""


async def test_the_hash_still_suppresses(services: Services) -> None:
    await recipients.opt_out(services.messages, WHO, now=NOW, source="STOP")
    await erasure.erase(WHO, services, now=NOW)
    again = await services.messages.get(await scheduled(services))
    assert again.state is State.SUPPRESSED


async def test_the_hash_suppresses_the_rows_of_a_file_too(services: Services) -> None:
    await recipients.opt_out(services.messages, WHO, now=NOW, source="STOP")
    await erasure.erase(WHO, services, now=NOW)
    data = f"to,body\n{WHO},Hi\n+12025550102,Hi".encode()
    await bulk.load(await bulk.accept(data, "text/csv", {}, services, now=NOW), services)
    states = {each.to: each.state for each in (await services.messages.page()).messages}
    assert states == {WHO: State.SUPPRESSED, "+12025550102": State.PENDING}


async def test_what_waits_is_canceled(services: Services) -> None:
    message_id = await scheduled(services)
    await erasure.erase(WHO, services, now=NOW)
    assert (await services.messages.get(message_id)).state is State.CANCELED
    due = NOW + timedelta(days=30)
    assert not [row for n in range(16) for row in await services.messages.agenda(f"{n:02x}", due)]


async def test_start_ends_an_opt_out_that_was_erased(services: Services) -> None:
    await recipients.opt_out(services.messages, WHO, now=NOW, source="STOP")
    await erasure.erase(WHO, services, now=NOW)
    await recipients.opt_in(services.messages, WHO)
    assert not await services.messages.opted_out(WHO)


async def test_it_is_safe_to_repeat(services: Services) -> None:
    await scheduled(services)
    await erasure.erase(WHO, services, now=NOW)
    assert (await erasure.erase(WHO, services, now=NOW))["messages"] == 0


async def test_without_its_key_nothing_is_erased(azurite: Azurite) -> None:
    made = Services(settings(AzureWebJobsStorage=azurite.fresh_account()))
    with pytest.raises(SettingsError, match="ERASURE_KEY"):
        await erasure.erase(WHO, made, now=NOW)
    await made.close()
