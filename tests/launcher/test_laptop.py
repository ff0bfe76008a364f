"""`python -m local`: what it starts, what it shows, and that nothing is left when it stops."""

import asyncio
import json
import os
import shutil
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from azure.core.exceptions import ClientAuthenticationError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient
from dotenv import dotenv_values

from local.launcher.orphans import adopted
from tests.azurite import Azurite
from tests.host.process import ROOT, environment, write_app
from tests.laptop import Laptop, LaptopPorts, running, started
from tests.processes import (
    LOOPBACK,
    command_line,
    descendants,
    environment_of,
    is_alive,
    kill,
    listening,
    needs_proc,
)
from tests.waiting import until

HOST_JSON = json.loads((ROOT / "host.json").read_text())
APP = """
from urllib.parse import urlsplit

from twilio.request_validator import RequestValidator

def signed(req: func.HttpRequest) -> bool:
    url = os.environ["PUBLIC_BASE_URL"] + req.url.removeprefix("{0.scheme}://{0.netloc}".format(urlsplit(req.url)))
    signature = req.headers.get("X-Twilio-Signature", "")
    return RequestValidator(os.environ["TWILIO_AUTH_TOKEN"]).validate(url, req.form, signature)

def answer(req: func.HttpRequest, twiml: str) -> func.HttpResponse:
    if not signed(req):
        return func.HttpResponse(status_code=403)
    return func.HttpResponse("<Response>" + twiml + "</Response>", mimetype="text/xml")

@app.route("health", auth_level=ANONYMOUS)
def health(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("ok")

@app.route("voice", auth_level=ANONYMOUS)
def voice(req: func.HttpRequest) -> func.HttpResponse:
    return answer(req, f"<Say>{req.form['CallStatus']} {req.form.get('Digits', '')}</Say>")

@app.route("sms", auth_level=ANONYMOUS)
def sms(req: func.HttpRequest) -> func.HttpResponse:
    return answer(req, f"<Message>You said {req.form['Body']}</Message>")

@app.route("messages", methods=["POST"])
def messages(req: func.HttpRequest) -> func.HttpResponse:
    logging.info("scheduled for %s", req.get_json()["send_at"])
    return func.HttpResponse(status_code=202)

@app.route("slow", auth_level=ANONYMOUS)
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    logging.info("slow has begun")
    await asyncio.sleep(1000)

@app.queue_trigger(arg_name="message", queue_name="outbound-calls", connection="AzureWebJobsStorage")
async def place(message: func.QueueMessage) -> None:
    logging.info("say %s", message.get_json()["say"])

@app.timer_trigger(arg_name="timer", schedule="%SMS_SCHEDULE%")
async def tick(timer: func.TimerRequest) -> None: ...
"""


@pytest.fixture(scope="module")
def app_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_app(tmp_path_factory.mktemp("laptop") / "app", APP, HOST_JSON)


@pytest_asyncio.fixture(scope="module")
async def laptop(app_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Laptop]:
    async with running(app_dir, tmp_path_factory.mktemp("laptop") / "data") as one:
        yield one


async def test_the_panel_says_what_runs_where(laptop: Laptop) -> None:
    where = laptop.where
    for address in (
        f"http://localhost:{where.port}",
        f"http://127.0.0.1:{where.twilio_port}",
        f"http://127.0.0.1:{where.phone_port}",
        f"127.0.0.1:{where.storage_port}-{where.storage_port + 2}",
        "+12025550100",
    ):
        assert address in laptop.output
    assert "function key" not in laptop.output.lower()


async def test_each_command_of_the_panel_works_as_it_is_printed(laptop: Laptop) -> None:
    lines = laptop.output.splitlines()
    commands = [line.strip() for before, line in pairwise(lines) if before.startswith("  # ")]
    assert len(commands) == 3
    for command in commands:
        process = await asyncio.create_subprocess_shell(
            command, cwd=ROOT, env=with_this_python(), stdout=asyncio.subprocess.PIPE
        )
        with adopted(process.pid):
            output, _ = await process.communicate()
        assert process.returncode == 0
        if "inbound" in command:
            assert "You said HELP" in output.decode()
        if "schedule" in command:
            assert output.decode().startswith('POST /api/messages {"to": "+12025550101", "body": "Your table')
            assert "202" in output.decode()
    await laptop.printed(r"host .* messages +scheduled for 20\d\d-\d\d-\d\dT")
    await laptop.printed(r"host .* place +say Hello from the queue")


def with_this_python() -> dict[str, str]:
    """PATH with a `python` that is the Python of the tests."""
    folder = str(Path(sys.executable).parent)
    return {**environment(), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


async def test_an_inbound_call_reaches_the_app_through_the_emulator(laptop: Laptop) -> None:
    url = f"http://127.0.0.1:{laptop.where.twilio_port}/emulator/inbound/call"
    call = {"from": "+12025550101", "to": "+12025550100"}
    async with aiohttp.ClientSession() as session, session.post(url, json=call) as response:
        answer = await response.json()
    assert "<Say>ringing </Say>" in answer["twiml"]


async def test_twiml_signs_a_request_as_twilio_would(laptop: Laptop) -> None:
    code, output = await laptop.command("twiml", "/api/voice?x=a%20b", "Digits=1")
    assert (code, output) == (0, "<Response>\n  <Say>ringing 1</Say>\n</Response>\n")
    code, output = await laptop.command("twiml", "/api/voice?Options[1]=a b&x=é", "Digits=2")
    assert (code, output) == (0, "<Response>\n  <Say>ringing 2</Say>\n</Response>\n")
    whole = f"http://localhost:{laptop.where.port}/api/sms"
    code, output = await laptop.command("twiml", whole, "Body=a=b")
    assert (code, output) == (0, "<Response>\n  <Message>You said a=b</Message>\n</Response>\n")


async def test_twiml_says_what_came_instead(laptop: Laptop) -> None:
    assert await laptop.command("twiml", "/api/none") == (1, "HTTP 404\n")
    assert await laptop.command("twiml", "http://[/x") == (
        1,
        "Error: http://[/x is not a URL: Invalid IPv6 URL\n",
    )
    code, output = await laptop.command("twiml", "/api/voice", "Digits")
    assert code == 2
    assert "'Digits' must be FIELD=VALUE" in output


async def test_running_settings_are_the_owner_s_alone_and_complete(laptop: Laptop) -> None:
    path = laptop.data / "running.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    values = dotenv_values(path)
    assert values["SWITCHBOARD_URL"] == values["PUBLIC_BASE_URL"] == f"http://localhost:{laptop.where.port}"
    assert values["TWILIO_ACCOUNT_SID"] == "AC" + "0" * 32
    assert values["TWILIO_AUTH_TOKEN"] == "twilio_test_auth_token"
    assert values["TWILIO_FROM_NUMBER"] == "+12025550100"
    assert values["TWILIO_BASE_URL"] == f"http://127.0.0.1:{laptop.where.twilio_port}"
    assert values["AzureWebJobsStorage"] == laptop.where.storage.connection_string()
    assert values["SMS_SCHEDULE"] == "*/15 * * * * *"


@needs_proc
async def test_the_settings_are_in_the_environment_of_the_host_alone(laptop: Laptop) -> None:
    for pid in descendants(laptop.process.pid):
        command, values = command_line(pid), environment_of(pid)
        assert ("AzureWebJobsStorage" in values) is ("local.host" in command), command
        if "azurite" in command:
            assert not [name for name in values if name.startswith("TWILIO_")]


@needs_proc
async def test_all_of_it_listens_on_127_0_0_1_alone(laptop: Laptop) -> None:
    found = listening(descendants(laptop.process.pid))
    assert found == {(LOOPBACK, port) for port in laptop.where.all}


@needs_proc
async def test_ctrl_c_stops_everything_and_data_is_kept(app_dir: Path, tmp_path: Path) -> None:
    where = LaptopPorts.free()
    environ = {
        "SWITCHBOARD_PORT": str(where.port),
        "SWITCHBOARD_STORAGE_PORT": str(where.storage_port),
        "SWITCHBOARD_TWILIO_PORT": str(where.twilio_port),
        "SWITCHBOARD_PHONE_PORT": str(where.phone_port),
    }
    async with running(app_dir, tmp_path, environ, options=[], where=where) as laptop:
        with TableServiceClient.from_connection_string(where.storage.connection_string()) as service:
            service.create_table("kept")
        processes = descendants(laptop.process.pid)
        assert len(processes) >= 7
        assert await laptop.stop(signal.SIGINT) == 0
        assert laptop.nothing_listens()
        assert not [pid for pid in processes if is_alive(pid)]
        assert not (tmp_path / "running.env").exists()
    async with running(app_dir, tmp_path, where=where) as laptop:
        with TableServiceClient.from_connection_string(where.storage.connection_string()) as service:
            assert [table.name for table in service.list_tables()] == ["kept"]
        assert await laptop.stop(signal.SIGTERM) == 0
        assert laptop.nothing_listens()


@needs_proc
async def test_a_second_ctrl_c_does_not_wait(app_dir: Path, tmp_path: Path) -> None:
    async with running(app_dir, tmp_path) as laptop, aiohttp.ClientSession() as session:
        processes = descendants(laptop.process.pid)
        request = asyncio.create_task(session.get(f"http://localhost:{laptop.where.port}/api/slow"))
        await laptop.printed("slow has begun")
        laptop.process.send_signal(signal.SIGINT)
        await laptop.printed("stopping")
        assert await laptop.stop(signal.SIGINT) == 0
        assert not [pid for pid in processes if is_alive(pid)]
        with pytest.raises(aiohttp.ClientError):
            await request


@needs_proc
async def test_nothing_outlives_a_supervisor_that_is_killed(app_dir: Path, tmp_path: Path) -> None:
    async with running(app_dir, tmp_path) as laptop:
        processes = descendants(laptop.process.pid)
        laptop.process.kill()
        await until(lambda: not [pid for pid in processes if is_alive(pid)])
        assert laptop.nothing_listens()


async def test_a_part_that_fails_to_start_is_named_and_the_others_stop(tmp_path: Path) -> None:
    app_dir = write_app(tmp_path / "app", "import no_such_module", HOST_JSON)
    async with started(app_dir, tmp_path / "data") as laptop:
        assert await laptop.ended() == 1
        assert "host ended with code 1; its last lines:" in laptop.output
        assert "ModuleNotFoundError: No module named 'no_such_module'" in laptop.output
        assert "Switchboard is running" not in laptop.output
        assert laptop.nothing_listens()


@needs_proc
async def test_a_part_that_dies_later_stops_the_others(app_dir: Path, tmp_path: Path) -> None:
    async with running(app_dir, tmp_path) as laptop:
        processes = descendants(laptop.process.pid)
        kill(next(pid for pid in processes if command_line(pid).startswith("node ")))
        assert await laptop.ended() == 1
        assert "storage ended with code 137" in laptop.output
        assert laptop.nothing_listens()
        assert not [pid for pid in processes if is_alive(pid)]


@pytest.mark.parametrize(
    ("option", "index"), [("--port", 0), ("--twilio-port", 1), ("--phone-port", 2), ("--storage-port", 4)]
)
async def test_a_taken_port_is_named_with_the_option_that_moves_it(
    app_dir: Path, tmp_path: Path, option: str, index: int
) -> None:
    where = LaptopPorts.free()
    port = where.all[index]
    server = await asyncio.start_server(lambda _, __: None, "127.0.0.1", port)
    async with server, started(app_dir, tmp_path, where=where) as laptop:
        assert await laptop.ended() == 1
        assert f"Error: port {port} is already taken; choose another with {option}" in laptop.output


async def test_through_a_tunnel_keys_are_enforced_and_printed(app_dir: Path, tmp_path: Path) -> None:
    environ = {"PUBLIC_BASE_URL": "https://tunnel.example.com"}
    async with running(app_dir, tmp_path, environ) as laptop:
        keys = json.loads((tmp_path / "host" / "keys.json").read_text())
        assert "Function keys are on, because PUBLIC_BASE_URL is https://tunnel.example.com" in laptop.output
        assert keys["default"] in laptop.output
        assert dotenv_values(tmp_path / "running.env")["SWITCHBOARD_KEY"] == keys["default"]
        url = f"http://localhost:{laptop.where.port}/api/messages"
        body = {"send_at": "2026-01-01T00:00:00Z"}
        async with aiohttp.ClientSession() as session:
            async with session.post(url, json=body) as response:
                assert response.status == 401
            async with session.post(url, json=body, headers={"x-functions-key": keys["default"]}) as response:
                assert response.status == 202
        # Azurite's well-known key does not work either.
        published = laptop.where.storage.connection_string()
        with (
            QueueClient.from_connection_string(published, "outbound-calls", retry_total=0) as queue,
            pytest.raises(ClientAuthenticationError),
        ):
            queue.send_message("{}")
        # It is signed for the public name, and sent to the local port.
        code, output = await laptop.command("twiml", "/api/voice")
        assert (code, "ringing" in output) == (0, True)


@asynccontextmanager
async def with_core_tools(app_dir: Path, folder: Path, *options: str) -> AsyncIterator[Laptop]:
    """A laptop edition that finds a `func` on PATH, which takes the arguments of Core Tools."""
    tools = folder / "tools"
    tools.mkdir()
    (tools / "func").write_text(
        f'#!/bin/sh\ncd {ROOT}\nTMPDIR={tools} exec python -m tests.host.core_tools {app_dir} "$@"\n'
    )
    (tools / "func").chmod(0o755)
    path = f"{tools}{os.pathsep}{with_this_python()['PATH']}"
    where = LaptopPorts.free()
    asked = [*where.options, "--func", *options]
    async with running(app_dir, folder / "data", {"PATH": path}, asked, where) as laptop:
        yield laptop


async def test_core_tools_are_the_host_if_asked_for(app_dir: Path, tmp_path: Path) -> None:
    async with with_core_tools(app_dir, tmp_path) as laptop:
        await laptop.printed(f"func start --port {laptop.where.port} in {app_dir}")
        assert "Core Tools (func start)" in laptop.output
        assert "x-functions-key" not in laptop.output


async def test_the_keys_of_core_tools_are_printed_and_open_the_app(tmp_path: Path) -> None:
    async with with_core_tools(ROOT, tmp_path, "--auth") as laptop:
        await laptop.printed(f"func start --port {laptop.where.port} --enableAuth in {ROOT}")
        key = (await laptop.printed(r"x-functions-key: (\S+)"))[1]
        master = (await laptop.printed(r"master key: +(\S+)"))[1]
        url = f"http://localhost:{laptop.where.port}"
        async with aiohttp.ClientSession() as session:
            for path, headers, expected in (
                ("/api/messages", {}, 401),
                ("/api/messages", {"x-functions-key": key}, 200),
                ("/admin/host/status", {"x-functions-key": key}, 403),
                ("/admin/host/status", {"x-functions-key": master}, 200),
            ):
                async with session.get(url + path, headers=headers) as response:
                    assert response.status == expected
        assert (await laptop.command("schedule", "+12025550101", "Hi"))[0] == 0
        assert key in (await laptop.command("keys"))[1]
        known = dotenv_values(laptop.data / "running.env")
        listed = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ops", "messages", "list", "--json"),
            cwd=ROOT,
            env=environment({name: value or "" for name, value in known.items()}),
            stdout=asyncio.subprocess.PIPE,
        )
        with adopted(listed.pid):
            output, _ = await listed.communicate()
        assert (listed.returncode, b"+12025550101" in output) == (0, True)


async def test_the_keys_of_a_func_start_by_hand_are_found_in_its_storage(
    azurite: Azurite, tmp_path: Path
) -> None:
    account = azurite.fresh_account()

    async def keys() -> tuple[int, str]:
        async with started(ROOT, tmp_path, options=("keys", "--storage", account)) as laptop:
            return await laptop.ended(), laptop.output

    code, output = await keys()
    assert (code, "the first request that carries one" in output) == (1, True)
    with BlobServiceClient.from_connection_string(account) as service:
        container = service.create_container("azure-webjobs-secrets")
        document = {
            "masterKey": {"name": "master", "value": "m-key", "encrypted": False},
            "functionKeys": [{"name": "default", "value": "f-key", "encrypted": False}],
        }
        container.upload_blob("laptop-123456/host.json", json.dumps(document))
        container.upload_blob("laptop-123456/voice_incoming.json", "{}")
    code, output = await keys()
    assert code == 0
    assert [line.split() for line in output.splitlines()] == [
        ["laptop-123456"],
        ["x-functions-key:", "f-key"],
        ["master", "key:", "m-key"],
    ]


async def test_core_tools_that_are_missing_are_asked_for(app_dir: Path, tmp_path: Path) -> None:
    node = tmp_path / "bin"
    node.mkdir()
    (node / "node").symlink_to(str(shutil.which("node")))
    where = LaptopPorts.free()
    async with started(app_dir, tmp_path, {"PATH": str(node)}, [*where.options, "--func"], where) as laptop:
        assert await laptop.ended() == 1
        assert "--func needs Azure Functions Core Tools (`func`) on PATH" in laptop.output


async def test_commands_say_when_nothing_is_running(tmp_path: Path) -> None:
    for arguments in (("twiml", "/api/voice"), ("queue-call", "+12025550101", "--say", "Hi")):
        async with started(ROOT, tmp_path, options=arguments) as laptop:
            assert await laptop.ended() == 1
            assert f"the laptop edition is not running (no {tmp_path}/running.env)" in laptop.output
