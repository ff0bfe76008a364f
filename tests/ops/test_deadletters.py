"""`ops deadletters` against the real app: list, show, replay, discard."""

import json
from typing import Any

import pytest

from local.host.worker import Worker
from local.twilio import Emulator
from tests.ops.conftest import Run, running_services

PERSON = "+12025550171"


async def give_up(worker: Worker, call_id: str, **request: str) -> None:
    """Let the queue function give up a call."""
    await worker.queue("place_outbound_call", json.dumps({"id": call_id, **request}))


async def listed(ops: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((await ops("deadletters", "list", "--json")).stdout)
    return found


async def letter(ops: Run, call_id: str) -> dict[str, Any]:
    (found,) = (each for each in await listed(ops) if f'"id": "{call_id}"' in each["body"])
    return found


async def test_what_was_given_up_is_listed_with_its_reason(ops: Run, worker: Worker) -> None:
    await give_up(worker, "foreign", to="+442079460000", say="hello")

    result = await ops("deadletters", "list")

    assert result.exit_code == 0, result.output
    given_up = await letter(ops, "foreign")
    assert given_up["id"] in result.output
    assert given_up["reason"] in result.output


async def test_one_is_shown_with_the_message_that_it_was(ops: Run, worker: Worker) -> None:
    await give_up(worker, "two-kinds", to=PERSON, say="hello", twiml="<Response/>")
    given_up = await letter(ops, "two-kinds")

    result = await ops("deadletters", "show", given_up["id"], "--json")

    assert json.loads(result.stdout) == given_up
    assert json.loads(given_up["body"])["twiml"] == "<Response/>"
    assert given_up["id"] in (await ops("deadletters", "show", given_up["id"])).output


@pytest.mark.usefixtures("public")
async def test_a_replay_rings_under_the_id_it_had(ops: Run, worker: Worker, emulator: Emulator) -> None:
    emulator.plan(kind="error", code=21211, status=400)
    await give_up(worker, "unlucky", to=PERSON, say="hello")
    given_up = await letter(ops, "unlucky")

    result = await ops("deadletters", "replay", given_up["id"])

    assert result.exit_code == 0, result.output
    assert (await letter(ops, "unlucky"))["replayed_at"]
    assert (await running_services().calls.get("unlucky")).state == "pending"
    await give_up(worker, "unlucky", to=PERSON, say="hello")
    assert [each["to"] for each in emulator.calls(PERSON)] == [PERSON]
    again = await ops("deadletters", "replay", given_up["id"])
    assert again.exit_code == 1
    assert "may have left" in again.stderr


async def test_a_discarded_one_is_gone(ops: Run, worker: Worker) -> None:
    await give_up(worker, "hopeless", to="12", say="hello")
    given_up = await letter(ops, "hopeless")

    result = await ops("deadletters", "discard", given_up["id"], "--json")

    assert json.loads(result.stdout) == {"id": given_up["id"], "discarded": True}
    assert given_up["id"] not in {each["id"] for each in await listed(ops)}
    for command in ("show", "replay", "discard"):
        gone = await ops("deadletters", command, given_up["id"])
        assert gone.exit_code == 1
        assert "no dead letter" in gone.stderr


async def test_the_doctor_points_to_them(ops: Run, worker: Worker) -> None:
    await give_up(worker, "for-the-doctor", to="12", say="hello")
    given_up = await letter(ops, "for-the-doctor")

    findings = json.loads((await ops("doctor", "--json")).stdout)["findings"]

    mends = [each["mend"] for each in findings if each["check"] == "dead letters"]
    assert f"python -m ops deadletters show {given_up['id']}" in mends
