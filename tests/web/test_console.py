"""The console, in a real Chromium against the laptop edition."""

import asyncio
import csv
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from shared.calls.call import Call
from shared.delivery import paging as listing
from shared.delivery.states import State
from shared.delivery.store import creation
from shared.errors import Contended
from shared.sms import message
from shared.storage.partitions import shard
from shared.storage.rows import Insert, Put, stamp
from tests import loading
from tests.browser import needs_chromium
from tests.web.conftest import Edition
from tests.web.person import Person

pytestmark = needs_chromium

PAINT = 100 * 1024


@pytest_asyncio.fixture
async def console(person: Person, edition: Edition) -> Person:
    """The console, after the key was typed."""
    await open_console(person, edition)
    return person


async def open_console(person: Person, edition: Edition) -> None:
    await person.page.goto(f"{edition.url}/console")
    await person.fill("textbox", "Key", edition.key)
    await person.press("Enter")
    await person.find("heading", "Messages")
    await person.page.until("document.querySelectorAll('#tiles li').length")


async def scheduled(edition: Edition, to: str, body: str, **more: Any) -> str:
    return str((await edition.post("messages", {"to": to, "body": body, **more}))["id"])


def later(**delta: int) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).isoformat(timespec="seconds")


async def test_a_text_is_sent_and_seen_to_be_delivered(console: Person, edition: Edition) -> None:
    await console.click("button", "New text")
    await console.fill("textbox", "To", "+12025550121")
    await console.fill("textbox", "Text", "Your table is ready")
    await console.click("button", "Send")
    row = "[...document.querySelectorAll('#messages tr')].find(row => row.innerText.includes('0121'))"
    await console.page.until(f"{row}?.innerText.includes('delivered')")
    await console.click("button", "+12025550121, delivered: show the message")
    await console.sees("1 segment, GSM-7")
    await console.click("button", "Everything with this number")
    await console.find("heading", "+12025550121")
    ledger = await edition.tell_twilio("ledger", None, "GET")
    assert [each["body"] for each in ledger["messages"]] == ["Your table is ready"]


async def test_a_text_is_scheduled_by_keyboard_edited_and_canceled(console: Person, edition: Edition) -> None:
    due = datetime.now(UTC) + timedelta(days=2)
    await console.focus("button", "New text")
    await console.press("Enter")
    assert await console.focused() == "textbox To"
    await console.type("+12025550122")
    await console.press("Tab")
    assert await console.focused() == "textbox Text"
    await console.type("Soon")
    await console.press("Tab")
    # The segments of a date and time: month, day, year, hour, minute, second, AM or PM.
    await console.press(*due.strftime("%m%d%Y"), "ArrowRight", *due.strftime("%I%M%S"), due.strftime("%p")[0])
    await console.find("button", "Schedule")
    await console.press("Enter")
    await console.sees("The message is scheduled.")
    assert await console.focused() == "button New text"
    await console.click("button", "1 Waiting next 7 days")
    await console.click("button", "+12025550122, waiting: show the message")
    await console.click("button", "Edit")
    await console.fill("textbox", "Text", "Sooner")
    await console.press("Tab", "Tab", "Tab", "Tab")
    await console.click("button", "Save")
    await console.sees("Sooner")
    await console.click("button", "Cancel the message")
    await console.click("button", "Cancel it")
    await console.sees("canceled")
    kept = (await edition.post("recipients/messages", {"to": "+12025550122"}))["messages"]
    assert [(each["body"], each["state"]) for each in kept] == [("Sooner", "canceled")]
    assert kept[0]["send_at"][:19] == due.strftime("%Y-%m-%dT%H:%M:%S")
    await console.press("Escape")


async def test_a_failed_text_says_why_in_words(console: Person, edition: Edition) -> None:
    failing = {"kind": "outcome", "outcome": "undelivered", "code": 30005, "to": "+12025550123"}
    await edition.tell_twilio("faults/plan", failing)
    await scheduled(edition, "+12025550123", "Are you there?")
    await console.sees("the number is unknown, or no longer in service")
    await console.click("button", "+12025550123, undelivered: show the message")
    await console.find("link", "30005")


async def test_what_is_wrong_with_a_form_stands_at_its_field(console: Person) -> None:
    await console.click("button", "New text")
    await console.fill("textbox", "To", "12")
    await console.fill("textbox", "Text", "Hello")
    await console.click("button", "Send")
    await console.sees("must be a phone number in E.164, such as +12025550101")
    assert await console.focused() == "textbox To"
    invalid = "document.getElementById('field-to').getAttribute('aria-invalid')"
    assert await console.page.evaluate(invalid) == "true"


async def test_an_unresolved_text_is_found_and_sent_again(console: Person, edition: Edition) -> None:
    await unresolved(edition, "+12025550124")
    await console.click("button", "1 Unresolved you decide")
    await console.click("button", "+12025550124, unresolved: show the message")
    await console.click("button", "Send again")
    await console.sees("the recipient may get it twice")
    dialogs = await console.names("dialog")
    assert dialogs[-1] == "Send it again?"
    await console.page.evaluate(
        "[...document.querySelectorAll('dialog')].at(-1).querySelector('.danger').click()"
    )
    await console.page.until("document.querySelector('dialog .badge').innerText == 'delivered'")
    await console.press("Escape")
    await console.find("button", "0 Unresolved you decide")


async def unresolved(edition: Edition, to: str) -> str:
    """A message whose fate nobody can say, written as the reconciler leaves it."""
    made = message.Message(
        id=message.new_id(to, datetime.now(UTC)),
        to=to,
        body="Did you get this?",
        due=datetime.now(UTC) - timedelta(days=3),
        created=datetime.now(UTC) - timedelta(days=3),
    )
    lost = replace(made, state=State.UNRESOLVED, reason="Twilio does not list it", attempt="0" * 16)
    await edition.stored.messages.table.commit(lost.partition, creation(lost))
    return lost.id


async def test_a_text_is_found_behind_more_than_the_app_reads_for_a_page(
    console: Person, edition: Edition
) -> None:
    to = "+12025550131"
    # In one hour of the clock: the console asks only for the hours in which there is such a text.
    first = datetime.now(UTC).replace(minute=10) - timedelta(hours=1)
    times = [first + timedelta(seconds=number) for number in range(listing.MOST + 100)]
    made = [
        message.Message(
            id=message.new_id(to, at), to=to, body="Hello", due=at, created=at, state=State.DELIVERED
        )
        for at in times
    ]
    made[-1] = replace(made[-1], state=State.SENT)
    for batch in batched(made, 25, strict=False):
        writes = [write for each in batch for write in creation(each)]
        await edition.stored.messages.table.commit(shard(to), writes)
    await console.click("button", "1 Sending last 24 hours")
    await console.find("button", f"{to}, sent: show the message")
    asked = [parse_qs(urlsplit(each["url"]).query) for each in console.requests]
    assert [each for each in asked if each.get("state") == ["sent"] and "token" in each]


async def test_a_dead_letter_is_replayed_under_its_id_and_then_refused(
    console: Person, edition: Edition
) -> None:
    refused = {"kind": "error", "resource": "calls", "code": 21215, "to": "+12025550125"}
    await edition.tell_twilio("faults/plan", refused)
    await edition.post("calls", {"to": "+12025550125", "say": "Hello", "id": "table-17"})
    await console.click("link", "Dead letters")
    await console.sees("this country is not enabled for calls from the account")
    await console.sees('"say": "Hello"')
    await console.click("button", "Replay table-17")
    await console.sees("Replayed")
    await console.click("link", "Calls")
    row = "[...document.querySelectorAll('#call-list tr')].find(row => row.innerText.includes('0125'))"
    await console.page.until(f"/ringing|in progress|completed/.test({row}?.innerText)")
    await console.click("link", "Dead letters")
    await console.click("button", "Replay table-17")
    await console.sees("call table-17 is ")
    await console.click("button", "Discard table-17")
    await console.click("button", "Discard")
    await console.sees("None.")
    ledger = await edition.tell_twilio("ledger", None, "GET")
    assert [each["to"] for each in ledger["calls"]] == ["+12025550125"]


async def test_the_call_that_was_accepted_last_is_shown_first(console: Person, edition: Edition) -> None:
    now = datetime.now(UTC)
    for number, seconds in ((1, 30), (2, 20), (3, 10)):
        at = now - timedelta(seconds=seconds)
        to, state = f"+1202555014{number}", State.COMPLETED
        await edition.stored.calls.add(Call(id=f"in-turn-{number}", to=to, created=at, due=at, state=state))
    await console.click("link", "Calls")
    rows = (
        "[...document.querySelectorAll('#call-list tr')].map((row) => row.innerText.match(/014[123]/)?.[0])"
    )
    await console.page.until(f"{rows}.filter(Boolean).join() === '0143,0142,0141'", timeout=20)


def file_of(path: Path, bad: int) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["to", "name", "body", "send_at"])
        for number in range(1000):
            to = f"+120255501{number % 50 + 50:02}"
            rows.writerow(["12" if number < bad else to, f"Guest {number}", "Hello {name}", later(days=20)])
    return path


async def test_a_file_of_a_thousand_rows_with_two_bad_ones(
    console: Person, edition: Edition, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(file_of, tmp_path / "guests.csv", 2)
    await console.click("link", "Upload")
    await console.choose_file("file", path)
    await console.click("button", "Upload")
    await console.sees("Failed: nothing was stored: rows are wrong.")
    cells = "[...row.cells].map(cell => cell.innerText)"
    rows = f"[...document.querySelectorAll('#row-error-list tr')].map(row => {cells})"
    wrong = await console.page.evaluate(rows)
    right = "must be a phone number in E.164, such as +12025550101"
    assert wrong == [["2", "to", right], ["3", "to", right]]
    await console.click("checkbox", "Load the good rows even if others are wrong")
    await console.click("button", "Upload")
    await console.sees("Done: 998 messages are scheduled, 2 rows wrong.")
    bar = "document.getElementById('upload-bar')"
    assert await console.page.evaluate(f"[{bar}.value, {bar}.max]") == [998, 1000]
    counts = await edition.get("messages?state=pending&limit=200")
    assert len(counts["messages"]) == 200
    assert counts["token"]


async def stopped_upload(console: Person, edition: Edition, path: Path) -> str:
    """Upload a file whose load is given up at once; the id of the load."""
    before = await edition.stored.bulk_jobs.unfinished()
    await console.click("link", "Upload")
    await console.choose_file("file", path)
    await console.click("button", "Upload")
    while (after := await edition.stored.bulk_jobs.unfinished()) == before:  # noqa: ASYNC110  another process
        await asyncio.sleep(0.01)
    (job_id,) = set(after) - set(before)
    while (await edition.get(f"bulk/{job_id}"))["state"] != "stopped":
        with suppress(Contended):  # its load writes how far it is
            await loading.give_up(job_id, edition.stored)
    await console.sees("Stopped: loading failed five times.")
    return job_id


async def test_a_load_that_has_stopped_is_discarded(
    console: Person, edition: Edition, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(file_of, tmp_path / "guests.csv", 0)
    job_id = await stopped_upload(console, edition, path)
    await console.click("button", "Discard")
    await console.sees("Its file is deleted. Messages that it scheduled stay.")
    await console.click("button", "Discard")
    await console.sees("Discarded: ")
    assert (await edition.get(f"bulk/{job_id}"))["state"] == "discarded"
    assert await edition.stored.bulk_jobs.unfinished() == []


async def test_a_file_whose_load_has_stopped_is_not_loaded_twice_by_uploading_it_again(
    console: Person, edition: Edition, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(file_of, tmp_path / "guests.csv", 0)
    job_id = await stopped_upload(console, edition, path)
    await console.click("button", "Upload")
    await console.sees("Stopped: loading failed five times.")
    assert await edition.stored.bulk_jobs.unfinished() == [job_id]
    await console.click("button", "Go on")
    await console.sees("Done: 1,000 messages are scheduled.")
    assert (await edition.get(f"bulk/{job_id}"))["loaded"] == 1000


async def test_what_kept_an_upload_from_going_on_is_not_told_any_more_once_it_does(
    console: Person, edition: Edition, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(file_of, tmp_path / "guests.csv", 0)
    await stopped_upload(console, edition, path)
    problem = "document.getElementById('upload-problem').textContent"
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    await console.page.send("Network.emulateNetworkConditions", offline=True, **offline)
    await console.click("button", "Go on")
    await console.page.until(f"{problem} == 'The app does not answer.'")
    await console.page.send("Network.emulateNetworkConditions", offline=False, **offline)
    await console.click("button", "Go on")
    await console.sees("Done: 1,000 messages are scheduled.")
    assert await console.page.evaluate(problem) == ""
    console.page.errors.clear()


async def test_the_timeline_of_a_number_joins_all_that_is_known(console: Person, edition: Edition) -> None:
    who = "+12025550126"
    text = await scheduled(edition, who, "Your table is ready")
    await edition.state_of(text, "delivered")
    await scheduled(edition, who, "See you tomorrow", send_at=later(days=1))
    await edition.post("calls", {"to": who, "say": "Hello", "id": "to-0126"})
    inbound = await edition.tell_twilio("inbound/call", {"from": who, "to": "+12025550100"})
    await edition.call_in("to-0126", "completed")
    await edition.tell_twilio("inbound/message", {"from": who, "to": "+12025550100", "body": "STOP"})
    await console.fill("searchbox", "Number or id", "+1 (202) 555-0126")
    await console.press("Enter")
    await console.find("heading", who)
    await console.sees("Opted out: asked for")
    await console.sees("Your table is ready")
    await console.sees("See you tomorrow")
    await console.sees("opted out")
    await console.sees("Call to them")
    await console.sees("Delivered")
    await console.sees("Cost 0.0")
    await console.page.until("/2 texts, [12] calls?, cost [0-9.]+ USD/.test(document.body.innerText)")
    assert inbound["status"] == 200
    urls = [request["url"] for request in console.requests]
    assert not [url for url in urls if "2025550126" in url]
    assert "2025550126" not in await console.page.evaluate("location.href")


async def test_search_finds_a_message_by_its_id_and_says_what_it_does_not_find(
    console: Person, edition: Edition
) -> None:
    found = await scheduled(edition, "+12025550127", "Find me", send_at=later(days=3))
    await console.fill("searchbox", "Number or id", found)
    await console.press("Enter")
    await console.sees("Find me")
    await console.press("Escape")
    await console.fill("searchbox", "Number or id", "nothing-of-this-name")
    await console.press("Enter")
    await console.page.until(
        "document.getElementById('announcements').innerText.includes('There is no such')"
    )


async def test_the_key_is_asked_for_until_it_is_right_and_is_in_no_url(
    person: Person, edition: Edition
) -> None:
    await person.page.goto(f"{edition.url}/console")
    await person.fill("textbox", "Key", "wrong")
    await person.press("Enter")
    await person.sees("That key is not accepted.")
    await person.fill("textbox", "Key", edition.key)
    await person.press("Enter")
    await person.page.until("document.querySelectorAll('#tiles li').length")
    await person.page.goto(f"{edition.url}/console")
    await person.page.until("document.querySelectorAll('#tiles li').length")
    assert await person.names("dialog") == []
    assert not [each["url"] for each in person.requests if edition.key in each["url"]]
    assert edition.key in {each["headers"].get("x-functions-key") for each in person.requests}
    await person.click("button", "Forget the key")
    await person.find("dialog", "Function key")
    assert await person.page.evaluate("sessionStorage.length") == 0


async def test_the_first_paint_is_small_and_asks_no_other_host(person: Person, edition: Edition) -> None:
    sizes: dict[str, float] = {}

    def hear(method: str, params: dict[str, Any]) -> None:
        if method == "Network.dataReceived":
            sizes[params["requestId"]] = sizes.get(params["requestId"], 0) + params["dataLength"]

    person.page.heard.append(hear)
    await person.page.send("Network.setCacheDisabled", cacheDisabled=True)
    await open_console(person, edition)
    person.page.heard.remove(hear)
    await person.page.send("Network.setCacheDisabled", cacheDisabled=False)
    assert 10_000 < sum(sizes.values()) < PAINT  # as it is when unpacked: nothing is hidden by gzip
    assert {urlsplit(each["url"]).netloc for each in person.requests} - {""} == {urlsplit(edition.url).netloc}


async def test_a_lost_connection_is_told_and_mends_itself(console: Person) -> None:
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    await console.page.send("Network.emulateNetworkConditions", offline=True, **offline)
    await console.sees("The app does not answer.")
    await console.page.send("Network.emulateNetworkConditions", offline=False, **offline)
    await console.page.until("document.getElementById('connection').hidden")
    console.page.errors.clear()


async def test_a_text_is_sent_and_looked_at_by_keyboard_alone(console: Person) -> None:
    await console.page.evaluate("document.activeElement.blur()")
    await console.press("Tab")
    assert await console.focused() == "link Skip to the content"
    await console.tab_to("button New text")
    await console.press("Enter")
    await console.type("+12025550128")
    await console.tab_to("textbox Text")
    await console.type("By keyboard")
    await console.tab_to("button Send")
    await console.press("Enter")
    await console.page.until("document.querySelector('#messages').innerText.includes('By keyboard')")
    assert await console.focused() == "button New text"
    await console.tab_to("button 0 Unresolved you decide", "DisclosureTriangle As a table")
    await console.press("Enter")
    await console.tab_to("region The chart as a table")
    row = "document.activeElement.ariaLabel?.startsWith('+12025550128')"
    while not await console.page.evaluate(row):
        await console.press("Tab")
    await console.press("Enter")
    await console.sees("Billed as")
    await console.press("Escape")
    assert await console.page.evaluate(row)
    await console.tab_back_to("link Dead letters")
    await console.press("Enter")
    await console.page.until("document.activeElement.id == 'letters-title'")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)])
async def test_axe_finds_nothing_serious(console: Person, edition: Edition, width: int, dark: bool) -> None:
    await scheduled(edition, "+12025550129", "For the list", send_at=later(days=5))
    await edition.tell_twilio(
        "faults/plan", {"kind": "error", "resource": "calls", "code": 21215, "to": "+12025550129"}
    )
    await edition.post("calls", {"to": "+12025550129", "say": "Hello", "id": f"axe-{width}"})
    await console.page.look(width, 800, dark=dark)
    assert await console.violations() == []
    await console.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    await console.click("button", "New text")
    assert await console.violations() == []
    await console.press("Escape")
    for view, heading in [("Calls", "Calls"), ("Dead letters", "Dead letters"), ("Upload", "Upload")]:
        await console.click("link", view)
        await console.find("heading", heading)
        assert await console.violations() == [], view
    await console.fill("searchbox", "Number or id", "+12025550129")
    await console.press("Enter")
    await console.sees("For the list")
    assert await console.violations() == []
    await console.page.evaluate("document.querySelector('#timeline button').click()")
    await console.sees("Billed as")
    assert await console.violations() == []
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await console.page.evaluate(overflow) == 0


ATTACK = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
KEY_ATTACK = "<img src=x onerror=window.pwned=1>"  # what a row's key may hold


async def test_markup_is_text_in_every_field(console: Person, edition: Edition, tmp_path: Path) -> None:
    await plant(edition)
    await console.page.until("document.querySelector('#messages').innerText.includes('<img')")
    await console.page.evaluate("document.querySelector('#messages tr button').click()")
    await unharmed(console, "Time zone", "Quiet hours", "SID")
    await console.press("Escape")
    await console.click("link", "Calls")
    await console.page.until("document.querySelector('#call-list').innerText.includes('<img')")
    await unharmed(console, KEY_ATTACK)
    await console.click("link", "Dead letters")
    await console.find("button", f"Discard {KEY_ATTACK}")
    await unharmed(console, ATTACK, KEY_ATTACK)
    await console.click("button", f"Discard {KEY_ATTACK}")
    await unharmed(console, f"{KEY_ATTACK} is deleted for good.")
    await console.click("button", "Discard")
    await console.fill("searchbox", "Number or id", "+12025550130")
    await console.press("Enter")
    await console.sees(f"Opted out: {ATTACK}")
    await unharmed(console, f"cost 0.01 {ATTACK} so far", f"Cost 0.01 {ATTACK}")
    await console.fill("searchbox", "Number or id", ATTACK)
    await console.press("Enter")
    await console.page.until("document.getElementById('wanted').validationMessage")
    await console.click("button", "New text")
    for field in ("To", "Text", "Time zone"):
        await console.fill("textbox" if field != "Time zone" else "combobox", field, ATTACK)
    await console.click("button", "Send")
    await unharmed(console, "must be")
    await console.press("Escape")
    path = tmp_path / "attack.csv"
    await asyncio.to_thread(path.write_text, f"to,body,{KEY_ATTACK}\n12,{{{KEY_ATTACK}}},x\n")
    await console.click("link", "Upload")
    await console.choose_file("file", path)
    await console.click("button", "Upload")
    await console.sees("Failed")
    await unharmed(console)


async def plant(edition: Edition) -> None:
    """Rows with markup in every text that they can hold."""
    now, stored = datetime.now(UTC), edition.stored
    made = message.Message(id=message.new_id("x", now), to="+12025550130", body=ATTACK, due=now, created=now)
    texts = dict.fromkeys(("sender", "time_zone", "repeat", "series", "quiet_hours", "sid"), ATTACK)
    texts |= dict.fromkeys(("reason", "attempt", "reports"), ATTACK) | {"price": f"-0.01 {ATTACK}"}
    hostile = replace(made, to=ATTACK, media_urls=(ATTACK,), state=State.FAILED, **texts)  # type: ignore[arg-type]
    await stored.messages.table.commit(made.partition, [Insert(f"m|{made.id}", hostile.columns())])
    shard = message.Message.home_of("+12025550130")
    opt_out = Put("o|+12025550130", {"since": stamp(now), "source": ATTACK})
    owned = replace(hostile, id=message.new_id("+12025550130", now), to="+12025550130")
    place = Put(f"t|+12025550130|{stamp(now)}|{owned.id}", {})
    await stored.messages.table.commit(shard, [opt_out, place, Insert(f"m|{owned.id}", owned.columns())])
    for direction in ("inbound", "outbound"):
        await stored.calls.add(
            Call(
                id=f"hostile-{direction}",  # an id with markup is refused wherever it is read
                to=KEY_ATTACK,
                sender=KEY_ATTACK,
                direction=direction,
                created=now,
                due=now,
                state=State.FAILED,
                reason=ATTACK,
                answered_by=ATTACK,
                price=f"-0.01 {ATTACK}",
                sid=ATTACK,
            )
        )
    raw = json.dumps({"say": ATTACK}).encode()
    await stored.dead_letters.add(raw, ATTACK, call_id=KEY_ATTACK, queue=ATTACK, now=now)


async def unharmed(person: Person, *texts: str) -> None:
    """The markup stands there as text, and has become nothing else."""
    for text in texts:
        await person.sees(text)
    assert await person.page.evaluate("window.pwned ?? 0") == 0
    assert await person.page.evaluate("document.querySelectorAll('img, body script').length") == 0
