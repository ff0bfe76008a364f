"""JSON requests in, JSON answers and errors out, for people and programs with a function key."""

import json
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import azure.functions as func

from shared import errors, phone_numbers

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024
MAX_PAGE = 200
NO_STORE = {"Cache-Control": "no-store"}


async def respond(work: Callable[[], Awaitable[Any]], status: int = 200) -> func.HttpResponse:
    """Do the work and answer with its result as JSON. Each of our errors becomes its JSON and status."""
    try:
        value = await work()
        return answer(value.view() if hasattr(value, "view") else value, status)
    except errors.SwitchboardError as exc:
        return problem(exc)


async def sound(work: Callable[[], Awaitable[bytes]]) -> func.HttpResponse:
    """Answer with a WAV file; an error is JSON."""
    try:
        return func.HttpResponse(await work(), mimetype="audio/wav", headers=NO_STORE)
    except errors.SwitchboardError as exc:
        return problem(exc)


def answer(value: Any, status: int = 200) -> func.HttpResponse:
    """A JSON answer; 204 without content if the value is None."""
    if value is None:
        return func.HttpResponse(status_code=204)
    return func.HttpResponse(
        json.dumps(value, ensure_ascii=False),
        status_code=status,
        mimetype="application/json",
        headers=NO_STORE,
    )


def problem(exc: errors.SwitchboardError) -> func.HttpResponse:
    """`{"error": {"code", "message", "field"}}`, with the status for the class of the error."""
    field, code, status = None, "internal", 500
    extra: dict[str, Any] = {}
    match exc:
        case errors.InvalidRequest():
            field, code, status = exc.field, exc.code, exc.status
        case errors.NotFound():
            code, status = "not_found", 404
        case errors.TooMany():
            code, status, extra = "too_many", 429, {"retry_after": exc.retry_after}
        case errors.Conflict():
            code, status = "conflict", 409
            extra = {"state": exc.state} if exc.state else {}
        case errors.Contended():
            code, status = "changed_meanwhile", 409
        case errors.SettingsError():
            code, status = "missing_settings", 503
        case errors.StorageAway():
            code, status = "storage_away", 503
        case errors.TwilioError():
            code, status = "twilio", 502
            extra = {"twilio_code": exc.code} if exc.code else {}
    if status >= 500:
        log.error("answered %s: %s", status, exc)
    return answer({"error": {"code": code, "message": str(exc), "field": field, **extra}}, status)


def body(req: func.HttpRequest) -> dict[str, Any]:
    """The JSON object in the body. Raises InvalidRequest: 413 over 64 KB, 400 if it is anything else."""
    raw = sent(req)
    if len(raw) > MAX_BODY:
        raise errors.InvalidRequest(None, "the body is over 64 KB", code="too_large", status=413)
    try:
        value = json.loads(raw)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair fails: it cannot be stored
    except (ValueError, RecursionError) as exc:
        raise errors.InvalidRequest(None, "the body must be JSON", code="not_json", status=400) from exc
    if not isinstance(value, dict):
        raise errors.InvalidRequest(None, "the body must be a JSON object", code="not_json", status=400)
    return value


def sent(req: func.HttpRequest) -> bytes:
    """The body as it was sent. Raises InvalidRequest where the host dropped it, or if it is compressed.

    The Functions host hands a body over only if Content-Length says how long it is, and unpacks nothing
    (ToRpcHttp in azure-functions-host).
    """
    raw: bytes = req.get_body()
    encoding = req.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        compressed = f"the body is compressed (Content-Encoding: {encoding[:20]}); send it as it is"
        raise errors.InvalidRequest(None, compressed, code="compressed", status=415)
    if not raw and req.headers.get("Transfer-Encoding"):
        chunked = (
            "the body did not arrive, since it was sent in chunks (Transfer-Encoding): Azure Functions drops "
            "such a body; send it with Content-Length"
        )
        raise errors.InvalidRequest(None, chunked, code="no_content_length", status=400)
    return raw


def address(req: func.HttpRequest) -> str:
    """`to` in the body: a number in E.164, or whatsapp: and a number. Raises InvalidRequest."""
    value = body(req).get("to")
    if not isinstance(value, str) or not value:
        raise errors.InvalidRequest("to", "must be a phone number in E.164, such as +12025550101")
    channel, number = ("whatsapp:", value[9:]) if value.startswith("whatsapp:") else ("", value)
    return channel + phone_numbers.parse(number, "to")


def moment(req: func.HttpRequest, name: str) -> datetime | None:
    """A time in the query, in RFC 3339; None if it is absent. Raises InvalidRequest."""
    from shared.times import instants

    text = req.params.get(name)
    return instants.parse(text, name, None) if text else None


def token(req: func.HttpRequest) -> str:
    """`token` in the query, as the previous page gave it: ids, times and digits; "" if it is absent."""
    text = str(req.params.get("token", ""))
    if not text.isascii() or len(text) > 150 or not all(each.isalnum() or each in "|.:_-" for each in text):
        raise errors.InvalidRequest("token", "must be the token that came with the previous page")
    return text


def limit(req: func.HttpRequest, default: int = 50) -> int:
    """`limit` in the query: how many rows a page has, 1 to 200."""
    text = req.params.get("limit", str(default))
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= MAX_PAGE:
        raise errors.InvalidRequest("limit", f"must be a whole number from 1 to {MAX_PAGE}")
    return int(text)
