"""The laptop edition with keys enforced, and a browser before it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from local.launcher.running_env import Running
from shared.errors import Contended
from shared.services import Services
from shared.storage.rows import Delete
from tests.browser import Page, open_page
from tests.host.process import ROOT
from tests.laptop import Laptop, LaptopPorts, running
from tests.settings import settings
from tests.web.person import Person

API_KEY = "SK" + "1" * 32
TWIML_APP = "AP" + "1" * 32
SOFTPHONE = {
    "TWILIO_API_KEY": API_KEY,
    "TWILIO_API_SECRET": "a_secret_of_thirty_two_characters",
    "TWILIO_TWIML_APP_SID": TWIML_APP,
}


@dataclass
class Edition:
    """A running laptop edition: its URLs, its function key, requests to it, what it stores."""

    laptop: Laptop
    key: str = field(repr=False)
    session: aiohttp.ClientSession
    stored: Services

    @property
    def url(self) -> str:
        return f"http://localhost:{self.laptop.where.port}/api"

    async def post(self, path: str, body: object) -> Any:
        return await self._ask("POST", f"{self.url}/{path}", body)

    async def get(self, path: str) -> Any:
        return await self._ask("GET", f"{self.url}/{path}", None)

    async def tell_twilio(self, path: str, body: object, method: str = "POST") -> Any:
        """The control API of the emulator."""
        return await self._ask(
            method, f"http://127.0.0.1:{self.laptop.where.twilio_port}/emulator/{path}", body
        )

    async def _ask(self, method: str, url: str, body: object) -> Any:
        headers = {"x-functions-key": self.key}
        async with self.session.request(method, url, json=body, headers=headers) as answer:
            text = await answer.text()
            assert answer.status < 400, f"{method} {url}: {answer.status} {text}"
            return json.loads(text) if text else None

    async def state_of(self, message_id: str, *wanted: str) -> dict[str, Any]:
        """Wait until a message is in one of these states."""
        while True:
            message: dict[str, Any] = await self.get(f"messages/{message_id}")
            if message["state"] in wanted:
                return message
            await asyncio.sleep(0.1)

    async def forget_tokens(self) -> None:
        """Let as many tokens be minted as if none had been."""
        with suppress(Contended):
            await self.stored.limits.commit("token", [Delete("agent")])

    async def call_in(self, call_id: str, wanted: str) -> None:
        """Wait until a call is in that state."""
        while True:
            if (await self.get(f"calls/{call_id}"))["state"] == wanted:
                return
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture(scope="session")
async def edition(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edition]:
    """One for all tests of the pages. The timer runs every second."""
    data = tmp_path_factory.mktemp("edition")
    environ = {**SOFTPHONE, "SMS_SCHEDULE": "* * * * * *"}
    where = LaptopPorts.free()
    options = [*where.options, "--auth"]
    async with (
        running(ROOT, data, environ, options, where) as laptop,
        aiohttp.ClientSession() as session,
    ):
        known = Running.read(data)
        assert known.key
        stored = Services(settings(AzureWebJobsStorage=known.settings["AzureWebJobsStorage"]))
        yield Edition(laptop, known.key, session, stored)
        await stored.close()


@pytest_asyncio.fixture(scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Person]:
    """One tab for all tests of the pages; no host but this machine can be reached from it."""
    flags = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"]
    async with open_page(tmp_path_factory.mktemp("chromium"), flags) as page:
        yield await Person.at(page)


@pytest_asyncio.fixture
async def person(browser: Person, edition: Edition) -> AsyncIterator[Person]:
    """Somebody in front of an empty tab, who has given no key yet. The page may log no error."""
    page = browser.page
    await clean(page, edition)
    browser.requests.clear()
    page.errors.clear()
    yield browser
    # The browser says so of each request that was refused, which the page is there to handle.
    assert [each for each in page.errors if not each.startswith("Failed to load resource")] == []


async def clean(page: Page, edition: Edition) -> None:
    await page.send(
        "Network.emulateNetworkConditions",
        offline=False,
        latency=0,
        downloadThroughput=-1,
        uploadThroughput=-1,
    )
    await page.look(1280, 900)
    await page.goto(f"{edition.url}/health")
    await page.until("document.readyState == 'complete'")
    await page.evaluate("sessionStorage.clear()")
    await page.goto("about:blank")
    await edition.tell_twilio("reset", {})
