"""docs/from-the-guide.md: each block runs, in order, against the laptop edition, and prints what it says."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from local.launcher.orphans import adopted
from tests.host.process import environment
from tests.laptop import Laptop, running

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "from-the-guide.md").read_text(encoding="utf-8")
LATER_DAY = f"{datetime.now(UTC).year + 2}-01-31"
"""What the page writes as a day of 2030: that day will be over once."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block to run, and what it is to print; ... stands for anything in a line."""

    section: str
    language: str
    code: str
    prints: str

    @property
    def belongs_to_the_app(self) -> bool:
        return "@app.route" in self.code


def blocks() -> list[Block]:
    found = []
    for section in PAGE.split("\n## ")[1:]:
        parts = re.findall(r"```(\w+)\n(.*?)\n```", section, re.DOTALL)
        for index, (language, code) in enumerate(parts):
            if language != "text":
                following = parts[index + 1] if index + 1 < len(parts) else ("", "")
                prints = following[1] if following[0] == "text" else ""
                found.append(Block(section.partition("\n")[0], language, code, prints))
    return found


@pytest_asyncio.fixture(scope="module")
async def laptop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Laptop]:
    """The laptop edition, with the app as the page has it extended."""
    folder, data = tmp_path_factory.mktemp("app"), tmp_path_factory.mktemp("data")
    for name in ("shared", "host.json"):
        (folder / name).symlink_to(ROOT / name)
    added = "\n\n".join(block.code for block in blocks() if block.belongs_to_the_app)
    code = (ROOT / "function_app.py").read_text(encoding="utf-8")
    (folder / "function_app.py").write_text(f"{code}\n\n{added}\n", encoding="utf-8")
    async with running(folder, data) as one:
        yield one


def test_the_page_has_every_section_of_the_guide() -> None:
    numbers = [int(number) for number in re.findall(r"^## (\d+)\. ", PAGE, re.MULTILINE)]

    assert numbers == list(range(1, 13))
    assert len([block for block in blocks() if not block.belongs_to_the_app]) >= 12


async def test_every_block_runs_and_prints_what_it_says(laptop: Laptop) -> None:
    ports = {"7071": str(laptop.where.port), "4000": str(laptop.where.twilio_port)}
    environ = {
        **environment(),
        "PATH": f"{Path(sys.executable).parent}:{environment()['PATH']}",
        "SWITCHBOARD_DATA": str(laptop.data),
        "PYTHONPATH": str(ROOT),
    }
    await fire_the_timer(laptop)
    for block in blocks():
        if block.belongs_to_the_app:
            continue
        code = re.sub(r"(?<=:)(7071|4000)\b", lambda port: ports[port[1]], block.code)
        code = code.replace("2030-01-31", LATER_DAY)
        command = ["bash", "-ec", code] if block.language == "sh" else [sys.executable, "-c", code]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        with adopted(process.pid):
            output, complaints = await process.communicate()
        assert process.returncode == 0, f"{block.section}:\n{code}\n{output.decode()}{complaints.decode()}"
        pattern = re.escape(block.prints).replace(r"\.\.\.", ".*")
        assert re.search(pattern, output.decode()), f"{block.section} printed:\n{output.decode()}"
    emulator = f"http://127.0.0.1:{laptop.where.twilio_port}"
    async with aiohttp.ClientSession() as session, session.get(f"{emulator}/emulator/deliveries") as answer:
        deliveries = (await answer.json())["deliveries"]
    spoken = {
        each["url"].partition("?")[0].rpartition("/api/")[2] for each in deliveries if each["status"] == 200
    }
    assert spoken >= {"hello", "twimlets/message", "voice/step/outbound"}


async def fire_the_timer(laptop: Laptop) -> None:
    """The doctor at the end of the page would miss its heartbeat."""
    await laptop.printed("drained: ")
