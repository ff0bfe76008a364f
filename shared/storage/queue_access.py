"""May the app use its queues? Tried over REST as the app's identity: the Queue SDK is not deployed.

The host receives and sends with the same identity, so what is refused here is refused to the bindings.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit
from uuid import uuid4
from xml.etree import ElementTree

from azure.core import AsyncPipelineClient
from azure.core.credentials import AzureSasCredential
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import (
    AsyncBearerTokenCredentialPolicy,
    AzureSasCredentialPolicy,
    SansIOHTTPPolicy,
)
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.core.utils import parse_connection_string

from shared.config import Settings, url_parts
from shared.errors import SwitchboardError
from shared.storage.tables import TIMEOUTS, identity

QUEUES = ("outbound-calls", "sms-drain", "bulk-load")
OWN = "diagnosis"
"""A queue that nobody listens to: what is put there is taken out again."""
VERSION = "2021-12-02"
SCOPE = "https://storage.azure.com/.default"
SUFFIX = "core.windows.net"
ENDPOINTS = ("BlobEndpoint", "QueueEndpoint", "TableEndpoint")
SIGNED = (
    "Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type", "Date",
    "If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range",
)  # fmt: skip


class Refused(SwitchboardError):
    """Queue storage does not let the app do what it has to."""


def check_connection(connection: str | None) -> Mapping[str, str]:
    """What a connection string has, by its names in small letters; nothing where there is none.

    Raises Refused, which says what would be right and repeats nothing of it: all of it may be the key.
    """
    if not connection:
        return {}
    try:
        known = parse_connection_string(connection)
    except ValueError as exc:
        raise _malformed("must be NAME=VALUE with ; between, each name once") from exc
    account, sas = known.get("accountname"), known.get("sharedaccesssignature")
    own = [name for name in ENDPOINTS if name.lower() in known]
    if account is None and not (sas and len(own) == len(ENDPOINTS)):
        raise _malformed("must have an AccountName")
    if account is not None and not re.fullmatch("[A-Za-z0-9-]{1,63}", account):
        raise _malformed("must have an AccountName of letters and digits")
    if sas is None:
        try:
            base64.b64decode(known["accountkey"], validate=True)
        except KeyError as exc:
            raise _malformed("must have an AccountKey or a SharedAccessSignature") from exc
        except ValueError as exc:
            raise _malformed("must have an AccountKey in base64, whole and without spaces") from exc
    for name in own:
        if not _is_address(known[name.lower()]):
            example = f"https://example.{name.removesuffix('Endpoint').lower()}.{SUFFIX}"
            raise _malformed(f"must have a URL as {name}, such as {example}")
    scheme, suffix = known.get("defaultendpointsprotocol", "https"), known.get("endpointsuffix", SUFFIX)
    if scheme not in {"http", "https"}:
        raise _malformed("must have http or https as DefaultEndpointsProtocol")
    if not _is_address(f"{scheme}://a.{suffix}"):
        raise _malformed(f"must have a host as EndpointSuffix, such as {SUFFIX}")
    return known


def _malformed(problem: str) -> Refused:
    return Refused(f"AzureWebJobsStorage {problem}: copy it from the storage account's Access keys")


def _is_address(url: str) -> bool:
    parts = url_parts(url)
    if parts.scheme not in {"http", "https"} or re.search(r"[\s\x00-\x1f\x7f]", url):
        return False
    host = parts.hostname or ""
    return ":" in host or bool(re.fullmatch(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*", host))


async def try_queues(settings: Settings) -> None:
    """Look into each queue; send, receive and delete in one of our own. Raises Refused or AzureError.

    A queue that is not there yet is no fault: the host makes it when it is first used.
    """
    credential = None if settings.storage else identity(settings)
    endpoint, policy = _entrance(settings, credential)
    async with AsyncPipelineClient[HttpRequest, AsyncHttpResponse](
        endpoint, policies=[policy], use_env_settings=False
    ) as client:
        storage = _Queues(client, endpoint)
        try:
            for name in QUEUES:
                await storage.ask(f"look into {name}", "GET", f"{name}/messages?peekonly=true", {200, 404})
            await storage.ask(f"make the queue {OWN}", "PUT", OWN, {201, 204})
            text = f"<QueueMessage><MessageText>{uuid4().hex}</MessageText></QueueMessage>"
            path = f"{OWN}/messages"
            sent = await storage.ask("send to a queue", "POST", f"{path}?messagettl=60", {201}, text)
            received = await storage.ask("receive from a queue", "GET", f"{path}?visibilitytimeout=30", {200})
            one, receipt = _message(received) or _message(sent) or ("", "")  # none: another doctor took it
            path = f"{path}/{one}?popreceipt={quote(receipt, safe='')}"
            await storage.ask("delete from a queue", "DELETE", path, {204, 404})
        finally:
            if credential:
                await credential.close()


class _Queues:
    def __init__(self, client: AsyncPipelineClient[HttpRequest, AsyncHttpResponse], endpoint: str) -> None:
        self._client = client
        self._endpoint = endpoint

    async def ask(self, what: str, method: str, path: str, wanted: set[int], body: str = "") -> str:
        """The answer's XML. Raises Refused, which says what cannot be done and storage's code."""
        headers = {
            "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
            "x-ms-version": VERSION,
            "Content-Length": str(len(body)),
            **({"Content-Type": "application/xml"} if body else {}),
        }
        request = HttpRequest(
            method, f"{self._endpoint}/{path}", headers=headers, content=body.encode() if body else None
        )
        limits = {name: TIMEOUTS[name] for name in ("connection_timeout", "read_timeout")}
        answer = await self._client.send_request(request, **limits)
        code = answer.headers.get("x-ms-error-code", "")
        if answer.status_code not in wanted and code != "PopReceiptMismatch":
            raise Refused(f"the app cannot {what}: storage answers {answer.status_code} {code}".rstrip())
        return str(answer.text())


def _entrance(settings: Settings, credential: Any) -> tuple[str, Any]:
    """Where the queues are, and what opens them: the identity, or what the connection string has."""
    if credential:
        endpoint = f"https://{settings.storage_account}.queue.core.windows.net"
        return endpoint, AsyncBearerTokenCredentialPolicy(credential, SCOPE)
    known = check_connection(settings.storage)
    account, suffix = known.get("accountname", ""), known.get("endpointsuffix", SUFFIX)
    default = f"{known.get('defaultendpointsprotocol', 'https')}://{account}.queue.{suffix}"
    endpoint = known.get("queueendpoint", default).rstrip("/")
    if "sharedaccesssignature" in known:
        return endpoint, AzureSasCredentialPolicy(AzureSasCredential(known["sharedaccesssignature"]))
    return endpoint, _SharedKey(account, known["accountkey"])


class _SharedKey(SansIOHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Signs with the account's key (Azure Storage: Authorize with Shared Key)."""

    def __init__(self, account: str, key: str) -> None:
        super().__init__()
        self._account = account
        self._key = base64.b64decode(key)

    def on_request(self, request: PipelineRequest[HttpRequest]) -> None:
        """Add the Authorization header."""
        asked = request.http_request
        url = urlsplit(asked.url)
        values = [asked.headers.get(name) or "" for name in SIGNED]
        lines = [asked.method, *("" if value == "0" else value for value in values)]
        ours = sorted((k.lower(), v) for k, v in asked.headers.items() if k.lower().startswith("x-ms-"))
        lines += [f"{name}:{value}" for name, value in ours]
        lines += [f"/{self._account}{url.path}"]
        lines += [f"{name}:{value}" for name, value in sorted(parse_qsl(url.query))]
        digest = hmac.digest(self._key, "\n".join(lines).encode(), hashlib.sha256)
        signature = base64.b64encode(digest).decode()
        asked.headers["Authorization"] = f"SharedKey {self._account}:{signature}"


def _message(text: str) -> tuple[str, str] | None:
    """(id, pop receipt) of the first message in an answer."""
    found = ElementTree.fromstring(text).find("QueueMessage")  # noqa: S314 - our own storage's answer
    return None if found is None else (found.findtext("MessageId", ""), found.findtext("PopReceipt", ""))
