"""Microsoft's worker library, used in this process: the code that runs in Azure runs here.

The library keeps its registry in module globals, so a process holds one app and one Worker.
"""

import asyncio
import json
import os
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime

from local.host import binding_data, http_request, invocation_context, outputs, protocol
from local.host.errors import InvocationFailed, NotIndexed


@dataclass(frozen=True)
class Binding:
    """One binding, as the app declared it. properties: as in function.json, with `%SETTING%` unresolved."""

    name: str
    type: str
    is_out: bool
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Function:
    """One function of the app."""

    name: str
    id: str
    bindings: tuple[Binding, ...]

    @cached_property
    def trigger(self) -> Binding:
        """Its trigger. Raises NotIndexed if the function has none, or several."""
        found = [each for each in self.bindings if not each.is_out and each.type.endswith("Trigger")]
        if len(found) != 1:
            raise NotIndexed(f"{self.name}: a function has exactly one trigger, this one has {len(found)}")
        return found[0]

    @property
    def outputs(self) -> tuple[Binding, ...]:
        """Its output bindings, without the answer of an HTTP trigger."""
        return tuple(each for each in self.bindings if each.is_out and each.type != "http")


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of an HTTP function. cookies: RpcHttpCookie messages."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: Sequence[Any] = ()

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one invocation.

    answer: of an HTTP function. outputs: queue messages by binding name, `$return` included.
    """

    answer: Answer | None = None
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A queue message as the trigger sees it."""

    body: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    dequeue_count: int = 1
    pop_receipt: str = ""
    inserted_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    expires_at: datetime | None = None
    next_visible_at: datetime | None = None


class Worker:
    """An indexed app that can be invoked. Create one with `await Worker.start(app_dir)`."""

    def __init__(self, functions: tuple[Function, ...]) -> None:
        self.functions = functions
        self._by_name = {each.name: each for each in functions}

    @classmethod
    async def start(cls, app_dir: Path) -> "Worker":
        """Import and index the app in this process. Raises NotIndexed with the worker library's reason."""
        folder = os.path.abspath(app_dir)  # noqa: ASYNC240  (no I/O)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        os.environ.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
        runtime.start_threadpool_executor()
        invocation_context.knows_invocation(runtime.invocation_id_cv)
        protos = protocol.load()
        reply = await runtime.worker_init_request(
            _request(worker_init_request=protos.WorkerInitRequest(function_app_directory=folder))
        )
        if reply.result.status != protos.StatusResult.Success:
            raise NotIndexed(_why(reply.result.exception))
        reply = await runtime.functions_metadata_request(
            _request(functions_metadata_request=protos.FunctionsMetadataRequest())
        )
        found = tuple(
            Function(each.name, each.function_id, tuple(_binding(raw) for raw in each.raw_bindings))
            for each in reply.function_metadata_results
        )
        if not found:
            raise NotIndexed(f"no functions found in {Path(folder) / 'function_app.py'}")
        for each in found:
            await runtime.function_load_request(
                _request(function_load_request=protos.FunctionLoadRequest(function_id=each.id))
            )
        return cls(found)

    async def stop(self) -> None:
        """Wait for the functions in the thread pool."""
        await asyncio.to_thread(runtime.stop_threadpool_executor)

    def function(self, name: str) -> Function:
        """The function of this name. Raises KeyError."""
        return self._by_name[name]

    async def http(
        self,
        name: str,
        method: str = "GET",
        url: str = "http://localhost:7071/",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        route_params: Mapping[str, str] | None = None,
    ) -> Result:
        """Invoke an HTTP function the way the real host hands a request over.

        Header names in lower case, query values joined by commas and left out when empty, a body only where
        there is one (GrpcMessageConversionExtensions.ToRpcHttp in azure-functions-host).
        """
        found = http_request.query(url.partition("?")[2])
        query = {key: http_request.joined(values) for key, values in found.items()}
        protos = protocol.load()
        message = protos.RpcHttp(
            method=method,
            url=url,
            headers={key.lower(): value for key, value in (headers or {}).items()},
            query={key: value for key, value in query.items() if value},
            params=dict(route_params or {}),
        )
        if body:
            message.body.CopyFrom(protos.TypedData(bytes=body))
        return await self.invoke(name, protos.TypedData(http=message))

    async def queue(self, name: str, message: QueuedMessage | str) -> Result:
        """Invoke a queue function with one message."""
        if isinstance(message, str):
            message = QueuedMessage(message)
        expires = message.expires_at or message.inserted_at + timedelta(days=7)
        own: dict[str, binding_data.Value] = {
            "QueueTrigger": message.body,
            "DequeueCount": message.dequeue_count,
            "ExpirationTime": expires,
            "Id": message.id,
            "InsertionTime": message.inserted_at,
            "NextVisibleTime": message.next_visible_at or message.inserted_at,
            "PopReceipt": message.pop_receipt,
        }
        data = protocol.load().TypedData(string=message.body)
        return await self.invoke(name, data, binding_data.metadata(message.body, own))

    async def timer(
        self, name: str, past_due: bool = False, schedule_status: Mapping[str, str] | None = None
    ) -> Result:
        """Invoke a timer function.

        schedule_status: Last, Next and LastUpdated in ISO 8601; None if the timer has no monitor.
        """
        status = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": schedule_status,
            "IsPastDue": past_due,
        }
        return await self.invoke(name, protocol.load().TypedData(json=json.dumps(status)))

    async def invoke(self, name: str, data: Any, metadata: Mapping[str, Any] | None = None) -> Result:
        """Invoke a function with one TypedData. Raises InvocationFailed if the function raises."""
        function = self.function(name)
        protos = protocol.load()
        invocation = protos.InvocationRequest(
            invocation_id=str(uuid.uuid4()),
            function_id=function.id,
            input_data=[protos.ParameterBinding(name=function.trigger.name, data=data)],
            trigger_metadata=dict(metadata or {}),
        )
        invocation_context.names[invocation.invocation_id] = name
        token = invocation_context.running.set(name)
        try:
            reply = await runtime.invocation_request(_request(invocation_request=invocation))
        finally:
            invocation_context.running.reset(token)
            del invocation_context.names[invocation.invocation_id]
        if reply.result.status != protos.StatusResult.Success:
            failure = reply.result.exception
            raise InvocationFailed(name, failure.message, failure.stack_trace)
        return _result(function, reply)


def _request(**message: Any) -> SimpleNamespace:
    """A request in the form that the worker library's handlers read."""
    protos = protocol.load()
    return SimpleNamespace(
        request=protos.StreamingMessage(**message), properties={"host": "127.0.0.1", "protos": protos}
    )


def _why(failure: Any) -> str:
    """Why the app does not load; with a stack trace, unless the reason says where the mistake is."""
    message = f"the app does not load: {failure.message}"
    if "Out[list[" in message:
        return f"{message}; the worker only reads typing's own generics: write func.Out[typing.List[str]]"
    # The library raises a failed import a second time, and adds advice and all of sys.path.
    message, trace = (
        re.sub(r"\. Cannot find module\..*", "", text.rpartition("another exception occurred:\n\n")[2])
        for text in (message, failure.stack_trace)
    )
    is_told = failure.message.startswith("FunctionLoadError")
    return message if is_told else f"{message}\n{trace}".rstrip()


def _binding(raw: str) -> Binding:
    properties = json.loads(raw)
    return Binding(
        name=properties["name"],
        type=properties["type"],
        is_out=properties["direction"].upper() == "OUT",
        properties=properties,
    )


def _result(function: Function, reply: Any) -> Result:
    values = {each.name: each.data for each in reply.output_data}
    answer = None
    if function.trigger.type == "httpTrigger":
        answer = _answer(reply.return_value)
    elif reply.return_value.WhichOneof("data"):
        values["$return"] = reply.return_value
    try:
        return Result(answer, {name: outputs.messages(data) for name, data in values.items()})
    except ValueError as exc:
        raise InvocationFailed(function.name, f"its output was not written: {exc}", "") from exc


def _answer(value: Any) -> Answer:
    if value.WhichOneof("data") == "http":
        http = value.http
        return Answer(int(http.status_code), dict(http.headers), bytes(http.body.bytes), tuple(http.cookies))
    return Answer(200, {"content-type": "text/plain; charset=utf-8"}, value.string.encode())
