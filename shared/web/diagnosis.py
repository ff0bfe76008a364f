"""How the app finds itself: what only it can try, with its own identity and settings. For `ops doctor`."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError

from shared.delivery.store import Rows
from shared.errors import SwitchboardError
from shared.storage.rows import Delete, Put, stamp

if TYPE_CHECKING:
    from shared.services import Services

PARTITION = "diagnosis"
PROBE = "probe"
HEARTBEAT = "heartbeat"


async def beat(table: Rows, report: str, *, now: datetime) -> None:
    """Note that the timer has run, and what it did."""
    await table.commit(PARTITION, [Put(HEARTBEAT, {"at": stamp(now), "report": report})])


async def diagnose(services: "Services", *, now: datetime) -> dict[str, Any]:
    """Try storage and Twilio. `storage`, `files`, `queues` and `twilio` say what is wrong, or are null.

    Raises SettingsError. Nothing secret is in the answer.
    """
    from shared.storage.queue_access import check_connection, try_queues

    settings = services.settings

    async def try_tables() -> None:
        check_connection(settings.storage)
        await _write(services.messages.table, now)

    async def try_files() -> None:
        check_connection(settings.storage)
        await services.files.remove("no-such-file")

    storage, files, queues, twilio = await asyncio.gather(
        _trouble(try_tables()),
        _trouble(try_files()),
        _trouble(try_queues(settings)),
        _trouble(services.twilio.messages_to(settings.from_number, limit=1)),
    )
    beaten = None if storage else await services.messages.table.get(PARTITION, HEARTBEAT)
    return {
        "at": stamp(now),
        "public_base_url": settings.public_base_url,
        "account_sid": settings.account_sid,
        "from_number": settings.from_number,
        "sms_schedule": settings.sms_schedule,
        "storage": storage,
        "files": files,
        "queues": queues,
        "twilio": twilio,
        "heartbeat": {"at": beaten.text("at"), "report": beaten.text("report")} if beaten else None,
    }


async def _write(table: Rows, now: datetime) -> None:
    await table.commit(PARTITION, [Put(PROBE, {"at": stamp(now)})])
    await table.commit(PARTITION, [Delete(PROBE)])


async def _trouble(attempt: Awaitable[Any]) -> str | None:
    try:
        await attempt
    except SwitchboardError as exc:
        code = getattr(exc, "code", None)
        return f"{exc} (Twilio error {code})" if code else str(exc)
    except AzureError as exc:
        return str(exc.message).partition("\n")[0]
    return None
