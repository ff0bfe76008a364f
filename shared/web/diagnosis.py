"""The app's own checks for `ops doctor`: it tries storage and Twilio with its own identity and settings."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from azure.core.exceptions import AzureError

from shared.config import Settings
from shared.errors import SwitchboardError
from shared.storage.blobs import Blobs
from shared.storage.connection import check_connection
from shared.storage.heartbeat import PARTITION, last_beat
from shared.storage.queues import Queues
from shared.storage.rows import Delete, Put, Rows, stamp
from shared.twilio_helper import Twilio

PROBE = "probe"


async def diagnose(
    settings: Settings,
    table: Callable[[], Rows],
    files: Callable[[], Blobs],
    twilio: Twilio,
    *,
    now: datetime,
) -> dict[str, Any]:
    """Try storage and Twilio. `storage`, `files`, `queues` and `twilio` say what is wrong, or are null.

    table: returns the table that has the timer's heartbeat. It and `files` may fail on a wrong connection
    string, so that is checked first. The answer contains no secret.
    """

    async def try_table() -> None:
        check_connection(settings.storage)
        await table().commit(PARTITION, [Put(PROBE, {"at": stamp(now)})])
        await table().commit(PARTITION, [Delete(PROBE)])

    async def try_files() -> None:
        check_connection(settings.storage)
        await files().remove("no-such-file")

    async def try_queues() -> None:
        queues = Queues(settings)
        try:
            await queues.try_rights()
        finally:
            await queues.close()

    in_table, in_files, in_queues, at_twilio = await asyncio.gather(
        _problem(try_table()),
        _problem(try_files()),
        _problem(try_queues()),
        _problem(twilio.messages_to(settings.from_number, limit=1)),
    )
    return {
        "at": stamp(now),
        "public_base_url": settings.public_base_url,
        "account_sid": settings.account_sid,
        "from_number": settings.from_number,
        "sms_schedule": settings.sms_schedule,
        "storage": in_table,
        "files": in_files,
        "queues": in_queues,
        "twilio": at_twilio,
        "heartbeat": None if in_table else await last_beat(table()),
    }


async def _problem(attempt: Awaitable[Any]) -> str | None:
    """What is wrong with an attempt, in one line; None if it succeeds."""
    try:
        await attempt
    except SwitchboardError as exc:
        code = getattr(exc, "code", None)
        return f"{exc} (Twilio error {code})" if code else str(exc)
    except AzureError as exc:
        return str(exc.message).partition("\n")[0]
    return None
