"""The part of the real host's /admin that a laptop needs: run a function now, and show the host's status."""

import json
import time
from http import HTTPStatus
from importlib.metadata import version

from aiohttp import web

from local.host.invoker import Invoker
from local.host.triggers import App
from local.host.worker import Function

_FUNCTIONS = "/admin/functions"
_STATUS = "/admin/host/status"


class Admin:
    """Answers the requests to /admin that the gate has admitted."""

    def __init__(self, app: App, invoker: Invoker) -> None:
        self._app = app
        self._invoker = invoker
        self._began = time.monotonic()

    async def answer(self, request: web.Request, path: str) -> web.Response:
        path = path.rstrip("/")
        if path.lower() == _STATUS and request.method == "GET":
            return web.json_response(
                {
                    "state": "Error" if self._app.errors else "Running",
                    "version": version("azure-functions-runtime"),
                    "processUptime": int((time.monotonic() - self._began) * 1000),
                    "functions": self._names(),
                    "errors": list(self._app.errors),
                }
            )
        folder, _, name = path.rpartition("/")
        if folder.lower() == _FUNCTIONS and request.method == "POST":
            return await self._fire(request, name)
        return web.Response(status=HTTPStatus.NOT_FOUND)

    def _names(self) -> list[str]:
        return sorted(each.name for each in self._app.functions)

    async def _fire(self, request: web.Request, name: str) -> web.Response:
        """Run a timer or a queue function now. As in the real host, the answer does not wait for the run."""
        if request.content_type != "application/json":
            return _wrong("Content-Type must be application/json", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        try:
            document = json.loads(await request.read())
        except ValueError:
            return _wrong('the body must be JSON such as {"input": "..."}')
        if not isinstance(document, dict) or not isinstance(document.get("input", ""), str):
            return _wrong('the body must be an object whose "input" is a text')
        function = self._find(name)
        if function is None:
            known = ", ".join(self._names())
            return _wrong(f"there is no function {name!r}; there are {known}", HTTPStatus.NOT_FOUND)
        worker, text = self._invoker.worker, document.get("input", "")
        match function.trigger.type:
            case "timerTrigger":
                self._invoker.start(function, lambda: worker.timer(function.name), "fired by hand")
            case "queueTrigger":
                self._invoker.start(function, lambda: worker.queue(function.name, text), "fired by hand")
            case _:
                return _wrong(f"{function.name} is an HTTP function: call its route")
        return web.Response(status=HTTPStatus.ACCEPTED)

    def _find(self, name: str) -> Function | None:
        return next((each for each in self._app.functions if each.name.lower() == name.lower()), None)


def _wrong(message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> web.Response:
    return web.json_response({"error": message}, status=status)
