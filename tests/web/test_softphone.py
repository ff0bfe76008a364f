"""The softphone, in a real Chromium: Twilio's SDK, real media, and Twilio's signalling played at the wire."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.browser import Page, needs_chromium, open_page
from tests.web import signalling
from tests.web.conftest import API_KEY, SOFTPHONE, TWIML_APP, Edition, clean
from tests.web.person import Person
from tests.web.signalling import Peer, Signalling

pytestmark = needs_chromium

CALL = "CA" + "7" * 32
SECRET = SOFTPHONE["TWILIO_API_SECRET"]


@pytest_asyncio.fixture(scope="module")
async def running_twilio(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Signalling]:
    async with signalling.running(SECRET, tmp_path_factory.mktemp("certificate")) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def softphone_browser(
    running_twilio: Signalling, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Person]:
    """A browser with a microphone that beeps, for which Twilio is on this machine."""
    flags = [
        f"--host-resolver-rules=MAP *.twilio.com 127.0.0.1:{running_twilio.port}, MAP * ~NOTFOUND, "
        "EXCLUDE localhost, EXCLUDE 127.0.0.1",
        "--ignore-certificate-errors",
        "--use-fake-device-for-media-stream",
        "--allow-loopback-in-peer-connection",
        "--disable-features=LocalNetworkAccessChecks",
        "--autoplay-policy=no-user-gesture-required",
    ]
    async with open_page(tmp_path_factory.mktemp("softphone"), flags) as page:
        await as_deployed(page)
        yield await Person.at(page)


@pytest.fixture
def twilio(running_twilio: Signalling) -> Signalling:
    running_twilio.reset()
    return running_twilio


@pytest_asyncio.fixture
async def agent(softphone_browser: Person, edition: Edition) -> AsyncIterator[Person]:
    """Somebody before the softphone of a deployed app, who may use the microphone, not online yet."""
    page = softphone_browser.page
    await clean(page, edition)
    await edition.forget_tokens()
    page.errors.clear()
    await microphone(page, "granted")
    await page.goto(f"{edition.url}/softphone")
    await softphone_browser.find("button", "Go online")
    yield softphone_browser
    assert [each for each in page.errors if not each.startswith("Failed to load resource")] == []


async def as_deployed(page: Page) -> None:
    """Serve the page as an app without TWILIO_BASE_URL does: it knows of no phone."""
    at_work: set[asyncio.Task[None]] = set()

    def hear(method: str, params: dict[str, Any]) -> None:
        if method == "Fetch.requestPaused":
            at_work.add(asyncio.create_task(without_phone(page, params)))

    page.heard.append(hear)
    await page.send("Fetch.enable", patterns=[{"urlPattern": "*/api/softphone", "requestStage": "Response"}])


async def without_phone(page: Page, paused: dict[str, Any]) -> None:
    got = await page.send("Fetch.getResponseBody", requestId=paused["requestId"])
    body = base64.b64decode(got["body"]).decode() if got["base64Encoded"] else got["body"]
    changed, count = re.subn('name="phone" content="[^"]+"', 'name="phone" content=""', body)
    assert count == 1
    headers = [each for each in paused["responseHeaders"] if each["name"].lower() != "content-encoding"]
    await page.send(
        "Fetch.fulfillRequest",
        requestId=paused["requestId"],
        responseCode=paused["responseStatusCode"],
        responseHeaders=headers,
        body=base64.b64encode(changed.encode()).decode(),
    )


async def microphone(page: Page, setting: str) -> None:
    await page.send("Browser.setPermission", permission={"name": "microphone"}, setting=setting)


async def go_online(agent: Person, edition: Edition) -> None:
    await agent.click("button", "Go online")
    await agent.fill("textbox", "Key", edition.key)
    await agent.press("Enter")
    await status(agent, "Ready")


async def status(agent: Person, text: str) -> None:
    await agent.page.until(f"document.getElementById('status').innerText == {json.dumps(text)}")


async def test_the_laptop_edition_offers_its_own_phone(person: Person, edition: Edition) -> None:
    await person.page.goto(f"{edition.url}/softphone")
    await person.sees("This page cannot reach Twilio here")
    await person.find("link", f"http://127.0.0.1:{edition.laptop.where.phone_port}")
    assert "Go online" not in await person.names("button")
    assert await person.violations() == []


async def test_the_device_is_made_from_a_real_token(
    agent: Person, edition: Edition, twilio: Signalling
) -> None:
    await go_online(agent, edition)
    await agent.sees("You are agent")
    grants = {
        "voice": {"incoming": {"allow": True}, "outgoing": {"application_sid": TWIML_APP}},
        "identity": "agent",
    }
    assert twilio.claims["grants"] == grants
    assert (twilio.claims["iss"], twilio.claims["sub"]) == (API_KEY, "AC" + "0" * 32)
    assert await agent.violations() == []


async def test_a_call_out_mute_keys_and_hanging_up(
    agent: Person, edition: Edition, twilio: Signalling
) -> None:
    await go_online(agent, edition)
    peer = await Peer(agent.page).ready()
    await agent.fill("textbox", "Number, or the name of another softphone", "+12025550131")
    await agent.press("Enter")
    invite = await twilio.got("invite")
    assert invite["twilio"]["params"] == "To=%2B12025550131"
    await twilio.send("ringing", callsid=CALL)
    await status(agent, "Ringing")
    await twilio.send("answer", callsid=CALL, sdp=await peer.answer(invite["sdp"]))
    await status(agent, "In a call")
    await peer.hears()
    assert await agent.violations() == []
    await agent.click("button", "5 JKL")
    assert (await twilio.got("dtmf"))["dtmf"] == "5"
    await agent.page.evaluate("document.activeElement.blur()")
    await agent.press("#")
    assert (await twilio.got("dtmf", 2))["dtmf"] == "#"
    await agent.click("button", "Mute")
    await agent.page.until("document.getElementById('mute').ariaPressed == 'true'")
    await agent.click("button", "Hang up")
    assert (await twilio.got("hangup"))["callsid"] == CALL
    await status(agent, "Ready")
    assert await agent.focused() == "textbox Number, or the name of another softphone"


async def test_a_call_comes_in_and_is_answered(agent: Person, edition: Edition, twilio: Signalling) -> None:
    await go_online(agent, edition)
    peer = await Peer(agent.page).ready()
    await ring(twilio, await peer.offer())
    await status(agent, "+12025550132 is calling")
    await agent.find("dialog", "Incoming call")
    assert await agent.focused() == "heading Incoming call"
    assert await agent.violations() == []
    await agent.click("button", "Answer")
    await peer.answered((await twilio.got("answer"))["sdp"])
    await status(agent, "In a call")
    await peer.hears()
    await twilio.send("hangup", callsid=CALL)
    await status(agent, "Ready")


async def ring(twilio: Signalling, offer: str) -> None:
    who = {"From": "+12025550132", "To": "client:agent", "CallSid": CALL, "AccountSid": "AC" + "0" * 32}
    await twilio.send("invite", callsid=CALL, sdp=offer, parameters=who)


async def test_a_call_is_declined_by_keyboard_and_another_given_up(
    agent: Person, edition: Edition, twilio: Signalling
) -> None:
    await go_online(agent, edition)
    peer = await Peer(agent.page).ready()
    await ring(twilio, await peer.offer())
    await agent.find("dialog", "Incoming call")
    await agent.press("Tab", "Enter")
    assert (await twilio.got("reject"))["callsid"] == CALL
    await status(agent, "Ready")
    await ring(twilio, await peer.offer())
    await agent.find("dialog", "Incoming call")
    await twilio.send("cancel", callsid=CALL)
    await status(agent, "Ready")
    assert await agent.names("dialog") == []


async def test_the_next_caller_in_line_is_asked_for(
    agent: Person, edition: Edition, twilio: Signalling
) -> None:
    await go_online(agent, edition)
    await agent.click("button", "Take the next caller in line")
    assert (await twilio.got("invite"))["twilio"]["params"] == "To=queue"
    await agent.click("button", "Hang up")
    await status(agent, "Ready")


async def test_the_token_is_renewed_before_it_runs_out(
    agent: Person, edition: Edition, twilio: Signalling
) -> None:
    twilio.ttl = 61.6  # renewed over a second later: tokens of one second are the same
    await go_online(agent, edition)
    first = (await twilio.got("listen"))["token"]
    twilio.ttl = None
    assert (await twilio.got("listen", 2))["token"] != first
    await status(agent, "Ready")


async def test_an_expired_token_is_replaced(agent: Person, edition: Edition, twilio: Signalling) -> None:
    await go_online(agent, edition)
    await twilio.send("error", error={"code": 31205, "message": "JWT token expired"})
    await twilio.got("listen", 2)
    await status(agent, "Ready")


async def test_a_lost_connection_comes_back(agent: Person, edition: Edition, twilio: Signalling) -> None:
    await go_online(agent, edition)
    await twilio.drop()
    await twilio.got("register", 2)
    await status(agent, "Ready")


async def test_a_token_that_twilio_refuses_is_told_in_words(
    agent: Person, edition: Edition, twilio: Signalling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio, "secret", "another secret, as after a rotation")
    await agent.click("button", "Go online")
    await agent.fill("textbox", "Key", edition.key)
    await agent.press("Enter")
    await agent.sees("TWILIO_API_KEY must be a standard API key of this account")
    await status(agent, "Offline")


async def test_an_app_that_twilio_does_not_know_is_told_in_words(
    agent: Person, edition: Edition, twilio: Signalling
) -> None:
    await go_online(agent, edition)
    await agent.fill("textbox", "Number, or the name of another softphone", "+12025550133")
    await agent.press("Enter")
    invite = await twilio.got("invite")
    await twilio.send("hangup", callsid=invite["callsid"], error={"code": 31001, "message": "no such app"})
    await agent.sees("Twilio does not know the TwiML app.")
    await status(agent, "Ready")


async def test_a_blocked_microphone_is_told_in_words(agent: Person) -> None:
    await microphone(agent.page, "denied")
    await agent.click("button", "Go online")
    await agent.sees("The microphone is blocked.")
    await status(agent, "Offline")


async def test_call_quality_is_told_in_words(agent: Person, edition: Edition, twilio: Signalling) -> None:
    await go_online(agent, edition)
    peer = await Peer(agent.page).ready()
    await ring(twilio, await peer.offer())
    await agent.click("button", "Answer")
    await peer.answered((await twilio.got("answer"))["sdp"])
    await status(agent, "In a call")
    await peer.hears()
    await agent.page.evaluate("peer.close()")
    await agent.sees("The connection is lost. Trying to get it back.", within=40)


async def test_microphone_and_speaker_are_chosen(agent: Person, edition: Edition) -> None:
    await go_online(agent, edition)
    await agent.page.evaluate("document.getElementById('devices').open = true")
    assert await agent.violations() == []
    await agent.focus("combobox", "Microphone")
    before = await agent.page.evaluate("document.getElementById('microphone').value")
    await agent.press("ArrowDown")
    chosen = await agent.page.evaluate("document.getElementById('microphone').value")
    assert chosen != before
    await agent.click("button", "Test the speaker")
    assert await agent.page.evaluate("document.getElementById('problem').innerText") == ""
    inputs = "all.filter(each => each.kind == 'audioinput').length"
    count = await agent.page.evaluate(f"navigator.mediaDevices.enumerateDevices().then(all => {inputs})")
    assert await agent.page.evaluate("document.getElementById('microphone').options.length") == count
