"""Bulk loads for tests: what the triggers do, with Services; the files; how a load dies half way."""

import io
from datetime import datetime
from typing import Any

import pytest

from shared.bulk import intake
from shared.bulk.jobs import Job
from shared.services import Services
from shared.sms import opt_outs
from shared.storage.rows import Write
from tests.clock import NOW


def csv(*rows: str, header: str = "to,name,body") -> bytes:
    return "\n".join([header, *rows]).encode()


async def accept(
    data: bytes,
    services: Services,
    kind: str = "text/csv",
    *,
    now: datetime = NOW,
    params: dict[str, str] | None = None,
) -> str:
    """The id of the file's job."""
    return await intake.accept(data, kind, params or {}, services.bulk_jobs, services.files, now=now)


async def load(job_id: str, services: Services) -> Job | None:
    return await services.bulk_loader.load(job_id)


async def progress(job_id: str, services: Services) -> dict[str, Any]:
    return await intake.progress(job_id, services.bulk_jobs)


async def give_up(job_id: str, services: Services) -> None:
    await intake.give_up(job_id, services.bulk_jobs, services.files)


async def resume(job_id: str, services: Services) -> str:
    return await intake.resume(job_id, services.bulk_jobs)


async def discard(job_id: str, services: Services) -> Job:
    return await intake.discard(job_id, services.bulk_jobs, services.files)


async def cut_off(services: Services, job_id: str, monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """Load until `after` transactions of messages are made; then the process dies."""
    await opt_outs.opt_out(services.messages, "+12025550199", now=NOW, source="STOP")  # makes the table
    table = services.messages.table
    real, left = table.commit, after

    async def failing(partition: str, writes: list[Write]) -> list[str]:
        nonlocal left
        left -= 1
        if left < 0:
            raise RuntimeError("killed")
        return await real(partition, writes)

    with monkeypatch.context() as patch:
        patch.setattr(table, "commit", failing)
        with pytest.raises(ExceptionGroup):
            await load(job_id, services)


async def text(services: Services, job_id: str) -> bytes:
    """What lies in the blob of a job. Raises NotFound."""
    into = io.BytesIO()
    await services.files.read(job_id, into)
    return into.getvalue()
