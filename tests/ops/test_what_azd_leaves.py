"""The commands with what azd leaves behind: outputs in .env, answers in config.json, secrets elsewhere."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.twilio import ACCOUNT_SID, AUTH_TOKEN, NUMBER, Emulator
from ops import azd as azd_files
from ops.azure_sign_in import vault_secret
from ops.client import find
from ops.errors import OpsError
from ops.secret_settings import AzdSecrets
from tests.azd import Azd
from tests.host.process import ROOT
from tests.listener import Answer, Listener
from tests.ops.conftest import Run
from tests.ops.terminal import on_a_terminal
from tests.ops.test_client import SignedIn

TOKEN_PATH = "/secrets/TWILIO-AUTH-TOKEN"
VAULT = {"AZURE_KEY_VAULT_NAME": "vault-abc"}
NOBODY = {"TWILIO_ACCOUNT_SID": "", "TWILIO_AUTH_TOKEN": "", "TWILIO_FROM_NUMBER": "", "SWITCHBOARD_URL": ""}
"""The tests' own process has the settings of the app that it serves."""


@pytest.fixture
def azd(tmp_path: Path) -> Azd:
    """`azd up` has ended: its prompts were answered, and Bicep's outputs are kept."""
    made = Azd(tmp_path)
    made.answer("twilioAccountSid", ACCOUNT_SID)
    made.answer("twilioFromNumber", NUMBER)
    made.answer("twilioAuthToken", AUTH_TOKEN, secure=True)
    for name, value in {
        "AZURE_KEY_VAULT_NAME": "vault-abc",
        "AZURE_STORAGE_ACCOUNT_NAME": "switchboardabc",
        "PUBLIC_BASE_URL": "https://switchboard-abc.azurewebsites.net",
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_FROM_NUMBER": NUMBER,
        "SWITCHBOARD_SETTINGS": '{"COMPANY_NAME": "Joe \\"The Pipe\\" Smith"}',
    }.items():
        made.set(name, value)
    return made


@pytest.fixture
def vault() -> Iterator[Listener]:
    """Where the vault would be; it has the auth token."""
    with Listener() as listener:
        body = json.dumps({"value": "from-the-vault", "id": "https://vault-abc/secrets/x/1"})
        listener.answers[TOKEN_PATH] = Answer(body, content_type="application/json")
        yield listener


def secrets(azd: Azd, vault: Listener, credential: SignedIn | None = None) -> AzdSecrets:
    found = azd_files.environment(azd.folder, {})
    assert found
    return AzdSecrets(found, found.values, credential or SignedIn(), origin=vault.url)


# The second of the two commands into Azure.


async def test_connect_works_with_nothing_but_what_azd_leaves(
    ops: Run, public: str, azd: Azd, tmp_path: Path
) -> None:
    azd.set("PUBLIC_BASE_URL", public)
    path = azd.program(tmp_path)

    result = await ops("connect", NUMBER, **NOBODY, PATH=path)

    assert result.exit_code == 0, result.output
    assert "azd's environment prod" in result.output
    assert AUTH_TOKEN not in result.output


async def test_so_does_the_doctor(ops: Run, public: str, azd: Azd, tmp_path: Path) -> None:
    azd.set("PUBLIC_BASE_URL", public)
    path = azd.program(tmp_path)
    await ops("connect", NUMBER, **NOBODY, PATH=path)

    result = await ops("doctor", "--json", **NOBODY, PATH=path)

    findings = json.loads(result.stdout)["findings"]
    seen = {(each["check"], each["status"]) for each in findings}
    assert {("number", "ok"), ("webhooks", "ok"), ("signature", "ok")} <= seen, findings
    assert AUTH_TOKEN not in result.output


def test_what_is_no_secret_is_known_before_the_first_output(tmp_path: Path) -> None:
    """An environment of before the template had these outputs."""
    old = Azd(tmp_path)
    old.set("PUBLIC_BASE_URL", "https://switchboard-abc.azurewebsites.net")
    old.answer("twilioAccountSid", ACCOUNT_SID)
    old.answer("twilioFromNumber", NUMBER)

    found = find(None, environ={}, folder=tmp_path)

    assert found.setting("TWILIO_ACCOUNT_SID", "TWILIO_FROM_NUMBER") == [ACCOUNT_SID, NUMBER]


def test_a_reference_to_a_secret_is_not_taken_for_it(azd: Azd) -> None:
    azd.set_secret("TWILIO_AUTH_TOKEN", AUTH_TOKEN)

    found = find(None, environ={}, folder=azd.folder)

    assert "TWILIO_AUTH_TOKEN" not in found.settings
    assert not any("://" in value for name, value in found.settings.items() if name.startswith("TWILIO"))


# Where the auth token comes from.


def test_the_vault_gives_the_token_to_whoever_is_signed_in(azd: Azd, vault: Listener) -> None:
    credential = SignedIn()

    assert secrets(azd, vault, credential)("TWILIO_AUTH_TOKEN") == "from-the-vault"

    (request,) = vault.requests
    assert request.url.endswith(f"{TOKEN_PATH}?api-version=7.4")
    assert request.headers["Authorization"] == "Bearer a-token"
    assert credential.scope == "https://vault.azure.net/.default"


def test_it_is_asked_for_once_and_only_when_needed(azd: Azd, vault: Listener) -> None:
    found = secrets(azd, vault)
    assert vault.requests == []

    assert [found("TWILIO_AUTH_TOKEN") for _ in range(3)] == ["from-the-vault"] * 3

    assert len(vault.requests) == 1
    assert found("COMPANY_NAME") is None
    assert len(vault.requests) == 1


def test_where_the_vault_says_nothing_azd_is_asked(
    azd: Azd, vault: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.answers[TOKEN_PATH] = Answer("{}", 403, "application/json")
    monkeypatch.setenv("PATH", azd.program(tmp_path))

    assert secrets(azd, vault)("TWILIO_AUTH_TOKEN") == AUTH_TOKEN


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (403, "{}", "the role Key Vault Secrets User"),
        (404, "{}", "the vault has no TWILIO_AUTH_TOKEN"),
        (500, "hunter2", "the vault vault-abc does not give TWILIO-AUTH-TOKEN: HTTPError"),
        (200, '{"hunter2": 1}', "does not give TWILIO-AUTH-TOKEN: KeyError"),
        (200, "hunter2", "does not give TWILIO-AUTH-TOKEN: "),
    ],
)
def test_where_nobody_says_it_the_error_says_why_and_what_to_do(
    azd: Azd, vault: Listener, status: int, body: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.answers[TOKEN_PATH] = Answer(body, status, "application/json")
    monkeypatch.setenv("PATH", "")  # no azd

    with pytest.raises(OpsError, match="run this on a terminal") as caught:
        secrets(azd, vault)("TWILIO_AUTH_TOKEN")

    assert fault in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_secret_that_one_can_do_without_is_not_asked_for(
    azd: Azd, vault: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.answers["/secrets/TWILIO-AUTH-TOKEN-SECONDARY"] = Answer("{}", 404, "application/json")
    monkeypatch.setenv("PATH", "")

    assert secrets(azd, vault)("TWILIO_AUTH_TOKEN_SECONDARY") is None


@pytest.mark.parametrize("name", ["", "evil.example.com/x", "a", "vault-abc.evil", "1vault", "v" * 30])
def test_a_sign_in_goes_to_no_host_but_a_vaults(name: str) -> None:
    credential = SignedIn()

    with pytest.raises(OpsError, match="AZURE_KEY_VAULT_NAME"):
        vault_secret({"AZURE_KEY_VAULT_NAME": name}, "TWILIO_AUTH_TOKEN", credential)

    assert credential.scope == ""


async def test_on_a_terminal_it_is_asked_for_without_an_echo(
    public: str, emulator: Emulator, azd: Azd, tmp_path: Path
) -> None:
    azd.set("PUBLIC_BASE_URL", public)
    azd.answer("twilioAuthToken", "", secure=True)
    environ = {"TWILIO_BASE_URL": emulator.url, "PATH": azd.program(tmp_path)}
    async with on_a_terminal("connect", NUMBER, "--dry-run", root=tmp_path, environ=environ) as terminal:
        await terminal.until("TWILIO_AUTH_TOKEN (")
        terminal.type(f"{AUTH_TOKEN}\n")
        assert await terminal.code() == 0, terminal.shown
    shown = terminal.shown
    assert f"{public}/api/voice" in shown
    assert AUTH_TOKEN not in shown
    assert await asyncio.to_thread(holding, tmp_path, AUTH_TOKEN) == []


def holding(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text in path.read_text("utf-8")]


# Typed literally.


def test_the_commands_go_on_in_the_venv_when_python_has_no_packages(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "ops").mkdir(parents=True)
    (project / "ops" / "__main__.py").write_text((ROOT / "ops" / "__main__.py").read_text())
    (project / "ops" / "__init__.py").touch()
    bare = [sys.executable, "-I", "-S", "-c", "import sys; sys.path.insert(0, '.'); import runpy; "
            "sys.argv[1:] = ['explain', '--help']; runpy.run_module('ops', run_name='__main__')"]  # fmt: skip

    missing = subprocess.run(bare, cwd=project, capture_output=True, text=True, timeout=60, check=False)
    assert missing.returncode == 1
    assert "run `make setup` first" in missing.stderr

    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "in the venv: $*"\nexit 7\n')
    python.chmod(0o755)
    found = subprocess.run(bare, cwd=project, capture_output=True, text=True, timeout=60, check=False)

    assert found.returncode == 7
    assert found.stdout == "in the venv: -m ops explain --help\n"
