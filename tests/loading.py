"""Bulk loads for tests: their files, and how one is cut off half way."""

import io

import pytest

from shared import bulk, recipients
from shared.rows import Write
from shared.services import Services
from tests.clock import NOW


def csv(*rows: str, header: str = "to,name,body") -> bytes:
    return "\n".join([header, *rows]).encode()


async def cut_off(services: Services, job_id: str, monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """Load until so many transactions of messages are made; then the process dies."""
    await recipients.opt_out(services.messages, "+12025550199", now=NOW, source="STOP")  # makes the table
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
            await bulk.load(job_id, services)


async def text(services: Services, job_id: str) -> bytes:
    """What lies in the blob of a job. Raises NotFound."""
    into = io.BytesIO()
    await services.files.read(job_id, into)
    return into.getvalue()
