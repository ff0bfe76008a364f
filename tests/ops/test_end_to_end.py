"""From a fresh laptop edition to a number that answers: connect, a call, a text, and a clean doctor."""

import asyncio
import json
import sys
from pathlib import Path

import aiohttp

from local.launcher.orphans import adopted
from ops.webhooks import number_values
from tests.host.process import ROOT, environment
from tests.laptop import Laptop, running

NUMBER, PERSON = "+12025550100", "+12025550101"


async def ops(laptop: Laptop, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops", *arguments),
        cwd=ROOT,
        env={
            **environment(),
            "SWITCHBOARD_DATA": str(laptop.data),
            "HOME": str(laptop.data),
            "COLUMNS": "200",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    with adopted(process.pid):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_connect_a_call_a_text_and_a_clean_bill_of_health(tmp_path: Path) -> None:
    async with running(ROOT, tmp_path / "data") as laptop, aiohttp.ClientSession() as session:
        url, emulator = (
            f"http://localhost:{laptop.where.port}",
            f"http://127.0.0.1:{laptop.where.twilio_port}",
        )

        code, output = await ops(laptop, "connect", NUMBER, "--url", url, "--dry-run", "--json")
        assert code == 0, output
        assert {each["after"] for each in json.loads(output)["changes"]} >= {number_values(url)["voice_url"]}
        code, output = await ops(laptop, "connect", NUMBER, "--url", url)
        assert code == 0, output

        people = {"from": PERSON, "to": NUMBER}
        async with session.post(
            f"{emulator}/emulator/inbound/message", json={**people, "body": "HELP"}
        ) as answer:
            text = await answer.json()
        async with session.post(f"{emulator}/emulator/inbound/call", json=people) as answer:
            call = await answer.json()
        assert (text["status"], call["status"]) == (200, 200)
        assert text["replies"]
        assert "<Gather" in call["twiml"]

        async with session.post(f"{url}/admin/functions/send_due_sms", json={"input": ""}) as answer:
            assert answer.status == 202
        await laptop.printed("drained: nothing due")
        code, output = await ops(laptop, "doctor", url, "--json")
        assert code == 0, output
        assert {each["status"] for each in json.loads(output)["findings"]} == {"ok"}, output
