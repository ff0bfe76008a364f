"""Requests that Twilio makes to the app: signed, form encoded, with time limits and retries.

The fragment of a URL has Twilio's connection overrides for them
(twilio.com/docs/usage/webhooks/webhooks-connection-overrides). It is neither sent nor signed.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import uuid4

import aiohttp
from twilio.request_validator import RequestValidator
from yarl import URL

from local.twilio.model.options import Options, is_allowed
from local.twilio.model.store import Clock

log = logging.getLogger("local.twilio")

_BODY_LIMIT = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A request to make. kind: sms, voice, message-status, call-status, recording-status, amd-status."""

    kind: str
    sid: str
    url: str
    params: Mapping[str, str]
    method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str = "POST"


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One request that was made or refused: what was sent, its signature, and the answer."""

    number: int
    kind: str
    sid: str
    at: datetime
    method: str
    url: str
    params: Mapping[str, str]
    signature: str
    idempotency_token: str
    attempt: int = 1
    status: int | None = None
    content_type: str = ""
    body: str = ""
    error_code: int | None = None
    error: str = ""
    milliseconds: int | None = None

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "kind": self.kind,
            "sid": self.sid,
            "at": self.at.isoformat(),
            "method": self.method,
            "url": self.url,
            "params": dict(self.params),
            "signature": self.signature,
            "idempotency_token": self.idempotency_token,
            "attempt": self.attempt,
            "status": self.status,
            "content_type": self.content_type,
            "body": self.body,
            "error_code": self.error_code,
            "error": self.error,
            "milliseconds": self.milliseconds,
        }


@dataclass(frozen=True)
class Overrides:
    """The connection overrides of one URL. Times are in seconds; the defaults are Twilio's."""

    connect: float = 5.0
    read: float = 15.0
    total: float = 15.0
    retries: int = 1
    retry_on: frozenset[str] = frozenset({"ct"})

    @classmethod
    def parse(cls, fragment: str, limit: float) -> "Overrides":
        given = dict(parse_qsl(fragment))

        def seconds(name: str, default: float) -> float:
            value = given.get(name, "")
            return min(int(value) / 1000 if value.isdecimal() else default, limit)

        count = given.get("rc", "")
        return cls(
            connect=seconds("ct", cls.connect),
            read=seconds("rt", cls.read),
            total=seconds("tt", cls.total),
            retries=min(int(count), 5) if count.isdecimal() else cls.retries,
            retry_on=frozenset(given["rp"].split(",")) if given.get("rp") else cls.retry_on,
        )

    def again(self, delivery: Delivery) -> bool:
        """Whether this failure is retried: by default only a failed connection."""
        if delivery.status is None:
            return bool(self.retry_on & {delivery.error, "all"})
        family = f"{delivery.status // 100}xx"
        return family in {"4xx", "5xx"} and bool(self.retry_on & {family, "all"})


@dataclass(slots=True)
class Webhooks:
    """Makes the requests, and keeps the last of them."""

    options: Options
    clock: Clock
    on_change: Callable[[], None] = lambda: None
    deliveries: deque[Delivery] = field(default_factory=deque)
    made: int = 0
    _session: aiohttp.ClientSession | None = None

    def __post_init__(self) -> None:
        self.deliveries = deque(maxlen=self.options.deliveries_kept)

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            # A short keep-alive, so that no request uses a connection that the app is about to close.
            connector=aiohttp.TCPConnector(limit=128, keepalive_timeout=2),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "TwilioProxy/1.1", "Accept": "*/*"},
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def clear(self) -> None:
        self.deliveries.clear()
        self.made = 0

    async def send(self, webhook: Webhook) -> Delivery:
        """Make the request, its retries, and if those fail the fallback. Returns the last delivery.

        It does not raise for anything that the app does: a failure is a delivery with an error.
        """
        delivery = await self._attempts(webhook, webhook.url, webhook.method, webhook.params)
        if delivery.ok or not webhook.fallback_url:
            return delivery
        failed = {
            "ErrorCode": str(delivery.error_code or 11200),
            "ErrorUrl": webhook.url.partition("#")[0],
        }
        params = {**webhook.params, **failed}
        return await self._attempts(webhook, webhook.fallback_url, webhook.fallback_method, params)

    async def _attempts(self, webhook: Webhook, url: str, method: str, params: Mapping[str, str]) -> Delivery:
        url, _, fragment = url.partition("#")
        overrides = Overrides.parse(fragment, self.options.webhook_timeout)
        token = str(uuid4())
        deadline = time.monotonic() + overrides.total
        attempt = 1
        while True:
            delivery = self._prepare(webhook, url, method, params, token, attempt)
            await self._make(delivery, overrides, deadline - time.monotonic())
            self.on_change()
            if delivery.ok or attempt > overrides.retries or not overrides.again(delivery):
                return delivery
            if time.monotonic() >= deadline:
                return delivery
            attempt += 1

    def _prepare(
        self, webhook: Webhook, url: str, method: str, params: Mapping[str, str], token: str, attempt: int
    ) -> Delivery:
        if method == "GET":
            url += ("&" if urlsplit(url).query else "?") + urlencode(params)
        signed = {} if method == "GET" else params
        self.made += 1
        delivery = Delivery(
            number=self.made,
            kind=webhook.kind,
            sid=webhook.sid,
            at=self.clock(),
            method=method,
            url=url,
            params=params,
            signature=RequestValidator(self.options.auth_token).compute_signature(url, signed),
            idempotency_token=token,
            attempt=attempt,
        )
        self.deliveries.append(delivery)
        return delivery

    async def _make(self, delivery: Delivery, overrides: Overrides, remaining: float) -> None:
        if not is_allowed(delivery.url, self.options):
            delivery.error_code, delivery.error = 11205, "refused: not a loopback URL"
            log.warning("webhook %s %s refused: its URL is not on this machine", delivery.kind, delivery.sid)
            return
        assert self._session is not None, "open() comes first"  # noqa: S101
        headers = {
            "X-Twilio-Signature": delivery.signature,
            "I-Twilio-Idempotency-Token": delivery.idempotency_token,
        }
        data = None
        if delivery.method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
            data = urlencode(delivery.params).encode()
        timeout = aiohttp.ClientTimeout(
            total=max(remaining, 0.001), sock_connect=overrides.connect, sock_read=overrides.read
        )
        began = time.monotonic()
        try:
            async with self._session.request(
                delivery.method,
                URL(delivery.url, encoded=True),
                data=data,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                delivery.content_type = response.content_type
                delivery.body = (await response.content.read(_BODY_LIMIT)).decode("utf-8", "replace")
                delivery.status = response.status
                if not delivery.ok:
                    delivery.error_code = 11200
        except aiohttp.ConnectionTimeoutError:
            delivery.error_code, delivery.error = 11205, "ct"
        except TimeoutError:
            delivery.error_code, delivery.error = 11200, "rt"
        except aiohttp.ClientConnectorError:
            delivery.error_code, delivery.error = 11205, "ct"
        except (aiohttp.ClientError, ConnectionError, ValueError) as exc:
            delivery.error_code, delivery.error = 11200, type(exc).__name__
        finally:
            delivery.milliseconds = round((time.monotonic() - began) * 1000)
        log.info(
            "webhook %s %s -> %s in %s ms",
            delivery.kind,
            delivery.sid,
            delivery.status or f"failed ({_REASONS.get(delivery.error, delivery.error)})",
            delivery.milliseconds,
        )


_REASONS = {"ct": "no connection", "rt": "timed out"}
