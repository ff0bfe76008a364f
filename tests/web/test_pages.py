"""shared/web/pages.py: which files are served, and with which headers."""

import gzip
import re
from dataclasses import replace
from pathlib import Path

import pytest

from local.host.worker import Answer, Worker
from shared.config import Settings
from shared.errors import SettingsError
from shared.web import pages
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


async def test_a_client_that_accepts_gzip_gets_gzip(worker: Worker) -> None:
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


def test_the_softphone_knows_of_a_phone_only_without_the_real_twilio() -> None:
    emulator = "http://127.0.0.1:4000"
    local = settings(TWILIO_BASE_URL=emulator, PHONE_URL="http://127.0.0.1:7171")
    default = settings(TWILIO_BASE_URL=emulator)
    deployed = settings(PHONE_URL="http://127.0.0.1:7171")
    for known, phone in (
        (local, "http://127.0.0.1:7171"),
        (default, "http://127.0.0.1:7070"),
        (deployed, ""),
    ):
        text = pages.page("softphone", {}, lambda known=known: known).get_body().decode()  # type: ignore[misc]
        assert f'name="phone" content="{phone}"' in text


def test_a_page_is_served_while_settings_are_missing() -> None:
    def missing() -> Settings:
        raise SettingsError(("TWILIO_AUTH_TOKEN",))

    answer = pages.page("softphone", {}, missing)
    assert answer.status_code == 200
    assert 'name="phone" content=""' in answer.get_body().decode()
