"""An application for the phone to call: it answers each path with a document."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from local.phone.testing import Phone, VoiceNumber
from local.twilio.carrier.exchange.leg import StatusCallback
from local.twilio.carrier.exchange.web_requests import Answer, Target, WebRequest, WebResponse

HOST = "http://127.0.0.1:8000"
OURS = "+12025550100"
CALLER = "+12025550101"
AGENT = "+12025550102"
OTHER = "+12025550103"

type Document = str | Answer | Callable[[dict[str, str]], str | Answer]


def xml(body: str, status: int = 200, content_type: str = "text/xml; charset=utf-8") -> WebResponse:
    return WebResponse(status, content_type, body.encode())


class App:
    """Answers each path with its document (`<Response>` is added), and keeps the requests."""

    def __init__(self, **documents: Document) -> None:
        self.documents: dict[str, Document] = documents
        self.asked: list[tuple[WebRequest, dict[str, str]]] = []

    def __call__(self, request: WebRequest, headers: Mapping[str, str]) -> Answer:
        self.asked.append((request, dict(headers)))
        document = self.documents.get(urlsplit(request.url).path.strip("/"), "")
        if callable(document):
            document = document(dict(request.params))
        return xml(f"<Response>{document}</Response>") if isinstance(document, str) else document

    def forms(self, path: str) -> list[dict[str, str]]:
        """The parameters of every request to a path, in order."""
        return [dict(r.params) for r, _ in self.asked if urlsplit(r.url).path.strip("/") == path]

    def form(self, path: str) -> dict[str, str]:
        """The parameters of the last request to a path."""
        forms = self.forms(path)
        assert forms, f"{path} was not asked for; asked were {[r.url for r, _ in self.asked]}"
        return forms[-1]

    def paths(self) -> list[str]:
        return [urlsplit(r.url).path.strip("/") for r, _ in self.asked]

    def phone(self, *, fallback: str | None = None, status: str | None = None) -> Phone:
        """A phone whose number +12025550100 is answered by the document `voice`."""
        number = VoiceNumber(
            Target(f"{HOST}/voice"),
            fallback=Target(f"{HOST}/{fallback}") if fallback else None,
            callback=StatusCallback(f"{HOST}/{status}") if status else None,
        )
        return Phone(self, {OURS: number})
