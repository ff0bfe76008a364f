"""The host's HTTP server.

It hands requests to functions, and their answers to callers, as the real host does. That includes surprises:
404 for a wrong method, and no body without Content-Length.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from local.host import http_request
from local.host.access import Gate
from local.host.admin import Admin
from local.host.console import log
from local.host.errors import InvocationFailed
from local.host.invoker import Invoker
from local.host.settings import RESPONSE_LIMIT, HttpSettings
from local.host.triggers import App, HttpTrigger
from local.host.worker import Answer

_LONGEST_URL = 8192
_HOP_BY_HOP = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding", "upgrade"}
_SAME_SITE = {1: "Lax", 2: "Strict", 3: "None"}
_HOMEPAGE = """\
<!DOCTYPE html>
<html lang="en">
<head><title>Your Azure Function App is up and running.</title></head>
<body>
<h1>Your Functions 4.0 app is up and running</h1>
<p>Microsoft's host shows a page of its own here. AzureWebJobsDisableHomepage=true removes it.</p>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the host has read of a request. path: decoded."""

    path: str
    headers: Mapping[str, str]
    route_params: Mapping[str, str]


class Server:
    """Routes requests to functions."""

    def __init__(
        self,
        app: App,
        invoker: Invoker,
        gate: Gate,
        settings: HttpSettings,
        *,
        response_limit: timedelta = RESPONSE_LIMIT,
    ) -> None:
        self._app = app
        self._invoker = invoker
        self._gate = gate
        self._settings = settings
        self._response_limit = response_limit.total_seconds()
        self._admin = Admin(app, invoker)
        self._outstanding = 0
        self._turn = asyncio.Semaphore(settings.max_concurrent) if settings.max_concurrent else None

    def application(self) -> web.Application:
        application = web.Application(client_max_size=self._settings.max_body)
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if not self._gate.knows_host(request.host):
            log.warning(
                "refused a request for the host %r: not this machine, nor PUBLIC_BASE_URL", request.host
            )
            return _plain(
                HTTPStatus.MISDIRECTED_REQUEST, "This host answers for localhost and PUBLIC_BASE_URL only."
            )
        if len(request.raw_path) > _LONGEST_URL:
            return _plain(
                HTTPStatus.REQUEST_URI_TOO_LONG, f"A URL is at most {_LONGEST_URL} characters long."
            )
        try:
            path = http_request.path(request.raw_path.partition("?")[0])
            headers = _headers(request)
        except http_request.BadRequest as exc:
            log.warning("%s 400: %s", request.method, exc)
            return web.Response(status=HTTPStatus.BAD_REQUEST)
        return await self._route(request, path, headers)

    async def _route(self, request: web.Request, path: str, headers: Mapping[str, str]) -> web.StreamResponse:
        if f"{path.lower()}/".startswith("/admin/"):
            if refusal := self._gate.refuses_admin(request):
                return _plain(
                    refusal, "/admin is for this machine alone, with the master key if keys are on."
                )
            return await self._admin.answer(request, path)
        for trigger in self._app.http:
            if trigger.takes(request.method) and (found := trigger.template.match(path)) is not None:
                return await self._serve(request, trigger, _Asked(path, headers, found))
        return self._homepage() if path == "/" else web.Response(status=HTTPStatus.NOT_FOUND)

    def _homepage(self) -> web.Response:
        """Microsoft's page, unless AzureWebJobsDisableHomepage is true (HomepageMiddleware)."""
        if self._settings.homepage:
            return web.Response(text=_HOMEPAGE, content_type="text/html")
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _serve(self, request: web.Request, trigger: HttpTrigger, asked: _Asked) -> web.StreamResponse:
        name = trigger.function.name
        if not self._gate.admits(request, trigger.level):
            status = HTTPStatus.UNAUTHORIZED if self._gate.enforced else HTTPStatus.FORBIDDEN
            why = "no valid key" if self._gate.enforced else "it comes from a page of another site"
            log.warning(
                "%s %s %d: %s", request.method, _shown(request), status, why, extra={"function": name}
            )
            return web.Response(status=status)
        most = self._settings.max_outstanding
        if most is not None and self._outstanding >= most:
            return web.Response(status=HTTPStatus.TOO_MANY_REQUESTS)
        if (request.content_length or 0) > self._settings.max_body:
            return web.Response(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self._outstanding += 1
        try:
            if self._turn is None:
                return await self._invoke(request, trigger, asked)
            async with self._turn:
                return await self._invoke(request, trigger, asked)
        finally:
            self._outstanding -= 1

    async def _invoke(self, request: web.Request, trigger: HttpTrigger, asked: _Asked) -> web.StreamResponse:
        function, headers = trigger.function, asked.headers
        # The real host looks at Content-Length only, so a body that is sent in chunks does not arrive.
        body = await request.read() if request.content_length else b""
        query = "".join(request.raw_path.partition("?")[1:])
        url = f"{_scheme(request)}://{headers.get('host', '')}{http_request.url_path(asked.path)}{query}"
        task = self._invoker.start(
            function,
            lambda: self._invoker.worker.http(
                function.name, request.method, url, headers, body, asked.route_params
            ),
            f"{request.method} {_shown(request)}",
        )
        done, _ = await asyncio.wait([task], timeout=self._response_limit)
        if not done:
            seconds = f"{self._response_limit:g}"
            log.error("no answer within %s s, as Azure allows", seconds, extra={"function": function.name})
            return web.Response(status=HTTPStatus.GATEWAY_TIMEOUT)
        try:
            answer = task.result().answer
        except (InvocationFailed, asyncio.CancelledError):
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        return _response(answer) if answer else web.Response(status=HTTPStatus.NO_CONTENT)


def _headers(request: web.Request) -> dict[str, str]:
    headers = http_request.headers(request.headers.items())
    # AppServiceHeaderFixupMiddleware in azure-functions-host.
    if disguised := headers.get("disguised-host"):
        headers["host"] = disguised
    return headers


def _scheme(request: web.Request) -> str:
    forwarded = request.headers.get("X-Forwarded-Proto", request.scheme).partition(",")[0].strip()
    return "https" if forwarded.lower() == "https" else "http"


def _shown(request: web.Request) -> str:
    """The path for the log, without the query, which may hold a key or a phone number."""
    return urlsplit(request.raw_path).path


def _plain(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")


def _response(answer: Answer) -> web.Response:
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
    response = web.Response(status=answer.status, headers=headers, body=answer.body)
    for each in answer.cookies:
        has = each.HasField
        response.set_cookie(
            each.name,
            each.value,
            domain=each.domain.value or None,
            path=each.path.value,
            secure=each.secure.value or None,
            httponly=each.http_only.value or None,
            max_age=int(each.max_age.value) if has("max_age") else None,
            expires=each.expires.value.ToDatetime().strftime("%a, %d %b %Y %H:%M:%S GMT")
            if has("expires")
            else None,
            samesite=_SAME_SITE.get(each.same_site),
        )
    return response
