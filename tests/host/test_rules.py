"""What the real host refuses and the worker library does not: each with an app that breaks it."""

import asyncio
import json
from pathlib import Path
from textwrap import dedent

import pytest
import pytest_asyncio

from tests.host.process import serving, started, write_app

ROUTE = """
@app.route("{route}", auth_level=ANONYMOUS)
def {name}(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("{name}")
"""
GOOD = ROUTE.format(route="good", name="good")
BROKEN = {
    "an underscore in a binding name": (
        """
        @app.queue_trigger(arg_name="queued_call", queue_name="calls", connection="AzureWebJobsStorage")
        def take(queued_call: func.QueueMessage) -> None: ...
        """,
        "take: binding name 'queued_call' must be letters and digits starting with a letter",
    ),
    "a function name that starts with a digit": (
        """
        @app.function_name("1st")
        @app.route("first")
        def first(req: func.HttpRequest) -> func.HttpResponse: ...
        """,
        "1st: a function name is a letter, then up to 127 letters, digits, hyphens or underscores",
    ),
    "names that differ in case alone": (
        ROUTE.format(route="a", name="Voice") + ROUTE.format(route="b", name="voice"),
        "voice: function names must differ in more than case, and there is Voice",
    ),
    "a route below admin": (
        ROUTE.format(route="admin/users", name="users"),
        "users: route 'admin/users' must start with neither admin nor runtime",
    ),
    "a route that merely starts with runtime": (
        ROUTE.format(route="Runtimes", name="runtimes"),
        "runtimes: route 'Runtimes' must start with neither admin nor runtime",
    ),
    "a literal beside a parameter": (
        ROUTE.format(route="messages/{id}", name="one") + ROUTE.format(route="messages/new", name="fresh"),
        "one and fresh: routes 'api/messages/{id}' and 'api/messages/new' can match one path",
    ),
    "an optional parameter beside nothing": (
        ROUTE.format(route="calls/{id?}", name="call") + ROUTE.format(route="Calls", name="calls"),
        "call and calls: routes 'api/calls/{id?}' and 'api/Calls' can match one path",
    ),
    "a constraint that is unknown": (
        ROUTE.format(route="calls/{id:sid}", name="call"),
        "call: route 'api/calls/{id:sid}': constraint 'sid' is not one of int, long",
    ),
    "a binding that this host does not have": (
        """
        @app.blob_trigger(arg_name="blob", path="in/{name}", connection="AzureWebJobsStorage")
        def take(blob: func.InputStream) -> None: ...
        """,
        "take: this host has no blobTrigger binding; it has http, httpTrigger, queue",
    ),
    "a schedule of seven fields": (
        """
        @app.timer_trigger(arg_name="timer", schedule="0 0 9 * * * 2027")
        def tick(timer: func.TimerRequest) -> None: ...
        """,
        "tick: schedule '0 0 9 * * * 2027' must have six fields "
        "(second minute hour day month day-of-week), or five without the second; has 7",
    ),
    "a timer that runs on start-up": (
        """
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 * * *", run_on_startup=True)
        def tick(timer: func.TimerRequest) -> None: ...
        """,
        "tick: run_on_startup would run on every scale-out",
    ),
    "a queue name that storage refuses": (
        """
        @app.queue_trigger(arg_name="message", queue_name="outbound_calls", connection="AzureWebJobsStorage")
        def take(message: func.QueueMessage) -> None: ...
        """,
        "take: queue name 'outbound_calls' must be 3 to 63 lower-case letters, digits and single hyphens",
    ),
    "a generic that the worker cannot read": (
        """
        @app.route("x")
        @app.queue_output(arg_name="out", queue_name="calls", connection="AzureWebJobsStorage")
        def take(req: func.HttpRequest, out: func.Out[list[str]]) -> func.HttpResponse: ...
        """,
        "write func.Out[typing.List[str]]",
    ),
    "an import that fails": ("import no_such_module", "No module named 'no_such_module'"),
    "no function at all": ("", "no functions found in"),
}
HOST_JSON = {
    "not JSON": ("{", "host.json is not JSON"),
    "another version": ('{"version": "1.0"}', 'host.json: version must be "2.0"'),
    "a batch that is too large": (
        '{"version": "2.0", "extensions": {"queues": {"batchSize": 33}}}',
        "host.json: extensions.queues.batchSize must be a whole number from 1 to 32, is 33",
    ),
    "an encoding that is unknown": (
        '{"version": "2.0", "extensions": {"queues": {"messageEncoding": "utf8"}}}',
        "host.json: extensions.queues.messageEncoding must be base64 or none, is 'utf8'",
    ),
    "a time span that is a number": (
        '{"version": "2.0", "extensions": {"queues": {"visibilityTimeout": 60}}}',
        "host.json: extensions.queues.visibilityTimeout must be a time span such as 00:01:00, is 60",
    ),
}


@pytest_asyncio.fixture(scope="module")
async def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """The exit code and the log of a host for each broken app; a few run side by side."""
    folder, turn = tmp_path_factory.mktemp("rules"), asyncio.Semaphore(3)

    async def outcome(name: str, app_dir: Path) -> tuple[str, tuple[int, str]]:
        async with turn, started(app_dir) as host:
            return name, (await host.ended(), host.log)

    apps = {
        name: write_app(folder / f"code{number}", dedent(code))
        for number, (name, (code, _)) in enumerate(BROKEN.items())
    }
    for number, (name, (text, _)) in enumerate(HOST_JSON.items()):
        apps[name] = write_app(folder / f"host{number}", GOOD)
        (apps[name] / "host.json").write_text(text)
    return dict(await asyncio.gather(*(outcome(name, app_dir) for name, app_dir in apps.items())))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_app_is_refused_in_one_sentence(refused: dict[str, tuple[int, str]], name: str) -> None:
    code, log = refused[name]
    assert code == 1
    assert BROKEN[name][1] in log
    assert log.count("error:") == 1


@pytest.mark.parametrize("name", HOST_JSON)
def test_a_wrong_host_json_is_refused_by_the_name_of_the_property(
    refused: dict[str, tuple[int, str]], name: str
) -> None:
    code, log = refused[name]
    assert code == 1
    assert HOST_JSON[name][1] in log
    assert "Traceback" not in log


async def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    code = ROUTE.format(route="admin", name="one") + ROUTE.format(route="runtime", name="two")
    async with started(write_app(tmp_path / "app", code)) as host:
        assert await host.ended() == 1
    assert "one: route 'admin'" in host.log
    assert "two: route 'runtime'" in host.log


async def test_a_missing_setting_leaves_out_its_function_alone(tmp_path: Path) -> None:
    code = GOOD + dedent("""
        @app.timer_trigger(arg_name="timer", schedule="%SMS_SCHEDULE%")
        def tick(timer: func.TimerRequest) -> None: ...

        @app.queue_trigger(arg_name="message", queue_name="calls", connection="OtherStorage")
        def take(message: func.QueueMessage) -> None: ...
        """)
    async with serving(write_app(tmp_path / "app", code)) as host:
        assert await host.get("/api/good") == (200, "good")
        status = json.loads((await host.get("/admin/host/status"))[1])
    assert status["functions"] == ["good"]
    assert status["state"] == "Error"
    assert "tick is left out: '%SMS_SCHEDULE%' does not resolve to a value" in host.log
    assert "take is left out: the setting OtherStorage is missing" in host.log


async def test_one_path_may_have_a_function_for_each_method(tmp_path: Path) -> None:
    code = """
        @app.route("messages", methods=["GET"], auth_level=ANONYMOUS)
        def listed(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("listed")

        @app.route("messages", methods=["POST"], auth_level=ANONYMOUS)
        def created(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("created")
        """
    async with serving(write_app(tmp_path / "app", code)) as host:
        assert await host.get("/api/messages") == (200, "listed")
        assert await host.request("POST", "/api/messages") == (200, "created")
        # The real host knows no 405: no route matches, so it is 404 (azure-functions-host issue 10098).
        assert await host.request("DELETE", "/api/messages") == (404, "")
