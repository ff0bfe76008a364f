"""The small Twilio helper: verify a webhook, send an SMS, place a call, and say what went wrong.

The REST client (twilio_client.py) and the error codes (twilio_errors.py) are imported at the first request to
Twilio: checking the signature of a webhook needs neither.
"""

import asyncio
import hmac
import json
import logging
import re
from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from twilio.request_validator import RequestValidator

from shared import errors
from shared.config import Settings

if TYPE_CHECKING:
    from twilio.rest import Client

log = logging.getLogger(__name__)

RETRIED = "#rc=3&rp=5xx,ct,rt"
"""Appended to the URL of a status callback: Twilio then repeats the callback up to three times when we answer
5xx or do not answer. By default it never repeats one (Twilio docs: Webhooks, connection overrides). Twilio
neither sends nor signs a fragment."""
FROM_API = "outbound-api"  # the direction of what we asked for; what TwiML sends or dials has another


class Sent(NamedTuple):
    """A message or call that Twilio has accepted or listed. `created` is aware, UTC, to the second."""

    sid: str
    status: str
    to: str
    body: str
    created: datetime | None


def verified(settings: Settings, url: str, fields: Any, signature: str) -> bool:
    """Whether this request is signed with one of our auth tokens. (Twilio docs: Webhooks Security.)

    url: as Twilio called it, at PUBLIC_BASE_URL. fields: a MultiDict of the posted form, or the raw text of
    any other body, which Twilio signs only through bodySHA256 in the URL.
    """
    for token in settings.auth_tokens:
        validator = RequestValidator(token)
        try:
            # Try the URL exactly as it came first, since that is nearly always what Twilio signed. `validate`
            # also tries it with and without the default port, and checks bodies that are not forms.
            if not isinstance(fields, str) and hmac.compare_digest(
                validator.compute_signature(url, fields).encode(), signature.encode()
            ):
                return True
            if validator.validate(url, fields, signature):
                return True
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            continue  # what the validator cannot read is not signed
    return False


def public_url(settings: Settings, url: str) -> str:
    """The URL as Twilio knows it: scheme and host of PUBLIC_BASE_URL, the rest exactly as it came."""
    scheme, _, rest = url.partition("://")
    slash = rest.find("/")
    return settings.public_base_url + (rest[slash:] if scheme and slash >= 0 else "")


class Twilio:
    """Twilio's REST API. It keeps one session, for one event loop; every request has a time limit."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._key_can_sign = False
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
        """POST one message. Raises a TwilioError, whose class says whether the request may be repeated.

        to, sender: E.164 or whatsapp:E.164; the sender may also be a Messaging Service SID (MG...).
        status_callback: the absolute URL to which Twilio reports each state of the message.
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
        """The messages that were sent to one recipient over the API since `since`, among the newest `limit`.

        Filtered by To only: a queued message has no From and no DateSent yet, so those filters would miss it.
        """
        return await self._request(_newest(self._api.messages, to, since, limit))

    async def calls_to(self, to: str, *, since: datetime | None = None, limit: int = 2000) -> list[Sent]:
        """The calls placed to one number over the API, among the newest `limit`; no legs of a <Dial>."""
        return await self._request(_newest(self._api.calls, to, since, limit))

    async def message(self, sid: str) -> Any:
        """One message as Twilio has it: price, segments, error text."""
        return await self._request(self._api.messages(sid).fetch_async())

    async def recording(self, sid: str) -> bytes:
        """A recording, as a WAV file. Raises InvalidRequest for what is no recording SID, and NotFound."""
        if not re.fullmatch("RE[0-9a-f]{32}", sid):
            raise errors.InvalidRequest("sid", "must be a recording SID, RE and 32 hexadecimal digits")
        from aiohttp import BasicAuth

        from shared.twilio_errors import classified

        base = self._settings.twilio_base_url or "https://api.twilio.com"
        url = f"{base}/2010-04-01/Accounts/{self._settings.account_sid}/Recordings/{sid}.wav"
        client = self._rest

        async def fetch() -> tuple[int, bytes]:
            sent = client.http_client.session.request(method="GET", url=url, auth=BasicAuth(*client.auth))
            async with await sent as answer:
                return answer.status, await answer.read()

        status, content = await self._request(fetch())
        if status == 404:
            raise errors.NotFound(f"Twilio has no recording {sid}")
        if status != 200:
            raise classified(None, status, "the recording cannot be fetched")
        return content

    async def call_price(self, sid: str) -> str:
        """The price of a call, such as -0.01300 USD, or "" while Twilio does not know it yet."""
        call = await self._request(self._api.calls(sid).fetch_async())
        return f"{call.price} {call.price_unit or ''}".strip() if call.price is not None else ""

    async def waiting(self, queue: str, *, limit: int = 50) -> dict[str, Any]:
        """The callers in a queue, longest wait first, as our API shows them. Times are in seconds."""
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
        """The number that placed a call. Twilio is asked once for each call."""
        if sid not in self._callers:
            if len(self._callers) > 1000:
                self._callers.clear()
            call = await self._request(self._api.calls(sid).fetch_async())
            self._callers[sid] = str(call._from)  # as twilio-python names a call's From
        return self._callers[sid]

    async def signing_key_problem(self) -> str:
        """Why TWILIO_API_KEY cannot sign access tokens, or "". (Twilio docs: REST API, Key resource v1.)

        The request uses the auth token, since an API key may not read keys. When Twilio gives no clear
        answer, the key is trusted.
        """
        if self._key_can_sign:
            return ""
        base = self._settings.twilio_base_url or "https://iam.twilio.com"
        auth = (self._settings.account_sid, self._settings.auth_token)
        url = f"{base}/v1/Keys/{self._settings.api_key}"
        try:
            answer = await self._request(self._rest.request_async("GET", url, auth=auth))
            if answer.status_code not in {200, 404}:
                raise errors.TwilioError(f"Twilio answers {answer.status_code}")
        except errors.TwilioError as exc:
            log.warning("the API key cannot be looked up: %s", exc)
            return ""
        if answer.status_code == 404:
            return "is not an API key of this account"
        if json.loads(answer.text).get("policy"):
            return "is a restricted key, which cannot sign access tokens: make a standard one"
        self._key_can_sign = True
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
            from shared.twilio_client import rest_client

            self._client = rest_client(self._settings)
        return self._client

    @property
    def _api(self) -> Any:
        return self._rest.api.v2010.accounts(self._settings.account_sid)

    async def _request[T](self, request: Awaitable[T]) -> T:
        """Await a request to Twilio. Raises a TwilioError for whatever goes wrong with it."""
        from aiohttp import ClientConnectionError, ClientConnectorError, ClientError, ConnectionTimeoutError
        from twilio.base.exceptions import TwilioException, TwilioRestException

        from shared.twilio_errors import classified, refused_list

        try:
            return await request
        except (ClientConnectorError, ConnectionTimeoutError) as exc:
            raise errors.NotSent("could not connect to Twilio") from exc
        except TwilioRestException as exc:
            raise classified(exc.code, exc.status, str(exc.msg)) from exc
        except (ClientConnectionError, ClientError, TimeoutError, asyncio.IncompleteReadError) as exc:
            raise errors.Uncertain("Twilio did not answer in time, or the connection broke") from exc
        except (TwilioException, ValueError, OSError, AttributeError, KeyError, TypeError) as exc:
            raise refused_list(exc) or errors.Uncertain("Twilio's answer could not be read") from exc


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
    """Twilio lists the newest first, page by page: stop at the first that is older than `since`."""
    found: list[Sent] = []
    async for each in await resource.stream_async(to=to, page_size=100, limit=limit):
        if since and each.date_created and each.date_created < since:
            break
        if each.direction == FROM_API:
            found.append(_sent(each))
    return found
