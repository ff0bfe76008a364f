"""ops/messages.py and ops/calls.py: against the real app over HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.host.worker import Worker
from ops import messages
from ops.client import Api
from ops.errors import OpsError
from shared.delivery.states import State
from tests import loading
from tests.ops.conftest import Run, running_services

AT = f"{datetime.now(UTC).year + 2}-01-31T09:00:00Z"
Ask = Callable[..., Awaitable[Any]]


@pytest.fixture
def ask(ops: Run) -> Ask:
    """Run a command with --json; its answer. Or, where it is to fail, what it says."""

    async def asked(*arguments: str, code: int = 0) -> Any:
        done = await ops(*arguments, "--json")
        assert done.exit_code == code, done.output
        return done.stderr if code else json.loads(done.stdout)

    return asked


async def test_a_message_is_scheduled_listed_and_canceled(ask: Ask) -> None:
    (made,) = await ask("messages", "schedule", "+12025550141", "Hello", "--at", AT)
    listed = await ask("messages", "list", "--state", "pending", "--limit", "500")
    assert made["id"] in {each["id"] for each in listed}
    (canceled,) = await ask("messages", "cancel", made["id"])
    assert canceled["state"] == "canceled"
    assert "too late" in await ask("messages", "cancel", made["id"], code=1)


async def test_a_wrong_field_is_named(ask: Ask) -> None:
    assert "to: must be" in await ask("messages", "schedule", "12", "Hello", code=1)


async def test_watching_ends_with_the_message(ask: Ask) -> None:
    (made,) = await ask("messages", "schedule", "+12025550141", "Hello", "--at", AT)
    await ask("messages", "cancel", made["id"])
    (watched,) = await ask("messages", "watch", made["id"])
    assert watched["state"] == "canceled"


async def test_a_table_is_for_people(ops: Run) -> None:
    done = await ops("messages", "schedule", "+12025550141", "Hello", "--at", AT)
    assert "pending" in done.stdout
    assert "+12025550141" in done.stdout


async def test_a_file_is_loaded_and_its_progress_followed(
    ops: Run, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "EVERY", 0.05)
    file = tmp_path / "people.csv"
    file.write_text(f"to,name,body,send_at\n+12025550142,Ann,Hello {{name}},{AT}\n")
    # No queue listener runs here: what the command looks for first is loaded then.
    loop, asked = asyncio.get_running_loop(), asyncio.Queue[str]()
    real = Api.get

    def get(api: Api, path: str, **params: str | int) -> Any:
        loop.call_soon_threadsafe(asked.put_nowait, path)
        return real(api, path, **params)

    monkeypatch.setattr(Api, "get", get)
    running = asyncio.ensure_future(ops("messages", "load", str(file), "--json"))
    job_id = (await asked.get()).removeprefix("bulk/")
    await worker.queue("bulk_load", json.dumps({"id": job_id}))
    done = await running
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["loaded"] == 1


async def test_a_load_that_has_stopped_is_resumed_or_discarded(
    ask: Ask, ops: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "EVERY", 0.05)
    services = running_services()
    data = f"to,body,send_at\n+12025550142,Hello,{AT}\n".encode()
    job_id = await loading.accept(data, services, now=datetime.now(UTC))
    await loading.give_up(job_id, services)
    resumed = asyncio.ensure_future(ops("messages", "resume-load", job_id))
    async with asyncio.timeout(20):
        while (await loading.progress(job_id, services))["state"] != "queued":  # noqa: ASYNC110  another thread
            await asyncio.sleep(0.01)
    await loading.give_up(job_id, services)
    shown = await resumed
    assert shown.exit_code == 1
    assert f"resume-load {job_id}, or discard-load {job_id}" in shown.stdout
    discarded = await ask("messages", "discard-load", job_id)
    assert (discarded["state"], discarded["loaded"]) == ("discarded", 0)
    assert "it is discarded" in await ask("messages", "discard-load", job_id, code=1)


async def test_loads_that_have_not_ended_are_listed(ask: Ask, ops: Run) -> None:
    services = running_services()
    data = f"to,body,send_at\n+12025550142,Hello,{AT}\n".encode()
    job_id = await loading.accept(data, services, now=datetime.now(UTC))
    (found,) = [each for each in await ask("messages", "loads") if each["id"] == job_id]
    assert found["state"] == "queued"
    assert job_id in (await ops("messages", "loads")).stdout
    await ask("messages", "discard-load", job_id)
    assert job_id not in {each["id"] for each in await ask("messages", "loads")}


async def test_a_file_whose_answer_was_lost_is_loaded_again_and_taken_once(
    ops: Run, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"to,body,send_at\n+12025550143,Hello once,{AT}\n")
    real, ids = Api.send, list[str]()

    def lost(api: Api, path: str, content: bytes, kind: str, **params: str) -> Any:
        ids.append(real(api, path, content, kind, **params)["id"])
        raise OpsError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(Api, "send", lost)
        assert (await ops("messages", "load", str(file))).exit_code == 1
    await worker.queue("bulk_load", json.dumps({"id": ids[0]}))
    again = await ops("messages", "load", str(file), "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["id"] == ids[0]
    with monkeypatch.context() as patch:  # as if it were days later
        patch.setattr(messages, "CLOCKS_DIFFER", timedelta(0))
        later = await ops("messages", "load", str(file))
    assert later.exit_code == 0
    assert "is not loaded a second time" in later.stdout
    assert "another --idempotency-key" in later.stdout
    page = await running_services().messages.page(state=State.PENDING, limit=200)
    assert [each.body for each in page.items].count("Hello once") == 1


@pytest.mark.parametrize("more", [["--idempotency-key", "once more"], ["--partial"]])
async def test_a_file_is_loaded_once_more_on_purpose(
    ops: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    """A file that failed for a wrong row is another load with --partial."""
    file = tmp_path / "people.csv"
    file.write_text(f"to,body,send_at\n+12025550144,{more[-1]},{AT}\n")
    real, ids = Api.send, list[str]()

    def lost(api: Api, path: str, content: bytes, kind: str, **params: str) -> Any:
        ids.append(real(api, path, content, kind, **params)["id"])
        raise OpsError("no answer")

    monkeypatch.setattr(Api, "send", lost)
    for arguments in ([], more, more):
        assert (await ops("messages", "load", str(file), *arguments)).exit_code == 1
    assert ids[1] == ids[2]
    assert ids[0] != ids[1]


async def test_a_call_is_put_on_the_queue_and_listed(ask: Ask) -> None:
    made = await ask("calls", "place", "+12025550146", "--say", "Hello", "--id", "from-ops")
    assert made == {"id": "from-ops"}
    listed = await ask("calls", "list", "--limit", "500")
    assert "from-ops" in {each["id"] for each in listed}
