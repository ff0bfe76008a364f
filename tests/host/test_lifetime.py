"""How the host starts, reloads and ends."""

import asyncio
import signal
from pathlib import Path

from azure.storage.queue import QueueClient

from local.launcher.ports import free_ports
from tests.azurite import Azurite, make_queues
from tests.host.process import HEADER, serving, started, write_app
from tests.processes import children, is_alive, kill, needs_proc
from tests.waiting import until

ROUTE = """
@app.route("version", auth_level=ANONYMOUS)
def version(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("{version}")
"""
SLOW = """
@app.queue_trigger(arg_name="message", queue_name="slow", connection="AzureWebJobsStorage")
async def take(message: func.QueueMessage) -> None:
    logging.info("begun")
    await asyncio.sleep(float(message.get_body()))
    logging.info("finished")

@app.route("slow", auth_level=ANONYMOUS)
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    logging.info("begun")
    await asyncio.sleep(float(req.params["seconds"]))
    return func.HttpResponse("finished")
"""


async def test_code_is_loaded_anew_when_it_changes(tmp_path: Path) -> None:
    app_dir = write_app(tmp_path / "app", ROUTE.format(version="one"))
    async with serving(app_dir, options=()) as host:
        assert await host.get("/api/version") == (200, "one")
        (app_dir / "function_app.py").write_text(HEADER + ROUTE.format(version="two"))
        await host.logged("function_app.py changed: loading the app anew")
        # The socket stays open all the while: no request is refused.
        while (answer := await host.get("/api/version")) == (200, "one"):
            pass
        assert answer == (200, "two")


async def test_an_app_that_no_longer_loads_says_so_until_it_does(tmp_path: Path) -> None:
    app_dir = write_app(tmp_path / "app", ROUTE.format(version="one"))
    async with serving(app_dir, options=()) as host:
        (app_dir / "function_app.py").write_text("this is no Python\n")
        await host.logged("error: the app does not load: SyntaxError")
        await host.logged("waiting for a change")
        assert await host.get("/api/version") == (503, "The app does not load; the host's log says why.\n")
        (app_dir / "function_app.py").write_text(HEADER + ROUTE.format(version="three"))
        await host.logged("1 functions", times=2)
        assert await host.get("/api/version") == (200, "three")
        assert await host.stop() == 0


async def test_what_is_not_deployed_does_not_reload_the_app(tmp_path: Path) -> None:
    app_dir = write_app(tmp_path / "app", ROUTE.format(version="one"))
    (app_dir / ".funcignore").write_text("tests\n")
    for folder in ("tests", "shared"):
        (app_dir / folder).mkdir()
    async with serving(app_dir, options=()) as host:
        (app_dir / "tests" / "test_it.py").write_text("")
        (app_dir / "shared" / "voice.py").write_text("")
        await host.logged("voice.py changed")
        assert "test_it.py" not in host.log


async def test_the_first_start_of_a_broken_app_ends_the_host(tmp_path: Path) -> None:
    app_dir = write_app(tmp_path / "app", "this is no Python")
    async with started(app_dir, options=()) as host:
        assert await host.ended() == 1
    assert "SyntaxError" in host.log


@needs_proc
async def test_a_worker_that_is_killed_is_started_again(tmp_path: Path) -> None:
    app_dir = write_app(tmp_path / "app", ROUTE.format(version="one"))
    async with serving(app_dir, options=()) as host:
        kill(children(host.process.pid)[0])
        await host.logged("the host ended with code -9; starting it again")
        assert await host.get("/api/version") == (200, "one")


@needs_proc
async def test_the_worker_does_not_outlive_the_process_that_watches_it(tmp_path: Path) -> None:
    app_dir = write_app(tmp_path / "app", ROUTE.format(version="one"))
    async with serving(app_dir, options=()) as host:
        (worker,) = children(host.process.pid)
        host.process.kill()
        await until(lambda: not is_alive(worker))


async def test_a_port_that_is_taken_is_named_with_its_option(tmp_path: Path) -> None:
    app_dir = write_app(tmp_path / "app", ROUTE.format(version="one"))
    (port,) = free_ports(1)
    server = await asyncio.start_server(lambda _, __: None, "127.0.0.1", port)
    async with server, started(app_dir, options=("--port", str(port))) as host:
        assert await host.ended() == 1
    assert (
        f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another with --port" in host.log
    )


async def test_running_functions_finish_before_the_host_ends(azurite: Azurite, tmp_path: Path) -> None:
    account = azurite.fresh_account()
    make_queues(account, "slow")
    app_dir = write_app(tmp_path / "app", SLOW)
    async with serving(app_dir, {"AzureWebJobsStorage": account}) as host:
        with QueueClient.from_connection_string(account, "slow") as queue:
            queue.send_message("1")
            request = asyncio.create_task(host.get("/api/slow?seconds=1"))
            await host.logged("begun", times=2)
            assert await host.stop() == 0
            assert await request == (200, "finished")
            assert "take                   finished" in host.log
            assert queue.get_queue_properties().approximate_message_count == 0


async def test_what_does_not_finish_in_time_is_cut_off(azurite: Azurite, tmp_path: Path) -> None:
    account = azurite.fresh_account()
    make_queues(account, "slow")
    app_dir = write_app(tmp_path / "app", SLOW)
    options = ("--no-reload", "--grace", "0.5")
    async with serving(app_dir, {"AzureWebJobsStorage": account}, options) as host:
        with QueueClient.from_connection_string(account, "slow") as queue:
            queue.send_message("1000")
            await host.logged("begun")
            assert await host.stop(signal.SIGINT) == 0
            assert "1 functions did not finish within 0.5 s and were cut off" in host.log
            # It comes again when its lease runs out, as after a crash in Azure.
            assert queue.get_queue_properties().approximate_message_count == 1


async def test_a_timer_that_was_missed_runs_once_when_the_host_is_back(tmp_path: Path) -> None:
    code = """
        @app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
        async def tick(timer: func.TimerRequest) -> None:
            logging.info("past due: %s, last %s", timer.past_due, timer.schedule_status["Last"])
        """
    app_dir = write_app(tmp_path / "app", code)
    async with serving(app_dir) as host:
        assert "past due" not in host.log
    status = app_dir / ".data" / "timers" / "tick.json"
    status.write_text(
        '{"Last": "2026-01-01T05:00:00+00:00", "Next": "2026-01-01T06:00:00+00:00",'
        ' "LastUpdated": "2026-01-01T05:00:00+00:00"}'
    )
    async with serving(app_dir) as host:
        await host.logged("past due: True, last 2026-01-01T05:00:00")
        await host.logged("timer, past due, ")
    async with serving(app_dir) as host:
        assert "past due" not in host.log
