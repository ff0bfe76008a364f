"""A small web server that stands where the app would, and remembers what Twilio asked of it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from twilio.request_validator import RequestValidator


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came. url is absolute, as the sender named it."""

    method: str
    url: str
    form: dict[str, str]
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def is_signed(self, token: str) -> bool:
        signature = self.headers.get("X-Twilio-Signature", "")
        return bool(RequestValidator(token).validate(self.url, self.form, signature))


@dataclass(slots=True)
class Answer:
    """What to answer. `before` runs first, on the server's thread."""

    body: str = ""
    status: int = 200
    content_type: str = "text/xml"
    before: Callable[[], object] | None = None


@dataclass
class Listener:
    """`with Listener() as app: app.answers["/sms"] = Answer(...)`; every other path answers 204."""

    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer

            def do_POST(self) -> None:
                listener._serve(self)

            def do_GET(self) -> None:
                listener._serve(self)

            def log_message(self, *_: object) -> None:
                """The requests are kept, not logged."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def to(self, path: str) -> list[Request]:
        """The requests to one path, in the order they came."""
        return [each for each in self.requests if each.path == path]

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode()
        self.requests.append(
            Request(
                method=handler.command,
                url=self.url + handler.path,
                form=dict(parse_qsl(raw, keep_blank_values=True)),
                headers=dict(handler.headers.items()),
            )
        )
        answer = self.answers.get(urlsplit(handler.path).path, Answer(status=204))
        if answer.before is not None:
            answer.before()
        body = answer.body.encode()
        handler.send_response(answer.status)
        if answer.status != 204:
            handler.send_header("Content-Type", answer.content_type)
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if answer.status != 204:
            handler.wfile.write(body)
