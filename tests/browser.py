"""A real Chromium, driven over its DevTools protocol: open a page, look, click, take a picture."""

import asyncio
import base64
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.launcher.orphans import adopted
from tests.waiting import PATIENCE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",
)
_MOVED = float(os.environ.get("FAKETIME", "0"))
"""Seconds by which tests/any_day.py has moved the clock. Chromium hangs under libfaketime, so it runs without
it, and its pages are told the moved time."""
_MOVED_DATE = f"""
globalThis.Date = new Proxy(Date, {{
    construct: (real, given, made) =>
        Reflect.construct(real, given.length ? given : [real.now() + {_MOVED * 1000:.0f}], made),
    get: (real, name) => name === "now" ? () => real.now() + {_MOVED * 1000:.0f} : Reflect.get(real, name),
}});
"""
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true",
    reason="no Chromium on PATH (chromium, chromium-browser or google-chrome)",
)
"""Skips where there is none, but never in CI."""


class Page:
    """One tab. Messages that the page logged as errors are in `errors`; `heard` is told of every event."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.errors: list[str] = []
        self.heard: list[Callable[[str, dict[str, Any]], None]] = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            event = json.loads(message.data)
            if "id" in event:
                answer = self._answers.pop(event["id"])
                if not answer.done():  # whoever asked may have given up
                    answer.set_result(event)
                continue
            for hear in self.heard:
                hear(event["method"], event["params"])
            if event["method"] == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(event["params"]["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                self.errors.append(event["params"]["entry"]["text"])

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One DevTools command. Raises RuntimeError with the browser's message."""
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self._socket.send_json({"id": number, "method": method, "params": params})
        event = await asyncio.wait_for(answer, PATIENCE)
        if "error" in event:
            raise RuntimeError(event["error"]["message"])
        result: dict[str, Any] = event["result"]
        return result

    async def goto(self, url: str) -> None:
        await self.send("Page.navigate", url=url)

    async def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """Be a screen of that size, in pixels, with light or dark colours."""
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def evaluate(self, expression: str) -> Any:
        """The JSON value of a JavaScript expression; a promise is awaited."""
        result = await self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"]))
        return result["result"].get("value")

    async def until(self, expression: str, timeout: float = PATIENCE) -> None:
        """Wait until the expression is truthy. Raises TimeoutError that names it."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    if await self.evaluate(f"!!({expression})"):
                        return
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise TimeoutError(f"never true in the browser: {expression}") from None

    async def picture(self) -> bytes:
        """What is on the screen, as a PNG."""
        result = await self.send("Page.captureScreenshot", format="png")
        return base64.b64decode(result["data"])

    async def close(self) -> None:
        await self._socket.close()
        await self._reader


@asynccontextmanager
async def open_page(profile: Path, flags: Sequence[str] = ()) -> AsyncIterator[Page]:
    """A fresh browser with one tab; `profile` is an empty directory for it. flags: more for Chromium."""
    assert CHROMIUM, "no Chromium on PATH"
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *_FLAGS,
        *flags,
        f"--user-data-dir={profile}",
        "about:blank",
        env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD" or not _MOVED},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    with adopted(process.pid):
        try:
            port = await _port(profile / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    tabs = await answer.json()
                address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    page = Page(socket)
                    for domain in ("Page", "Runtime", "Log"):
                        await page.send(f"{domain}.enable")
                    if _MOVED:
                        await page.send("Page.addScriptToEvaluateOnNewDocument", source=_MOVED_DATE)
                    yield page
                    await page.close()
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _port(path: Path) -> int:
    async with asyncio.timeout(PATIENCE):
        while True:
            lines = await asyncio.to_thread(_lines, path)
            if lines:
                return int(lines[0])
            await asyncio.sleep(0.02)


def _lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []
