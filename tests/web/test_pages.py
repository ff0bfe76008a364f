"""shared/pages.py: what is served, with which headers, and what is not."""

import gzip
import re
from dataclasses import replace
from pathlib import Path

import pytest

from local.host.worker import Answer, Worker
from shared import pages
from shared.services import Services
from tests.settings import settings

URL = "http://localhost:7071/api/x"


async def fetch(worker: Worker, function: str, headers: dict[str, str] | None = None, **route: str) -> Answer:
    answer = (await worker.http(function, "GET", URL, headers or {}, b"", route)).answer
    assert answer is not None
    return replace(answer, headers={name.lower(): value for name, value in answer.headers.items()})


@pytest.mark.parametrize("function", ["console_page", "softphone_page"])
async def test_a_page_allows_no_script_style_or_frame_but_its_own(worker: Worker, function: str) -> None:
    answer = await fetch(worker, function)
    assert answer.status == 200
    policy = answer.headers["content-security-policy"]
    for directive in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ):
        assert directive in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_the_console_may_ask_this_app_alone_and_the_softphone_twilio_too(worker: Worker) -> None:
    console, softphone = await fetch(worker, "console_page"), await fetch(worker, "softphone_page")
    assert "connect-src 'self';" in console.headers["content-security-policy"]
    assert "microphone=()" in console.headers["permissions-policy"]
    twilio = "connect-src 'self' blob: https://*.twilio.com wss://*.twilio.com;"
    assert twilio in softphone.headers["content-security-policy"]
    assert "microphone=(self)" in softphone.headers["permissions-policy"]


async def test_no_page_has_a_script_or_a_style_of_its_own(worker: Worker) -> None:
    for function in ("console_page", "softphone_page"):
        text = (await fetch(worker, function)).text
        assert "<style" not in text
        assert " style=" not in text
        assert not re.search(r"\son\w+=", text)
        assert text.count("<script") == text.count('<script type="module" src="assets/')


async def test_what_has_not_changed_is_not_sent_again(worker: Worker) -> None:
    first = await fetch(worker, "asset_get", name="console.js")
    again = await fetch(worker, "asset_get", {"If-None-Match": first.headers["etag"]}, name="console.js")
    assert (again.status, again.body) == (304, b"")


async def test_gzip_is_for_whoever_takes_it(worker: Worker) -> None:
    plain = await fetch(worker, "asset_get", name="voice-sdk.js")
    packed = await fetch(worker, "asset_get", {"Accept-Encoding": "gzip, br"}, name="voice-sdk.js")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 2


@pytest.mark.parametrize("name", ["../function_app.py", "..%2fhost.json", "console.html", "no.js", "", "."])
async def test_nothing_but_scripts_and_styles_is_an_asset(worker: Worker, name: str) -> None:
    assert (await fetch(worker, "asset_get", name=name)).status == 404


async def test_pages_that_were_never_built_say_how(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pages, "BUILT", tmp_path / "missing")
    pages._files.cache_clear()
    answer = await fetch(worker, "console_page")
    monkeypatch.undo()
    pages._files.cache_clear()
    assert (answer.status, answer.text) == (503, "The pages are not built: npm ci && npm run build\n")


def test_the_softphone_knows_of_a_phone_only_where_there_is_no_twilio() -> None:
    emulator = "http://127.0.0.1:4000"
    local = Services(settings(TWILIO_BASE_URL=emulator, PHONE_URL="http://127.0.0.1:7171"))
    default = Services(settings(TWILIO_BASE_URL=emulator))
    deployed = Services(settings(PHONE_URL="http://127.0.0.1:7171"))
    found = [pages.page("softphone", {}, each).body.decode() for each in (local, default, deployed)]
    wanted = ["http://127.0.0.1:7171", "http://127.0.0.1:7070", ""]
    assert [f'name="phone" content="{each}"' in text for each, text in zip(wanted, found, strict=True)] == [
        True,
        True,
        True,
    ]
