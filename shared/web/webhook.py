"""A signed request of Twilio's in, TwiML out; 403 with an empty body for anything else."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from inspect import isawaitable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus
from xml.etree.ElementTree import tostring

import azure.functions as func

from shared import twilio_helper
from shared.config import Settings
from shared.errors import Contended, Forbidden, NotFound, SettingsError, StorageAway
from shared.services import Services
from shared.twiml.reply import Reply
from shared.twiml.request import TwilioRequest

if TYPE_CHECKING:
    from twilio.twiml.messaging_response import MessagingResponse
    from twilio.twiml.voice_response import VoiceResponse

log = logging.getLogger(__name__)

type Flow = Callable[[TwilioRequest, Settings], Reply | Awaitable[Reply]]
type Note = Callable[[TwilioRequest], Awaitable[None]]
type Pairs = tuple[tuple[str, str], ...]
PATIENCE = 12.0
"""Seconds: Twilio gives up after 15, and then asks nobody else."""
FORM = "application/x-www-form-urlencoded"


async def reply(
    req: func.HttpRequest, services: Services, flow: Flow, ring: func.Out[list[str]] | None = None
) -> func.HttpResponse:
    """Check the signature, let the flow answer, carry out what it wants done besides.

    ring: the output binding that takes the calls to place.
    """

    async def work() -> func.HttpResponse:
        request = receive(req, services.settings, now=datetime.now(UTC))
        answer = flow(request, services.settings)
        if isawaitable(answer):
            answer = await answer
        if answer.effects and (asked := await services.carry_out(answer.effects)) and ring:
            ring.set(asked)
        return func.HttpResponse(_xml(answer.twiml), mimetype="text/xml", charset="utf-8")

    return await _guarded(req, work)


async def record(req: func.HttpRequest, services: Services, note: Note) -> func.HttpResponse:
    """Check the signature of a status callback and note what it says; 204."""

    async def work() -> func.HttpResponse:
        await note(receive(req, services.settings, now=datetime.now(UTC)))
        return func.HttpResponse(status_code=204)

    return await _guarded(req, work)


async def _guarded(
    req: func.HttpRequest, work: Callable[[], Awaitable[func.HttpResponse]]
) -> func.HttpResponse:
    try:
        async with asyncio.timeout(PATIENCE):
            return await work()
    except TimeoutError:
        log.error("a webhook cannot be answered in time: storage or Twilio is slow")
        return func.HttpResponse(status_code=503)
    except Forbidden as exc:
        log.warning("refused a webhook at %s: %s", _path(req.url), exc)
        return func.HttpResponse(status_code=403)
    except NotFound as exc:
        log.warning("no such webhook: %s", exc)
        return func.HttpResponse(status_code=404)
    except (SettingsError, StorageAway, Contended) as exc:
        log.error("a webhook cannot be answered: %s", exc)
        return func.HttpResponse(status_code=503)


def receive(req: func.HttpRequest, settings: Settings, *, now: datetime) -> TwilioRequest:
    """The request, once its X-Twilio-Signature is good for PUBLIC_BASE_URL. Raises Forbidden."""
    url = twilio_helper.public_url(settings, req.url)
    query = _pairs(url.partition("?")[2])
    posted, signed = _fields(req)
    if not twilio_helper.verified(settings, url, signed, req.headers.get("X-Twilio-Signature", "")):
        raise Forbidden("its X-Twilio-Signature is missing or does not fit PUBLIC_BASE_URL and the token")
    # The first value of a name that comes twice.
    values = dict(reversed(posted if req.method == "POST" else query))
    if values.get("AccountSid", settings.account_sid) != settings.account_sid:
        raise Forbidden("it is signed, but of another account")
    return TwilioRequest(values, query, posted, req.method, url, now)


class _Form(dict[str, list[str]]):
    """A posted form as RequestValidator reads one the quickest: `getall`, every value of a name."""

    getall = dict.__getitem__


def _fields(req: func.HttpRequest) -> tuple[Pairs, Any]:
    """The posted pairs, and what the signature covers besides the URL."""
    if req.method != "POST":
        return (), {}
    body = req.get_body().decode("utf-8", "replace")
    if req.headers.get("Content-Type", "").partition(";")[0].strip().lower() != FORM:
        # A body that is no form is signed through bodySHA256 in the URL alone.
        return (), body
    posted = _pairs(body)
    form = _Form()
    for name, value in posted:
        form.setdefault(name, []).append(value)
    return posted, form


def _pairs(text: str) -> Pairs:
    """What parse_qsl gives with blanks kept, in half its time: little of what Twilio sends is encoded."""
    parts = (part.partition("=") for part in text.split("&") if part)
    return tuple((_decoded(name), _decoded(value)) for name, _, value in parts)


def _decoded(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text


def _xml(twiml: "VoiceResponse | MessagingResponse") -> str:
    """What str() gives, without a detour over bytes, which takes as long again."""
    return '<?xml version="1.0" encoding="UTF-8"?>' + tostring(twiml.xml(), encoding="unicode")


def _path(url: str) -> str:
    return url.partition("?")[0]
