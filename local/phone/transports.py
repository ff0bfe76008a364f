"""Ways to make the phone's requests: over HTTP, or in process through the Functions worker library."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from local.host import http_request
from local.host.errors import InvocationFailed
from local.host.triggers import HttpTrigger, describe
from local.host.worker import Worker
from local.phone.testing import Send
from local.twilio.carrier.exchange.web_requests import Answer, NoResponse, WebRequest, WebResponse

TIMEOUT = 15.0  # seconds that Twilio waits for an answer
MOST_REDIRECTS = 10  # "Twilio is a well-behaved HTTP client"

type Run = Callable[[Coroutine[Any, Any, Answer]], Answer]


async def send(session: aiohttp.ClientSession, request: WebRequest, headers: Mapping[str, str]) -> Answer:
    """Make one request as Twilio does: follow redirects, and wait 15 seconds for the answer."""
    data = request.body if request.method == "POST" else None
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    url = URL(request.url, encoded=True)
    try:
        async with session.request(
            request.method, url, data=data, headers=headers, timeout=timeout, max_redirects=MOST_REDIRECTS
        ) as response:
            body = await response.read()
            kind = response.headers.get("Content-Type", "")
            moved = str(response.url) if response.history else None
            return WebResponse(response.status, kind, body, moved)
    except aiohttp.TooManyRedirects:
        return NoResponse(11215, f"more than {MOST_REDIRECTS} redirects")
    except TimeoutError:
        return NoResponse(11200, f"no answer within {TIMEOUT:g} s")
    except aiohttp.ClientConnectorDNSError:
        return NoResponse(11210, "no such host")
    except (aiohttp.ClientConnectionError, OSError) as exc:
        return NoResponse(11205, f"connection failed ({type(exc).__name__})")
    except (aiohttp.ClientError, ValueError) as exc:
        return NoResponse(11200, type(exc).__name__)


@contextmanager
def over_http() -> Iterator[Send]:
    """The `send` of a Phone whose application is reached over HTTP. For tests that are not coroutines."""
    with asyncio.Runner() as runner:

        async def opened() -> aiohttp.ClientSession:
            return aiohttp.ClientSession()

        session = runner.run(opened())
        try:
            yield lambda request, headers: runner.run(send(session, request, headers))
        finally:
            runner.run(session.close())


@dataclass(slots=True)
class InProcess:
    """The `send` of a Phone whose application is a function app that a Worker has indexed.

    run: waits for a coroutine on the worker's loop (`loop.run_until_complete`). outputs: what the functions
    put on queues, as (binding, text), in order.
    """

    worker: Worker
    run: Run
    outputs: list[tuple[str, str]] = field(default_factory=list)
    route_prefix: str = "api"
    _triggers: tuple[HttpTrigger, ...] = ()

    def __post_init__(self) -> None:
        self._triggers = describe(self.worker.functions, self.route_prefix, os.environ).http

    def __call__(self, request: WebRequest, headers: Mapping[str, str]) -> Answer:
        return self.run(self.invoke(request.method, request.url, headers, request.body))

    async def invoke(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> WebResponse:
        """The answer of the function that this URL leads to. Call it on the worker's loop."""
        try:
            path = http_request.path(urlsplit(url).path)
        except http_request.BadRequest:
            return WebResponse(400, "", b"")
        for trigger in self._triggers:
            found = trigger.template.match(path) if trigger.takes(method) else None
            if found is not None:
                break
        else:
            return WebResponse(404, "", b"")
        try:
            result = await self.worker.http(trigger.function.name, method, url, headers, body, found)
        except InvocationFailed:
            return WebResponse(500, "", b"")
        self.outputs += [(name, text) for name, texts in result.outputs.items() for text in texts]
        answer = result.answer
        if answer is None:
            return WebResponse(204, "", b"")
        kinds = {name.lower(): value for name, value in answer.headers.items()}
        return WebResponse(answer.status, kinds.get("content-type", ""), answer.body)
