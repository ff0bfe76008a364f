"""Answers a signed request of Twilio's with TwiML, and any other request with 403 and an empty body."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus
from xml.etree.ElementTree import tostring

import azure.functions as func

from shared import twilio_helper
from shared.config import Settings
from shared.errors import Contended, Forbidden, NotFound, SettingsError, StorageAway
from shared.twiml.reply import Effect, Reply
from shared.twiml.request import TwilioRequest

if TYPE_CHECKING:
    from twilio.twiml.messaging_response import MessagingResponse
    from twilio.twiml.voice_response import VoiceResponse

log = logging.getLogger(__name__)

type Pairs = tuple[tuple[str, str], ...]
type Flow = Callable[..., Reply]
"""A function of the request and the settings without any I/O; its third argument is what `read` returned."""
type Note = Callable[[TwilioRequest], Awaitable[None]]
type Read = Callable[[TwilioRequest], Awaitable[object]]
type CarryOut = Callable[[Iterable[Effect], datetime], Awaitable[list[str]]]
"""Carries out effects, given the time. Returns the calls to place, as messages for the queue."""

ANSWER_SECONDS = 12.0
"""Twilio waits for 15 seconds, and does not ask again."""
FORM = "application/x-www-form-urlencoded"


async def reply(
    req: func.HttpRequest,
    settings: Callable[[], Settings],
    flow: Flow,
    carry_out: CarryOut,
    *,
    now: datetime,
    read: Read | None = None,
    ring: func.Out[list[str]] | None = None,
) -> func.HttpResponse:
    """Check the signature, let the flow answer, and carry out its effects.

    settings: may raise SettingsError, which becomes a 503. read: reads what the flow needs from storage.
    ring: the output binding for the calls to place.
    """

    async def work() -> func.HttpResponse:
        known = settings()
        request = receive(req, known, now=now)
        answer = flow(request, known, await read(request)) if read else flow(request, known)
        if answer.effects and (calls := await carry_out(answer.effects, now)) and ring:
            ring.set(calls)
        return func.HttpResponse(_xml(answer.twiml), mimetype="text/xml", charset="utf-8")

    return await _guarded(req, work)


async def record(
    req: func.HttpRequest, settings: Callable[[], Settings], note: Note, *, now: datetime
) -> func.HttpResponse:
    """Check the signature of a status callback, and note what it says; 204."""

    async def work() -> func.HttpResponse:
        await note(receive(req, settings(), now=now))
        return func.HttpResponse(status_code=204)

    return await _guarded(req, work)


async def _guarded(
    req: func.HttpRequest, work: Callable[[], Awaitable[func.HttpResponse]]
) -> func.HttpResponse:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await work()
    except TimeoutError:
        log.error("a webhook cannot be answered in time: storage or Twilio is slow")
        return func.HttpResponse(status_code=503)
    except Forbidden as exc:
        log.warning("refused a webhook at %s: %s", req.url.partition("?")[0], exc)
        return func.HttpResponse(status_code=403)
    except NotFound as exc:
        log.warning("no such webhook: %s", exc)
        return func.HttpResponse(status_code=404)
    except (SettingsError, StorageAway, Contended) as exc:
        log.error("a webhook cannot be answered: %s", exc)
        return func.HttpResponse(status_code=503)


def receive(req: func.HttpRequest, settings: Settings, *, now: datetime) -> TwilioRequest:
    """The request, if its X-Twilio-Signature is valid at PUBLIC_BASE_URL. Raises Forbidden."""
    url = twilio_helper.public_url(settings, req.url)
    query = _pairs(url.partition("?")[2])
    posted, signed = _fields(req)
    if not twilio_helper.verified(settings, url, signed, req.headers.get("X-Twilio-Signature", "")):
        raise Forbidden("its X-Twilio-Signature is missing or does not fit PUBLIC_BASE_URL and the token")
    # Of a name that comes twice, the first value counts.
    values = dict(reversed(posted if req.method == "POST" else query))
    if values.get("AccountSid", settings.account_sid) != settings.account_sid:
        raise Forbidden("it is signed, but for another account")
    return TwilioRequest(values, query, posted, req.method, url, now)


class _Form(dict[str, list[str]]):
    """A posted form as RequestValidator reads it fastest: `getall` gives every value of a name."""

    getall = dict.__getitem__


def _fields(req: func.HttpRequest) -> tuple[Pairs, Any]:
    """The posted pairs, and the part of the body that the signature covers."""
    if req.method != "POST":
        return (), {}
    body = req.get_body().decode("utf-8", "replace")
    if req.headers.get("Content-Type", "").partition(";")[0].strip().lower() != FORM:
        # Twilio signs a body that is no form only through bodySHA256 in the URL.
        return (), body
    posted = _pairs(body)
    form = _Form()
    for name, value in posted:
        form.setdefault(name, []).append(value)
    return posted, form


def _pairs(text: str) -> Pairs:
    """The same as parse_qsl with blanks kept, in half the time: Twilio encodes little of what it sends."""
    parts = (part.partition("=") for part in text.split("&") if part)
    return tuple((_decoded(name), _decoded(value)) for name, _, value in parts)


def _decoded(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text


def _xml(twiml: "VoiceResponse | MessagingResponse") -> str:
    """The same as str(), in half the time, since it does not encode to bytes and back."""
    return '<?xml version="1.0" encoding="UTF-8"?>' + tostring(twiml.xml(), encoding="unicode")
