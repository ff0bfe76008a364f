"""What an HTTP function is handed, and what its caller gets back."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.storage.queue import QueueClient
from yarl import URL

from tests.azurite import Azurite, make_queues
from tests.host.process import QUICK_QUEUES, HostProcess, serving, write_app
from tests.waiting import until

SLOW = """
@app.route("slow", auth_level=ANONYMOUS)
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    logging.info("slow has begun")
    await asyncio.sleep(float(req.params["seconds"]))
    logging.info("slow has ended")
    return func.HttpResponse("done")
"""
APP = """
@app.route("echo/{name?}", auth_level=ANONYMOUS)
def echo(req: func.HttpRequest) -> func.HttpResponse:
    seen = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route_params": dict(req.route_params),
        "body": req.get_body().decode("latin-1"),
        "form": {key: req.form.getlist(key) for key in req.form},
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")

@app.route("held", auth_level=ANONYMOUS)
async def held(req: func.HttpRequest) -> func.HttpResponse:
    while not os.path.exists("let go"):
        await asyncio.sleep(0.02)
    return func.HttpResponse("")

@app.route("cookies", auth_level=ANONYMOUS)
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse(status_code=201, headers={"X-Twice": "first"})
    response.headers.add("X-Twice", "last")
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly; SameSite=Strict")
    response.headers.add("Set-Cookie", "b=2; Max-Age=60; Secure")
    return response

@app.route("text", auth_level=ANONYMOUS)
def text(req: func.HttpRequest) -> str:
    return "plain é"

@app.route("nothing", auth_level=ANONYMOUS)
def nothing(req: func.HttpRequest) -> func.HttpResponse:
    return None

@app.route("raises", auth_level=ANONYMOUS)
async def raises(req: func.HttpRequest) -> func.HttpResponse:
    def deeper() -> None:
        raise ValueError("as it happens")
    deeper()

@app.route("binary", auth_level=ANONYMOUS)
def binary(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(bytes(range(256)), mimetype="application/octet-stream", status_code=206)

@app.route("threads", auth_level=ANONYMOUS)
def threads(req: func.HttpRequest) -> func.HttpResponse:
    logging.info("from a thread")
    return func.HttpResponse(str(os.getcwd()))

@app.route("queue", auth_level=ANONYMOUS, methods=["POST"])
@app.queue_output(arg_name="one", queue_name="made", connection="AzureWebJobsStorage")
@app.queue_output(arg_name="many", queue_name="made", connection="AzureWebJobsStorage")
async def queue(
    req: func.HttpRequest, one: func.Out[str], many: func.Out[typing.List[str]]
) -> func.HttpResponse:
    one.set(req.get_body().decode())
    many.set(["first", "second"])
    if "fail" in req.params:
        raise RuntimeError("after setting outputs")
    return func.HttpResponse(status_code=202)

@app.queue_trigger(arg_name="message", queue_name="asked", connection="AzureWebJobsStorage")
@app.queue_output(arg_name="$return", queue_name="answered", connection="AzureWebJobsStorage")
def answer(message: func.QueueMessage) -> str:
    return json.dumps({
        "id": message.id,
        "body": message.get_body().decode(),
        "dequeue_count": message.dequeue_count,
        "pop_receipt": bool(message.pop_receipt),
        "insertion_time": message.insertion_time.isoformat(),
        "expiration_time": message.expiration_time.isoformat(),
        "time_next_visible": message.time_next_visible.isoformat(),
    })

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
async def tick(timer: func.TimerRequest) -> None:
    logging.info("past due: %s", timer.past_due)
"""


@pytest_asyncio.fixture(scope="module")
async def host(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HostProcess]:
    app_dir = write_app(
        tmp_path_factory.mktemp("http") / "app",
        APP,
        {"version": "2.0", "extensions": {"queues": QUICK_QUEUES, "http": {"maxOutstandingRequests": 3}}},
    )
    account = azurite.fresh_account()
    make_queues(account, "asked")
    environ = {"AzureWebJobsStorage": account, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "100000"}
    async with serving(app_dir, environ) as running:
        yield running


async def echoed(host: HostProcess, path: str, method: str = "GET", **options: Any) -> dict[str, Any]:
    status, text = await host.request(method, path, **options)
    assert status == 200, text
    seen: dict[str, Any] = json.loads(text)
    return seen


async def test_header_names_are_lower_case_and_repeated_ones_are_joined(host: HostProcess) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(host.url.rpartition(":")[2]))
    lines = ["GET /api/echo HTTP/1.1", "Host: localhost", "X-Twilio-Signature: abc=", "X-Many: 1"]
    writer.write("\r\n".join([*lines, "x-many: 2", "Connection: close", "", ""]).encode())
    seen = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
    writer.close()
    await writer.wait_closed()
    assert seen["headers"]["x-twilio-signature"] == "abc="
    assert seen["headers"]["x-many"] == "1,2"
    assert not [name for name in seen["headers"] if name != name.lower()]


@pytest.mark.parametrize("value", [b"\xff", "é".encode()])
async def test_a_header_beyond_ascii_is_400(host: HostProcess, value: bytes) -> None:
    assert await raw_status(host, b"/api/echo", b"X-Odd: " + value) == 400


@pytest.mark.parametrize("path", [b"/api/echo/%00", b"/api/echo/\xc3\xa9", b"/api/echo/a%2500b%00"])
async def test_a_path_with_a_null_or_beyond_ascii_is_400(host: HostProcess, path: bytes) -> None:
    assert await raw_status(host, path) == 400


async def raw_status(host: HostProcess, path: bytes, header: bytes = b"X-Plain: 1") -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(host.url.rpartition(":")[2]))
    lines = [b"GET " + path + b" HTTP/1.1", b"Host: localhost", header, b"Connection: close", b"", b""]
    writer.write(b"\r\n".join(lines))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1])


@pytest.mark.parametrize(
    ("sent", "name", "url"),
    [
        ("/api/echo/a%20b%2Fc", "a b%2Fc", "/api/echo/a%20b%2Fc"),
        ("/api/x/../echo/up", "up", "/api/echo/up"),
        ("/api/./x/%2e%2e/echo/up/", "up", "/api/echo/up/"),
        ("/%61pi/echo/%7e%C3%A9", "~é", "/api/echo/~%C3%A9"),
        ("/api/echo/a%ff%41", "a%ffA", "/api/echo/a%ffA"),
        ("/api/echo/(a)+b;c=d", "(a)+b;c=d", "/api/echo/(a)+b;c=d"),
    ],
)
async def test_a_path_is_decoded_and_resolved_before_it_is_routed(
    host: HostProcess, sent: str, name: str, url: str
) -> None:
    seen = await echoed_raw(host, sent)
    assert seen["url"] == host.url + url
    assert seen["route_params"] == {"name": name}


async def test_the_url_keeps_the_query_as_it_was_sent(host: HostProcess) -> None:
    path = "/api/echo/a?z=1&Body=It's+amazing%21&z=&y=%2B1&x=%ff/../"
    assert (await echoed_raw(host, path))["url"] == host.url + path


async def echoed_raw(host: HostProcess, path: str) -> dict[str, Any]:
    async with host.session.get(URL(host.url + path, encoded=True)) as response:
        seen: dict[str, Any] = await response.json()
        return seen


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("a=1&a=2&empty=&Message%5B0%5D=hi%20there", {"a": "1,2", "Message[0]": "hi there"}),
        ("A=1&a=2", {"A": "1,2"}),
        ("a=1&a=&a=3", {"a": "1,3"}),
        ("a=%ff&b=%C3%A9%c3(&c=%41%E2%82", {"a": "%ff", "b": "é%c3(", "c": "A%E2%82"}),
        ("a=b+c%2B&&d&=e", {"a": "b c+", "": "e"}),
        ("a=%zz%4", {"a": "%zz%4"}),
    ],
)
async def test_query_values_are_joined_by_name_and_empty_ones_are_missing(
    host: HostProcess, query: str, params: dict[str, str]
) -> None:
    assert (await echoed_raw(host, f"/api/echo?{query}"))["params"] == params


async def test_a_compressed_body_arrives_as_it_is(host: HostProcess) -> None:
    body = gzip.compress(b"hello")
    headers = {"Content-Encoding": "gzip"}
    seen = await echoed(host, "/api/echo", "POST", data=body, headers=headers)
    assert (seen["body"].encode("latin-1"), seen["headers"]["content-encoding"]) == (body, "gzip")


async def test_the_root_is_a_page_whatever_the_method(host: HostProcess) -> None:
    for method in ("GET", "POST"):
        async with host.session.request(method, host.url + "/") as response:
            assert (response.status, response.content_type) == (200, "text/html")
            assert "up and running" in await response.text()


async def test_the_page_at_the_root_can_be_switched_off(tmp_path: Path) -> None:
    app_dir = write_app(tmp_path / "app", APP)
    environ = {"AzureWebJobsDisableHomepage": "True", "AzureWebJobsStorage": ""}
    async with serving(app_dir, environ) as host:
        assert await host.get("/") == (204, "")


async def test_a_form_arrives_with_blanks_and_repeats(host: HostProcess) -> None:
    seen = await echoed(
        host,
        "/api/echo",
        "POST",
        data="To=%2B12025550100&Blank=&Again=1&Again=2",
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"},
    )
    assert seen["form"] == {"To": ["+12025550100"], "Blank": [""], "Again": ["1", "2"]}


async def test_a_body_without_content_length_does_not_arrive(host: HostProcess) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"chunked"

    assert (await echoed(host, "/api/echo", "POST", data=chunks()))["body"] == ""
    assert (await echoed(host, "/api/echo", "POST", data=b"\x00\xff"))["body"] == "\x00\xff"
    assert (await echoed(host, "/api/echo", "POST"))["body"] == ""


async def test_the_url_follows_forwarding_headers_as_in_azure(host: HostProcess) -> None:
    headers = {"X-Forwarded-Proto": "https, http", "DISGUISED-HOST": "app.azurewebsites.net"}
    seen = await echoed(host, "/api/echo", headers=headers)
    assert seen["url"] == "https://app.azurewebsites.net/api/echo"
    assert seen["headers"]["host"] == "app.azurewebsites.net"


async def test_cookies_arrive_each_and_other_headers_collapse_to_the_last(host: HostProcess) -> None:
    async with host.session.get(host.url + "/api/cookies") as response:
        assert response.status == 201
        assert response.headers.getall("X-Twice") == ["last"]
        cookies = response.headers.getall("Set-Cookie")
    assert cookies == ["a=1; HttpOnly; Path=/; SameSite=Strict", "b=2; Max-Age=60; Secure"]


async def test_texts_and_bytes_come_back_as_they_are(host: HostProcess) -> None:
    async with host.session.get(host.url + "/api/text") as response:
        assert (response.content_type, await response.text()) == ("text/plain", "plain é")
    async with host.session.get(host.url + "/api/binary") as response:
        assert response.status == 206
        assert await response.read() == bytes(range(256))


@pytest.mark.parametrize("path", ["/api/raises", "/api/nothing"])
async def test_a_function_that_raises_or_returns_nothing_is_500_without_a_word(
    host: HostProcess, path: str
) -> None:
    assert await host.get(path) == (500, "")


async def test_a_failure_is_logged_with_the_app_s_own_frames_alone(host: HostProcess) -> None:
    await host.get("/api/raises?Body=secret")
    await host.logged("raises +error: GET /api/raises failed, .*: ValueError: as it happens")
    await host.logged(r'File ".*function_app\.py", line \d+, in deeper')
    assert "azure_functions_runtime" not in host.log
    assert "secret" not in host.log


async def test_a_sync_function_runs_in_the_app_s_folder_and_is_named_in_the_log(host: HostProcess) -> None:
    status, folder = await host.get("/api/threads")
    assert (status, Path(folder).name) == (200, "app")
    await host.logged("threads +from a thread")


async def test_what_no_route_matches_is_404(host: HostProcess) -> None:
    assert await host.get("/api/none") == (404, "")
    assert await host.get("/echo") == (404, "")
    assert await host.request("GET", "/api/queue") == (404, "")


async def test_a_body_over_the_limit_is_413(host: HostProcess) -> None:
    assert (await host.request("POST", "/api/echo", data=b"x" * 100_001))[0] == 413
    assert (await host.request("POST", "/api/echo", data=b"x" * 100_000))[0] == 200


async def test_a_url_over_the_limit_is_414(host: HostProcess) -> None:
    assert (await host.get("/api/echo?a=" + "x" * 9_000))[0] == 414


async def test_no_answer_within_the_limit_is_504_and_the_function_goes_on(tmp_path: Path) -> None:
    async with serving(
        write_app(tmp_path / "app", SLOW), options=["--no-reload", "--response-limit", "0.5"]
    ) as host:
        assert await host.get("/api/slow?seconds=1.5") == (504, "")
        await host.logged("slow has ended")


async def test_requests_beyond_the_limit_of_host_json_are_429(host: HostProcess) -> None:
    asked = [asyncio.create_task(host.get("/api/held")) for _ in range(6)]
    refused: set[asyncio.Task[tuple[int, str]]] = set()
    while len(refused) < 3:
        refused, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.02)
    assert {each.result()[0] for each in refused} == {429}
    (host.app_dir / "let go").touch()
    answers = await asyncio.gather(*asked)
    assert sorted(status for status, _ in answers) == [200, 200, 200, 429, 429, 429]


async def test_queue_outputs_are_written_after_success_alone(host: HostProcess) -> None:
    assert (await host.request("POST", "/api/queue?fail=1", data="never"))[0] == 500
    assert (await host.request("POST", "/api/queue", data='{"to": "me"}'))[0] == 202
    with QueueClient.from_connection_string(host.environ["AzureWebJobsStorage"], "made") as queue:
        assert sorted(message.content for message in queue.receive_messages()) == [
            "first",
            "second",
            '{\n  "to": "me"\n}',
        ]


async def test_a_text_output_that_the_host_cannot_read_fails_the_request(host: HostProcess) -> None:
    assert (await host.request("POST", "/api/queue", data='{"a":"b"}x}'))[0] == 500
    await host.logged("queue +error: POST /api/queue failed, .* its output was not written: Additional text")


async def test_a_queue_message_is_whole_and_a_return_value_goes_to_its_queue(host: HostProcess) -> None:
    with (
        QueueClient.from_connection_string(host.environ["AzureWebJobsStorage"], "asked") as asked,
        QueueClient.from_connection_string(host.environ["AzureWebJobsStorage"], "answered") as answered,
    ):
        sent = asked.send_message("how are you?")
        await host.logged(f"message {sent.id}, try 1")
        seen = json.loads(next(iter(answered.receive_messages())).content)
        await until(lambda: not asked.get_queue_properties().approximate_message_count)
    assert seen["id"] == sent.id
    assert (seen["body"], seen["dequeue_count"], seen["pop_receipt"]) == ("how are you?", 1, True)
    assert sent.inserted_on
    assert seen["insertion_time"] == sent.inserted_on.isoformat()
    assert seen["expiration_time"] > seen["time_next_visible"] > seen["insertion_time"]


async def test_admin_fires_timers_and_queue_functions_now(host: HostProcess) -> None:
    await host.fire("TICK")
    await host.logged("tick +past due: False")
    await host.fire("answer", "by hand")
    await host.logged("answer +fired by hand")


@pytest.mark.parametrize(
    ("name", "options", "status", "problem"),
    [
        ("none", {"json": {"input": ""}}, 404, "there is no function 'none'; there are answer, binary"),
        ("echo", {"json": {"input": ""}}, 400, "echo is an HTTP function: call its route"),
        ("tick", {"json": {"input": 1}}, 400, '\\"input\\" is a text'),
        ("tick", {"json": []}, 400, "must be an object"),
        ("tick", {"data": "{", "headers": {"Content-Type": "application/json"}}, 400, "must be JSON"),
        ("tick", {"data": "{}"}, 415, "Content-Type must be application/json"),
    ],
)
async def test_admin_says_what_is_wrong(
    host: HostProcess, name: str, options: dict[str, Any], status: int, problem: str
) -> None:
    answer, text = await host.request("POST", f"/admin/functions/{name}", **options)
    assert answer == status
    assert problem in text


async def test_admin_tells_how_the_host_is(host: HostProcess) -> None:
    status, text = await host.get("/admin/host/status")
    document = json.loads(text)
    assert (status, document["state"], document["errors"]) == (200, "Running", [])
    assert "tick" in document["functions"]
    assert await host.get("/admin/other") == (404, "")
