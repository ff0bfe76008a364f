"""The inspector page, in a real Chromium."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from twilio.rest import Client

from local.twilio import NUMBER, Emulator
from tests.browser import Page, needs_chromium, open_page
from tests.listener import Answer, Listener

pytestmark = needs_chromium

PERSON = "+12025550101"
ATTACK = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


@pytest_asyncio.fixture(scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    async with open_page(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest_asyncio.fixture
async def page(browser: Page, emulator: Emulator) -> AsyncIterator[Page]:
    """A browser tab with the inspector, which is connected."""
    browser.errors.clear()
    await browser.look(1280, 800)
    await browser.goto("about:blank")
    await browser.goto(emulator.url)
    await browser.until("document.querySelector('#live')?.className == 'on'")
    await browser.until("document.querySelector('#account').innerText")
    yield browser
    assert browser.errors == []
    await browser.goto("about:blank")


async def text(page: Page, selector: str) -> str:
    return str(await page.evaluate(f"document.querySelector({selector!r})?.innerText ?? ''"))


async def test_what_happens_appears_by_itself(page: Page, client: Client) -> None:
    assert "Nothing yet" in await text(page, "#empty")
    await asyncio.to_thread(client.messages.create, to=PERSON, from_=NUMBER, body="Your table is booked")
    await page.until("document.querySelectorAll('#rows li').length == 1")
    await page.until("document.querySelector('#rows .state').innerText == 'delivered'")
    assert "Your table is booked" in await text(page, "#rows")
    assert "Messages1" in await text(page, "nav")


async def test_a_call_leads_to_its_twiml_and_its_webhooks(
    page: Page, emulator: Emulator, listener: Listener
) -> None:
    twiml = '<Response><Gather numDigits="1"><Say>Welcome</Say></Gather></Response>'
    listener.answers["/voice"] = Answer(twiml)
    emulator.configure_number(voice_url=f"{listener.url}/voice")
    result = await emulator.inbound_call_async(PERSON, NUMBER)
    await page.evaluate(f"location.hash = '#calls/{result.sid}'")
    await page.until("document.querySelector('#detail h2')?.innerText.startsWith('Call CA')")
    await page.until("document.querySelector('#detail pre')?.innerText.includes('Welcome')")
    assert '<Gather numDigits="1">\n    <Say>Welcome</Say>' in await text(page, "#detail pre")
    await page.evaluate("document.querySelector('#detail li a').click()")
    await page.until("document.querySelector('#detail')?.innerText.includes('200 text/xml')")
    (delivery,) = emulator.deliveries(result.sid)
    detail = await text(page, "#detail")
    for expected in (f"X-Twilio-Signature: {delivery['signature']}", "CallStatus", "ringing", "200 text/xml"):
        assert expected in detail


async def test_whatever_comes_over_the_wire_is_shown_as_text(
    page: Page, client: Client, emulator: Emulator, listener: Listener
) -> None:
    listener.answers["/sms"] = Answer(ATTACK, content_type="text/html")
    emulator.configure_number(sms_url=f"{listener.url}/sms?x={ATTACK.replace(' ', '+')}")
    result = await emulator.inbound_message_async(PERSON, NUMBER, ATTACK)
    await asyncio.to_thread(client.incoming_phone_numbers.list, friendly_name=ATTACK)
    await page.until("document.querySelectorAll('#rows li').length == 1")
    for place in (f"messages/{result.sid}", "deliveries/1", "alerts", "calls"):
        await page.evaluate(f"location.hash = '#{place}'")
        await page.until(f"document.querySelector('nav [aria-current]').hash == '#{place.split('/')[0]}'")
        for row in range(int(await page.evaluate("document.querySelectorAll('#rows a').length"))):
            await page.evaluate(f"document.querySelectorAll('#rows a')[{row}].click()")
    await page.evaluate("location.hash = '#exchanges'")
    await page.until("document.querySelectorAll('#rows a').length == 1")
    await page.evaluate("document.querySelector('#rows a').click()")
    await page.until("document.querySelector('#detail td')")
    await page.evaluate(f"location.hash = '#messages/{result.sid}'")
    await page.until(f"document.querySelector('#detail pre')?.innerText == {ATTACK!r}")
    assert await page.evaluate("document.title") == "Twilio emulator"
    assert await page.evaluate("document.querySelectorAll('main img, main script').length") == 0


@pytest.mark.parametrize("dark", [False, True])
async def test_it_fits_a_phone_in_light_and_dark(
    page: Page, client: Client, emulator: Emulator, listener: Listener, dark: bool
) -> None:
    callback = f"{listener.url}/{'a-rather-long-path' * 8}"
    created = client.messages.create(to=PERSON, from_=NUMBER, body="x" * 300, status_callback=callback)
    emulator.settle()
    await page.look(360, 740, dark=dark)
    for place in ("messages", f"messages/{created.sid}", "deliveries/1", "exchanges", "faults/seed"):
        await page.evaluate(f"location.hash = '#{place}'")
        await page.until("document.querySelectorAll('#rows li').length > 0")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
        for part in ("#list", "#detail"):
            assert await page.evaluate(
                f"(e => e.scrollWidth <= e.clientWidth)(document.querySelector('{part}'))"
            )
    light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(light[4:].split(",")[0]) < 128) is dark


async def test_the_filter_and_the_keyboard_reach_everything(
    page: Page, client: Client, emulator: Emulator
) -> None:
    for person in (PERSON, "+12025550102"):
        client.messages.create(to=person, from_=NUMBER, body=f"for {person}")
    emulator.settle()
    await page.until("document.querySelectorAll('#rows li').length == 2")
    await page.evaluate("document.querySelector('#filter').focus()")
    await page.send("Input.insertText", text="0102")
    await page.until("document.querySelectorAll('#rows li').length == 1")
    for key in ("Tab", "Enter"):
        code = {"Tab": 9, "Enter": 13}[key]
        values = {
            "key": key,
            "code": key,
            "windowsVirtualKeyCode": code,
            "text": "\r" if key == "Enter" else "",
        }
        await page.send("Input.dispatchKeyEvent", type="keyDown", **values)
        await page.send("Input.dispatchKeyEvent", type="keyUp", **values)
    await page.until("document.querySelector('#detail pre')?.innerText == 'for +12025550102'")
    assert (await page.picture()).startswith(b"\x89PNG")
