"""The small Twilio helper: verify a webhook, send an SMS, place a call, and say what went wrong.

Twilio's REST client is imported on first use only: a webhook does without.
"""

import asyncio
import hmac
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from twilio.request_validator import RequestValidator

from shared import errors
from shared.config import Settings

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession, ClientTimeout
    from twilio.rest import Client

log = logging.getLogger(__name__)

TIMEOUT = 15.0
"""Seconds for one request to Twilio; well under the lease of what is being sent."""
CONNECT_TIMEOUT = 5.0

RETRIED = "#rc=3&rp=5xx,ct,rt"
"""Behind a status callback's URL: Twilio asks three times more where we answer 5xx or not at all; by default
it does not (Twilio docs: Webhooks, connection overrides). A fragment is neither sent nor signed."""
FROM_API = "outbound-api"  # the direction of what we asked for; what TwiML sends or dials has another

# Error codes, each as in Twilio's error and warning dictionary.
CREDENTIALS = {20003, 20005, 30002}  # the last two: the account is suspended
THROTTLED = {20429, 14107}
OURS = {21212, 21606, 21609, 21659, 21660, 21661, 21703, 21408, 63038}
OPTED_OUT = 21610

MEANINGS = {
    20003: "the account SID or the credentials are wrong",
    20005: "the account is not active",
    30002: "the account is suspended",
    20429: "too many requests",
    21211: "the recipient is not a phone number",
    21212: "the sender is not a phone number",
    21214: "the number to call is not a phone number",
    21215: "this country is not enabled for calls from the account",
    21219: "a trial account calls verified numbers only",
    21408: "this country is not enabled for SMS from the account",
    21602: "the message has no body and no media",
    21606: "the sender is not a number of this account that can send to this recipient",
    21608: "a trial account sends to verified numbers only",
    21609: "the status callback is not a URL that Twilio can reach",
    21610: "the recipient has opted out with STOP",
    21612: "the sender cannot reach this recipient",
    21614: "the recipient is not a mobile number",
    21617: "the body is longer than 1,600 characters",
    21659: "the sender is not a number that Twilio knows",
    21660: "the sender belongs to another account",
    21661: "the sender cannot send SMS",
    21703: "the Messaging Service has no sender for this recipient",
    30001: "too many messages were waiting for this sender",
    30003: "the handset cannot be reached",
    30004: "the recipient blocks the message",
    30005: "the number is unknown, or no longer in service",
    30006: "a landline, or a carrier that cannot be reached",
    30007: "the carrier filtered the message",
    30008: "an unknown error of the carrier's",
    63038: "the account's daily limit of messages is reached",
}

# At INFO it logs the parameters of every request, numbers and all.
logging.getLogger("twilio").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Sent:
    """What Twilio accepted, or lists. `created` is aware, UTC, to the second."""

    sid: str
    status: str
    to: str
    body: str
    created: datetime | None


def verified(settings: Settings, url: str, fields: Any, signature: str) -> bool:
    """Is this request signed with one of our tokens? (Twilio docs: Webhooks Security.)

    url: as Twilio called it, at PUBLIC_BASE_URL. fields: a MultiDict of the posted form, or the raw text of
    another body, which is signed only where the URL carries bodySHA256.
    """
    for token in settings.auth_tokens:
        validator = _validator(token)
        try:
            # As it is, Twilio nearly always signed it; `validate` also tries the URL with the default port
            # and without, and knows bodies that are not forms.
            if not isinstance(fields, str) and hmac.compare_digest(
                validator.compute_signature(url, fields).encode(), signature.encode()
            ):
                return True
            if validator.validate(url, fields, signature):
                return True
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            continue  # whatever the validator cannot digest is not signed
    return False


@lru_cache(maxsize=4)
def _validator(token: str) -> RequestValidator:
    return RequestValidator(token)


def public_url(settings: Settings, url: str) -> str:
    """The URL as Twilio knows it: scheme and host of PUBLIC_BASE_URL, the rest exactly as it came."""
    scheme, _, rest = url.partition("://")
    slash = rest.find("/")
    return settings.public_base_url + (rest[slash:] if scheme and slash >= 0 else "")


class Twilio:
    """Twilio's REST API over one session of one loop. Requests have a time limit; drains share `slots`."""

    def __init__(self, settings: Settings) -> None:
        from shared.delivery.throttle import Slots  # like the client, what a webhook does without

        self.slots = Slots(settings.send_concurrency)
        self._settings = settings
        self._client: Client | None = None
        self._signs = False
        self._callers: dict[str, str] = {}

    async def send_sms(
        self,
        *,
        to: str,
        body: str,
        status_callback: str,
        media_urls: Sequence[str] = (),
        sender: str | None = None,
    ) -> Sent:
        """POST one message. Raises a TwilioError, whose class says whether it may be repeated.

        to, sender: E.164 or whatsapp:E.164; a sender may be a Messaging Service SID (MG...) as well.
        status_callback: an absolute URL, which Twilio's status callbacks go to.
        """
        channel = "whatsapp:" if to.startswith("whatsapp:") else ""
        sender = sender or self._settings.messaging_service_sid or channel + self._settings.from_number
        arguments: dict[str, Any] = {"to": to, "status_callback": status_callback + RETRIED}
        arguments["messaging_service_sid" if sender.startswith("MG") else "from_"] = sender
        if body:
            arguments["body"] = body
        if media_urls:
            arguments["media_url"] = list(media_urls)
        return _sent(await self._request(self._api.messages.create_async(**arguments)))

    async def place_call(self, *, to: str, status_callback: str, **options: Any) -> Sent:
        """POST one call; `options` are those of Twilio's Calls resource, by twilio-python's names."""
        options.setdefault("from_", self._settings.from_number)
        call = self._api.calls.create_async(to=to, status_callback=status_callback + RETRIED, **options)
        return _sent(await self._request(call))

    async def messages_to(self, to: str, *, since: datetime | None = None, limit: int = 2000) -> list[Sent]:
        """What was sent to one recipient over the API, back to `since`, of the newest `limit` messages.

        By To alone: while a message is queued its From and DateSent are empty, and a filter would miss it.
        """
        listed: list[Sent] = await self._request(_newest(self._api.messages, to, since, limit))
        return listed

    async def calls_to(self, to: str, *, since: datetime | None = None, limit: int = 2000) -> list[Sent]:
        """The calls placed to one number over the API, of the newest `limit`; not the legs of a <Dial>."""
        listed: list[Sent] = await self._request(_newest(self._api.calls, to, since, limit))
        return listed

    async def message(self, sid: str) -> Any:
        """One message as Twilio has it: price, segments, error text."""
        return await self._request(self._api.messages(sid).fetch_async())

    async def recording(self, sid: str) -> bytes:
        """A recording, as a WAV file. Raises NotFound where Twilio has none by that SID."""
        from aiohttp import BasicAuth

        base = self._settings.twilio_base_url or "https://api.twilio.com"
        url = f"{base}/2010-04-01/Accounts/{self._settings.account_sid}/Recordings/{sid}.wav"
        _ = self._api  # connects
        assert self._client is not None  # noqa: S101
        session = self._client.http_client.session

        async def fetch() -> Any:
            credentials = BasicAuth(*_credentials(self._settings))
            async with await session.request(method="GET", url=url, auth=credentials) as answer:
                return answer.status, await answer.read()

        status, content = await self._request(fetch())
        if status == 404:
            raise errors.NotFound(f"Twilio has no recording {sid}")
        if status != 200:
            raise _classified(None, status, "the recording cannot be fetched")
        return bytes(content)

    async def call_price(self, sid: str) -> str:
        """What a call cost, as in -0.01300 USD, or "" where Twilio does not know it yet."""
        call = await self._request(self._api.calls(sid).fetch_async())
        return f"{call.price} {call.price_unit or ''}".strip() if call.price is not None else ""

    async def waiting(self, queue: str, *, limit: int = 50) -> dict[str, Any]:
        """Who waits in a queue, first come first, as the API shows it. Waiting times are in seconds."""
        queues = await self._request(self._api.queues.list_async())
        found = next((each for each in queues if each.friendly_name == queue and each.current_size), None)
        if found is None:
            return {"queue": queue, "size": 0, "average_wait": 0, "members": []}
        members = await self._request(self._api.queues(found.sid).members.list_async(limit=limit))
        callers = await asyncio.gather(*(self._caller(member.call_sid) for member in members))
        return {
            "queue": queue,
            "size": found.current_size,
            "average_wait": found.average_wait_time,
            "members": [
                {"call_sid": member.call_sid, "from": caller, "wait": member.wait_time}
                for member, caller in zip(members, callers, strict=True)
            ],
        }

    async def _caller(self, sid: str) -> str:
        """Who placed a call: asked once."""
        if sid not in self._callers:
            if len(self._callers) > 1000:
                self._callers.clear()
            call = await self._request(self._api.calls(sid).fetch_async())
            self._callers[sid] = str(call._from)  # as twilio-python names a call's From
        return self._callers[sid]

    async def signing_key_problem(self) -> str:
        """Why TWILIO_API_KEY cannot sign access tokens, or "". (Twilio docs: REST API, Key resource v1.)

        Asked with the auth token, since an API key may not read keys. Where Twilio does not say, it passes.
        """
        if self._signs:
            return ""
        base = self._settings.twilio_base_url or "https://iam.twilio.com"
        auth = (self._settings.account_sid, self._settings.auth_token)
        url = f"{base}/v1/Keys/{self._settings.api_key}"
        try:
            answer = await self._request(self._rest.request_async("GET", url, auth=auth))
        except errors.TwilioError as exc:
            log.warning("the API key cannot be looked up: %s", exc)
            return ""
        if answer.status_code == 404:
            return "is not an API key of this account"
        if answer.status_code != 200:
            log.warning("the API key cannot be looked up: Twilio answers %s", answer.status_code)
            return ""
        if json.loads(answer.text).get("policy"):
            return "is a restricted key, which cannot sign access tokens: make a standard one"
        self._signs = True
        return ""

    async def call(self, sid: str) -> Any:
        """One call as Twilio has it: status, duration, answered_by."""
        return await self._request(self._api.calls(sid).fetch_async())

    async def close(self) -> None:
        """Close the connections."""
        if self._client:
            await self._client.http_client.close()
            self._client = None

    @property
    def _rest(self) -> Any:
        if self._client is None:
            self._client = _rest_client(self._settings)
        return self._client

    @property
    def _api(self) -> Any:
        return self._rest.api.v2010.accounts(self._settings.account_sid)

    async def _request(self, request: Any) -> Any:
        from aiohttp import ClientConnectionError, ClientConnectorError, ClientError, ConnectionTimeoutError
        from twilio.base.exceptions import TwilioException, TwilioRestException

        try:
            return await request
        except (ClientConnectorError, ConnectionTimeoutError) as exc:
            raise errors.NotSent("could not connect to Twilio") from exc
        except TwilioRestException as exc:
            raise _classified(exc.code, exc.status, str(exc.msg)) from exc
        except (ClientConnectionError, ClientError, TimeoutError, asyncio.IncompleteReadError) as exc:
            raise errors.Uncertain("Twilio did not answer in time, or the connection broke") from exc
        except (TwilioException, ValueError, OSError, AttributeError, KeyError, TypeError) as exc:
            raise _refused_list(exc) or errors.Uncertain("Twilio's answer could not be read") from exc


def meaning(code: int | None, message: str = "") -> str:
    """Twilio's error code in words; in Twilio's own, whole phone numbers are masked."""
    from shared import phone_numbers

    masked = re.sub(r"\+\d{8,15}", lambda number: phone_numbers.masked(number[0]), message)
    return MEANINGS.get(code or 0) or masked or "no reason given"


def _classified(code: int | None, status: int, message: str) -> errors.TwilioError:
    """DESIGN: Twilio outcomes. The answer came, so the class follows from its status and code."""
    kind: type[errors.TwilioError]
    if status >= 500:
        kind = errors.Uncertain
    elif code in OURS:  # 63038 comes with a 429
        kind = errors.Misconfigured
    elif status == 429 or code in THROTTLED:
        kind = errors.Throttled
    elif status == 401 or code in CREDENTIALS:
        kind = errors.BadCredentials
    elif code == OPTED_OUT:
        kind = errors.OptedOut
    elif status >= 400:
        kind = errors.Refused
    else:
        kind = errors.Uncertain
    return kind(meaning(code, message), code=code, status=status)


def _refused_list(exc: Exception) -> errors.TwilioError | None:
    """A list that was refused: twilio-python gives the whole response, and no code of its own."""
    try:
        response = exc.args[1]
        answer = json.loads(response.text)
        return _classified(answer["code"], response.status_code, str(answer["message"]))
    except (IndexError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _sent(instance: Any) -> Sent:
    if not instance.sid:
        raise errors.Uncertain("Twilio's answer names no SID")
    return Sent(
        sid=instance.sid,
        status=str(instance.status),
        to=str(instance.to),
        body=str(getattr(instance, "body", None) or ""),
        created=instance.date_created,
    )


async def _newest(resource: Any, to: str, since: datetime | None, limit: int) -> list[Sent]:
    """Twilio lists the newest first, in pages: no more of them are asked for than needed."""
    found: list[Sent] = []
    async for each in await resource.stream_async(to=to, page_size=100, limit=limit):
        if since and each.date_created and each.date_created < since:
            break
        if each.direction == FROM_API:
            found.append(_sent(each))
    return found


class _Limited:
    """A session that gives every request its time limit.

    AsyncTwilioHttpClient names `timeout=None` in each request, which overrules the session's own limit.
    """

    def __init__(self, session: "ClientSession", timeout: "ClientTimeout") -> None:
        self._session = session
        self._timeout = timeout

    async def request(self, **kwargs: Any) -> "ClientResponse":
        return await self._session.request(**{**kwargs, "timeout": self._timeout})

    async def close(self) -> None:
        await self._session.close()


def _credentials(settings: Settings) -> tuple[str, str]:
    return settings.api_key or settings.account_sid, settings.api_secret or settings.auth_token


def _rest_client(settings: Settings) -> "Client":
    """A client whose one session carries the timeout and as many connections as there are sends at once.

    AsyncTwilioHttpClient ignores its own `timeout` and caps its connector at 100; its `max_retries` would
    repeat a POST on 5xx, a second SMS. So the session is ours.
    """
    from aiohttp import ClientSession, ClientTimeout, TCPConnector
    from twilio.http.async_http_client import AsyncTwilioHttpClient
    from twilio.rest import Client

    http = AsyncTwilioHttpClient(pool_connections=False)
    http.session = _Limited(
        ClientSession(connector=TCPConnector(limit=settings.send_concurrency + 8)),
        ClientTimeout(total=TIMEOUT, sock_connect=CONNECT_TIMEOUT),
    )
    client = Client(*_credentials(settings), settings.account_sid, http_client=http)
    if settings.twilio_base_url:
        client.region = client.edge = None  # TWILIO_REGION and TWILIO_EDGE would rewrite the host
        client.api.base_url = settings.twilio_base_url
    return client
