"""The phone on the screen, in a real Chromium, with the real app behind it."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import aiohttp
import pytest
import pytest_asyncio
from twilio.rest import Client

from local.host.worker import Worker
from local.twilio import ACCOUNT_SID, AUTH_TOKEN, NUMBER
from tests.azurite import Azurite
from tests.browser import Page, needs_chromium, open_page
from tests.phone.stage import Stage, set_up

PERSON, ANNA, OWNER = "+12025550101", "+12025550102", "+12025550104"
ATTACK = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"
COMPANY = {
    "COMPANY_NAME": "Example & Sons",
    "OWNER_NUMBER": OWNER,
    "TEAM_NUMBERS": ANNA,
}


@pytest_asyncio.fixture(scope="module")
async def stage(worker: Worker, azurite: Azurite) -> AsyncIterator[Stage]:
    async with set_up(worker, azurite.fresh_account(), **COMPANY) as one:
        yield one


@pytest_asyncio.fixture(scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    async with open_page(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest_asyncio.fixture
async def page(browser: Page, stage: Stage) -> AsyncIterator[Page]:
    """The page of a new phone with one handset, +12025550101."""
    await stage.simulator.reset()
    stage.documents.clear()
    browser.errors.clear()
    await browser.look(1280, 900)
    await browser.goto("about:blank")
    await browser.send("Storage.clearDataForOrigin", origin=stage.url, storageTypes="local_storage")
    await browser.goto(stage.url)
    await browser.until("document.querySelectorAll('.handset').length == 1")
    yield browser
    assert browser.errors == []
    await browser.goto("about:blank")


class OnScreen:
    """One handset on the page, by its position."""

    def __init__(self, page: Page, address: str) -> None:
        self._page = page
        self._it = f"document.querySelector('[aria-label=\"Handset {address}\"]')"

    async def click(self, selector: str) -> None:
        await self._page.until(f"{self._it}.querySelector({selector!r})?.offsetParent")
        await self._page.evaluate(f"{self._it}.querySelector({selector!r}).click()")

    async def press(self, key: str) -> None:
        await self._page.evaluate(
            f"[...{self._it}.querySelectorAll('.keys button')].find(b => b.textContent == {key!r}).click()"
        )

    async def type(self, form: str, text: str) -> None:
        field = f"{self._it}.querySelector('{form} input')"
        await self._page.evaluate(f"{field}.value = {text!r}")
        await self._page.evaluate(f"{self._it}.querySelector('{form}').requestSubmit()")

    async def shows(self, text: str, where: str = ".log") -> None:
        shown = f"[...{self._it}?.querySelectorAll('{where}') ?? []]"
        await self._page.until(f"{shown}.some(each => each.innerText.includes({text!r}))")


async def add(page: Page, address: str) -> OnScreen:
    await page.evaluate(f"document.querySelector('#address').value = {address!r}")
    await page.evaluate("document.querySelector('#add').requestSubmit()")
    await page.until(f"document.querySelector('[aria-label=\"Handset {address}\"]')")
    return OnScreen(page, address)


async def picture(page: Page, name: str) -> None:
    """Save a screenshot for the README, if SWITCHBOARD_PICTURES names a folder."""
    folder = os.environ.get("SWITCHBOARD_PICTURES")
    if folder:
        taken = await page.picture()
        await asyncio.to_thread(Path(folder, f"{name}.png").write_bytes, taken)


@needs_chromium
async def test_an_inbound_call_goes_through_the_menu_to_voicemail(page: Page, stage: Stage) -> None:
    phone = OnScreen(page, PERSON)
    await phone.click(".dial button")
    await phone.shows("Thank you for calling Example & Sons.")
    await phone.shows("It waits 5 s for 1 key or speech", ".listening")
    await phone.press("3")
    await phone.shows("beeps and records")
    await phone.type(".say", "Hello, this is Kate about the invoice.")
    await phone.shows('said "Hello, this is Kate about the invoice."')
    await picture(page, "phone-voicemail")
    await phone.press("#")
    await phone.shows("Goodbye")
    await phone.shows("over: completed")
    (recording,) = stage.simulator.recordings.newest()
    assert recording.source == "RecordVerb"
    await page.until("document.querySelector('#request-list').innerText.includes('/api/voice/status')")
    shown = await page.evaluate("document.querySelector('#request-list').innerText")
    assert "POST\n/api/voice\n200" in shown


@needs_chromium
async def test_an_outbound_call_rings_and_is_answered(page: Page, stage: Stage) -> None:
    stage.documents["/hello"] = (
        '<Response><Gather numDigits="1" action="/thanks"><Say>Press 1 to confirm</Say></Gather></Response>'
    )
    stage.documents["/thanks"] = "<Response><Say>Thank you</Say></Response>"
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = stage.api
    call = await asyncio.to_thread(client.calls.create, to=PERSON, from_=NUMBER, url=f"{stage.front}/hello")
    phone = OnScreen(page, PERSON)
    await phone.shows(f"{NUMBER} is calling", ".ringing")
    assert await page.evaluate("document.title") == "Ringing: Phone"
    await picture(page, "phone-ringing")
    await phone.click(".answer")
    await phone.shows("Press 1 to confirm")
    await phone.shows("It waits", ".listening")
    await phone.press("1")
    await phone.shows("Thank you")
    await phone.shows("over: completed")
    ended = await asyncio.to_thread(client.calls(call.sid or "").fetch)
    assert ended.status == "completed"


@needs_chromium
async def test_texts_go_in_and_out_as_a_thread(page: Page) -> None:
    phone = OnScreen(page, PERSON)
    await phone.click("[data-panel=texts]")
    await phone.type(".write", "HELP")
    await page.until("document.querySelectorAll('.thread li').length >= 2")
    await phone.shows("HELP", ".thread .mine")
    await phone.shows("delivered", ".thread li:last-child")
    await picture(page, "phone-texts")


@needs_chromium
async def test_two_handsets_are_connected_by_a_dial_with_its_whisper(page: Page) -> None:
    caller, anna = OnScreen(page, PERSON), await add(page, ANNA)
    await caller.click(".dial button")
    await caller.shows("It waits", ".listening")
    await caller.press("1")
    await anna.shows("is calling", ".ringing")
    await anna.click(".answer")
    await anna.shows("It waits", ".listening")
    await anna.press("1")
    await caller.shows(f"connected to {ANNA}")
    await caller.type(".say", "Is this Anna?")
    await anna.shows("Is this Anna?", ".log .heard")
    await page.until("document.querySelector('#request-list details')")
    await page.evaluate("document.querySelector('#request-list details').open = true")
    await picture(page, "phone-dial")
    await caller.click(".hang-up")
    await anna.shows("over: completed")


@needs_chromium
async def test_a_live_call_changed_by_rest_changes_on_the_screen(page: Page, stage: Stage) -> None:
    stage.documents["/moved"] = "<Response><Say>You were moved</Say><Gather timeout='60'/></Response>"
    phone = OnScreen(page, PERSON)
    await phone.click(".dial button")
    await phone.shows("It waits", ".listening")
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = stage.api
    (call,) = await asyncio.to_thread(client.calls.list, status="in-progress")
    await asyncio.to_thread(client.calls(call.sid or "").update, url=f"{stage.front}/moved")
    await phone.shows("You were moved")
    await asyncio.to_thread(client.calls(call.sid or "").update, status="completed")
    await phone.shows("over: completed")


@needs_chromium
async def test_any_application_can_be_called_by_its_url(page: Page, stage: Stage) -> None:
    stage.documents["/mine"] = "<Response><Say>Another application</Say></Response>"
    phone = OnScreen(page, PERSON)
    await page.evaluate(
        "(select => { select.value = 'url'; select.dispatchEvent(new Event('change')); })"
        "(document.querySelector('.dial select'))"
    )
    await phone.type(".dial", "https://example.com/voice")
    await page.until("document.querySelector('#problem').innerText.includes('must be on this machine')")
    await phone.type(".dial", f"{stage.front}/mine")
    await phone.shows("Another application")


@needs_chromium
async def test_keys_can_be_typed(page: Page) -> None:
    phone = OnScreen(page, PERSON)
    await phone.click(".dial button")
    await phone.shows("It waits", ".listening")
    await page.evaluate(
        "document.querySelector('.keys button').dispatchEvent("
        "new KeyboardEvent('keydown', {key: '3', bubbles: true}))"
    )
    await phone.shows("pressed 3")


@needs_chromium
async def test_whatever_comes_over_the_wire_is_shown_as_text(page: Page, stage: Stage) -> None:
    attributes = f"name={quoteattr(ATTACK)}"
    stage.documents["/api/voice"] = f"<Response><Say>{escape(ATTACK)}</Say><Oops {attributes}/></Response>"
    phone = OnScreen(page, PERSON)
    await phone.click(".dial button")
    await phone.shows("onerror")
    await page.until("document.querySelectorAll('#request-list .good-text, .wait-text').length >= 2")
    await page.evaluate(
        "document.querySelectorAll('#request-list details').forEach(each => each.open = true)"
    )
    await page.until("document.querySelector('#request-list').innerText.includes('onerror')")
    await phone.click("[data-panel=texts]")
    await phone.type(".write", ATTACK)
    await phone.shows("onerror", ".thread .mine")
    assert await page.evaluate("document.title") != "broken"
    assert await page.evaluate("document.querySelectorAll('.handset img, #requests img').length") == 0


@needs_chromium
async def test_nothing_is_wider_than_a_telephones_screen(page: Page) -> None:
    phone = OnScreen(page, PERSON)
    await phone.click(".dial button")
    await phone.shows("It waits", ".listening")
    await page.look(360, 740, dark=True)
    await page.until("innerWidth == 360")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await picture(page, "phone-small")


@needs_chromium
async def test_a_page_that_went_away_takes_its_handset_up_again(page: Page, stage: Stage) -> None:
    phone = OnScreen(page, PERSON)
    await phone.click(".dial button")
    await phone.shows("It waits", ".listening")
    await page.goto("about:blank")
    await page.until("location.href == 'about:blank'")
    await page.goto(stage.url)
    await phone.shows("Thank you for calling")
    await phone.press("3")
    await phone.shows("beeps and records")


# Who may come in.


async def test_only_this_machine_and_this_page_may_ask(stage: Stage) -> None:
    line = stage.url.replace("http", "ws") + "/line"
    foreign: tuple[tuple[str, dict[str, str], int], ...] = (
        (stage.url, {"Host": "evil.example"}, 421),
        (stage.url, {"Sec-Fetch-Site": "cross-site"}, 403),
        (line, {"Origin": "http://evil.example"}, 403),
        (line, {"Origin": "http://localhost:1"}, 403),
    )
    async with aiohttp.ClientSession() as session:
        for url, headers, status in foreign:
            if url == line:
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await session.ws_connect(url, headers=headers)
                assert refused.value.status == status
            else:
                async with session.get(url, headers=headers) as answer:
                    assert answer.status == status
        async with session.get(stage.url) as answer:
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        async with session.get(f"{stage.url}/nothing.js") as answer:
            assert answer.status == 404


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"do": "fly"}, "do: must be one of"),
        ({"do": 1}, "do: must be text"),
        ([], "a page must send JSON objects"),
        ({"do": "open", "address": "kate"}, "address: must be a phone number"),
        ({"do": "call", "from": PERSON, "to": "+12025550199"}, "to: must be a number of the account"),
        ({"do": "call", "from": PERSON, "to": "https://example.com/"}, "to: an application's URL must be on"),
        ({"do": "call", "from": PERSON, "to": "http://127.0.0.1/", "method": "PUT"}, "method: must be"),
        ({"do": "press", "call": "CA1", "keys": "1"}, "call: there is no such call"),
        ({"do": "text", "from": PERSON, "to": NUMBER, "body": ""}, "body: must not be empty"),
    ],
)
async def test_what_a_page_cannot_have_is_refused_with_the_reason(
    stage: Stage, said: object, problem: str
) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{stage.url}/line") as socket:
        await socket.send_json(said)
        async with asyncio.timeout(20):
            while (message := await socket.receive_json())["type"] != "refused":
                pass
    assert problem in message["problem"]
