"""Twilio's REST client: one session, in which every request has a time limit."""

import logging
from typing import TYPE_CHECKING, Any

from shared.config import Settings

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession, ClientTimeout
    from twilio.rest import Client

TIMEOUT = 15.0
"""Seconds for one request to Twilio: far less than the lease of the message or call that it sends."""
CONNECT_TIMEOUT = 5.0

# twilio-python logs the parameters of every request at INFO, phone numbers and texts among them.
logging.getLogger("twilio").setLevel(logging.WARNING)


class _Limited:
    """A session that sets the time limit of every request.

    AsyncTwilioHttpClient passes `timeout=None` with each request, which overrides the session's own limit.
    """

    def __init__(self, session: "ClientSession", timeout: "ClientTimeout") -> None:
        self._session = session
        self._timeout = timeout

    async def request(self, **kwargs: Any) -> "ClientResponse":
        return await self._session.request(**{**kwargs, "timeout": self._timeout})

    async def close(self) -> None:
        await self._session.close()


def rest_client(settings: Settings) -> "Client":
    """A client with a session of our own: our time limit, and one connection for each send at the same time.

    AsyncTwilioHttpClient ignores its `timeout` argument and opens at most 100 connections, and its
    `max_retries` would repeat a POST after a 5xx, which can send a second SMS.
    """
    from aiohttp import ClientSession, ClientTimeout, TCPConnector
    from twilio.http.async_http_client import AsyncTwilioHttpClient
    from twilio.rest import Client

    http = AsyncTwilioHttpClient(pool_connections=False)
    http.session = _Limited(
        ClientSession(connector=TCPConnector(limit=settings.send_concurrency + 8)),
        ClientTimeout(total=TIMEOUT, sock_connect=CONNECT_TIMEOUT),
    )
    username, password = settings.account_sid, settings.auth_token
    if settings.api_key and settings.api_secret:
        username, password = settings.api_key, settings.api_secret
    client = Client(username, password, settings.account_sid, http_client=http)
    if settings.twilio_base_url:
        client.region = client.edge = None  # else TWILIO_REGION and TWILIO_EDGE rewrite the host
        client.api.base_url = settings.twilio_base_url
    return client
