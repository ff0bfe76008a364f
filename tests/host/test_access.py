"""'It must not become a hole': each sentence of it."""

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from local.host.access import Keys, must_enforce
from tests.host.process import HostProcess, environment, serving, write_app
from tests.processes import LOOPBACK as LOOPBACK_ADDRESS
from tests.processes import listening, needs_proc

LOOPBACK = {"PUBLIC_BASE_URL": "http://localhost:7071", "TWILIO_BASE_URL": "http://127.0.0.1:4000"}
APP = """
@app.route("open", auth_level=ANONYMOUS)
def opened(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("open")

@app.route("keyed")
def keyed(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("keyed")

@app.route("mastered", auth_level=func.AuthLevel.ADMIN)
def mastered(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("mastered")

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
async def tick(timer: func.TimerRequest) -> None: ...
"""


@pytest.fixture
def app_dir(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP)


@pytest_asyncio.fixture(scope="module")
async def local_host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HostProcess]:
    """All on this machine, and so without keys."""
    app_dir = write_app(tmp_path_factory.mktemp("access") / "app", APP)
    async with serving(app_dir, LOOPBACK) as host:
        yield host


@pytest_asyncio.fixture(scope="module")
async def tunnel_host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HostProcess]:
    """Reached through a tunnel, and so with keys."""
    app_dir = write_app(tmp_path_factory.mktemp("access") / "app", APP)
    async with serving(app_dir, {**LOOPBACK, "PUBLIC_BASE_URL": "https://tunnel.example"}) as host:
        yield host


def kept_keys(app_dir: Path) -> dict[str, str]:
    keys: dict[str, str] = json.loads((app_dir / ".data" / "keys.json").read_text())
    return keys


async def status(host: HostProcess, path: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (await host.get(path, headers=named))[0]


async def test_on_loopback_keys_are_off(local_host: HostProcess) -> None:
    assert await local_host.get("/api/keyed") == (200, "keyed")
    assert await status(local_host, "/api/mastered") == 200
    assert "function key" not in local_host.log


async def test_without_keys_a_page_of_another_site_gets_nowhere(local_host: HostProcess) -> None:
    assert await status(local_host, "/api/keyed", Origin="https://evil.example") == 403
    assert await status(local_host, "/api/keyed", Origin="null") == 403
    assert await status(local_host, "/api/keyed", Sec_Fetch_Site="cross-site") == 403
    own = {"Origin": local_host.url, "Sec_Fetch_Site": "same-origin"}
    assert await status(local_host, "/api/keyed", **own) == 200
    assert await status(local_host, "/api/open", Origin="https://evil.example") == 200


@pytest.mark.parametrize("name", ["evil.example", "localhost.evil.example", "10.0.0.1:7071", "", "[", "a@b"])
async def test_a_foreign_host_header_is_refused_everywhere(local_host: HostProcess, name: str) -> None:
    for path in ("/", "/api/open", "/api/keyed", "/admin/host/status"):
        assert await status(local_host, path, Host=name) in {400, 421}


@pytest.mark.parametrize("name", ["localhost", "localhost:1234", "127.0.0.1", "[::1]:7071", "LOCALHOST"])
async def test_a_loopback_host_header_is_ours_on_any_port(local_host: HostProcess, name: str) -> None:
    assert await status(local_host, "/api/open", Host=name) == 200


@needs_proc
async def test_it_listens_on_127_0_0_1_alone(local_host: HostProcess) -> None:
    port = int(local_host.url.rpartition(":")[2])
    assert listening([local_host.process.pid]) == {(LOOPBACK_ADDRESS, port)}


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        (
            {**LOOPBACK, "PUBLIC_BASE_URL": "https://tunnel.example"},
            "PUBLIC_BASE_URL is https://tunnel.example",
        ),
        ({**LOOPBACK, "TWILIO_BASE_URL": "https://api.twilio.example"}, "TWILIO_BASE_URL is https"),
        ({"TWILIO_ACCOUNT_SID": "AC" + "0" * 32}, "Twilio is the real one"),
    ],
)
async def test_keys_are_enforced_and_printed_as_soon_as_anything_is_not_loopback(
    app_dir: Path, environ: dict[str, str], reason: str
) -> None:
    async with serving(app_dir, environ) as host:
        assert await status(host, "/api/keyed") == 401
        assert reason in host.log
        keys = kept_keys(app_dir)
        assert keys["default"] in host.log
        assert keys["master"] in host.log
        assert await status(host, "/api/keyed", x_functions_key=keys["default"]) == 200


async def test_a_env_file_counts_for_that_too(app_dir: Path) -> None:
    (app_dir / ".env").write_text("PUBLIC_BASE_URL=https://tunnel.example\n")
    environ = {"TWILIO_BASE_URL": LOOPBACK["TWILIO_BASE_URL"], "PYTHON_DOTENV_DISABLED": "0"}
    async with serving(app_dir, environ) as host:
        assert await status(host, "/api/keyed") == 401


async def test_nothing_switches_enforced_keys_off(app_dir: Path) -> None:
    environ = {**LOOPBACK, "PUBLIC_BASE_URL": "https://tunnel.example", "SWITCHBOARD_AUTH": "0"}
    async with serving(app_dir, environ) as host:
        assert await status(host, "/api/keyed") == 401


async def test_each_level_opens_to_its_keys_alone(app_dir: Path) -> None:
    async with serving(app_dir, LOOPBACK, ["--no-reload", "--auth"]) as host:
        keys = kept_keys(app_dir)
        assert await host.get("/api/open") == (200, "open")
        assert await host.get("/api/keyed") == (401, "")
        assert await status(host, "/api/keyed", x_functions_key="wrong") == 401
        assert await status(host, "/api/keyed?code=%C3%A9") == 401
        assert await status(host, "/api/keyed", x_functions_key=keys["default"]) == 200
        assert await status(host, "/api/keyed", x_functions_key=keys["master"]) == 200
        assert await status(host, f"/api/keyed?code={keys['default']}") == 200
        assert await status(host, f"/api/keyed?code={keys['default']}x") == 401
        assert await status(host, "/api/mastered", x_functions_key=keys["default"]) == 401
        assert await status(host, "/api/mastered", x_functions_key=keys["master"]) == 200
        # A header hides the query, even an empty one, and the query's name is one whatever its case.
        assert await status(host, f"/api/keyed?CODE={keys['default']}") == 200
        assert await status(host, f"/api/keyed?code={keys['default']}", x_functions_key="") == 401
        for path in ("/admin/host/status", "/admin/functions/tick", "/Admin/nothing"):
            assert await status(host, path) == 401
            assert await status(host, path, x_functions_key="wrong") == 401
            assert await status(host, path, x_functions_key=keys["default"]) == 403
        assert await status(host, "/admin/host/status", x_functions_key=keys["master"]) == 200
        # A key in a URL stays out of the log.
        await host.logged("keyed +GET /api/keyed 200")
        assert f"code={keys['default']}" not in host.log


@pytest.mark.parametrize(
    "header",
    [
        {"X-Forwarded-For": "203.0.113.7"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Host": "tunnel.example"},
        {"Forwarded": "for=203.0.113.7"},
        {"X-Real-IP": "203.0.113.7"},
        {"Via": "1.1 proxy"},
        {"CF-Connecting-IP": "203.0.113.7"},
        {"X-Original-Host": "tunnel.example"},
        {"DISGUISED-HOST": "tunnel.example"},
        {"Host": "tunnel.example"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=lambda header: next(iter(header)),
)
async def test_admin_answers_nothing_that_was_forwarded(
    tunnel_host: HostProcess, header: dict[str, str]
) -> None:
    master = kept_keys(tunnel_host.app_dir)["master"]
    own = {"x-functions-key": master}
    assert (await tunnel_host.get("/admin/host/status", headers=own))[0] == 200
    status, text = await tunnel_host.get("/admin/host/status", headers={**own, **header})
    assert (status, "functions" in text) == (403, False)
    answer = await tunnel_host.request(
        "POST", "/admin/functions/tick", json={"input": ""}, headers={**own, **header}
    )
    assert answer[0] == 403


async def test_the_public_name_reaches_functions(tunnel_host: HostProcess) -> None:
    assert await status(tunnel_host, "/api/open", Host="tunnel.example", X_Forwarded_For="203.0.113.7") == 200
    assert await status(tunnel_host, "/api/keyed", Host="tunnel.example") == 401


def test_keys_are_kept_and_readable_by_the_owner_alone(tmp_path: Path) -> None:
    first = Keys.kept_in(tmp_path)
    path = tmp_path / "keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert Keys.kept_in(tmp_path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.master != first.default
    assert first.master not in repr(first)


def test_only_loopback_leaves_keys_to_choose() -> None:
    assert must_enforce({}) is None
    assert must_enforce(LOOPBACK) is None
    assert must_enforce({**LOOPBACK, "TWILIO_ACCOUNT_SID": "AC" + "1" * 32}) is None
    assert must_enforce({**LOOPBACK, "PUBLIC_BASE_URL": "http://127.0.0.1.evil.example"})
    assert must_enforce({**LOOPBACK, "TWILIO_BASE_URL": "http://localhost@evil.example"})


def test_the_tests_own_processes_read_no_env_file() -> None:
    assert environment()["PYTHON_DOTENV_DISABLED"] == "1"
