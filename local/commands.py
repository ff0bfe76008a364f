"""What the commands of `python -m local` do with a laptop edition that is running."""

import json
import secrets
import string
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit, urlunsplit
from xml.etree import ElementTree

import aiohttp
from twilio.request_validator import RequestValidator
from yarl import URL

from local.host import core_tools
from local.host.access import Keys
from local.launcher.running_env import Running
from shared.config import is_loopback

_PERSON = "+12025550101"
QUEUE = "outbound-calls"


class CommandFailed(Exception):
    """A command did not work. The message says why."""


@dataclass(frozen=True, slots=True)
class WebhookReply:
    """The answer to a request. text: TwiML is indented, anything else is as it came."""

    status: int
    text: str


async def twiml(running: Running, url: str, fields: dict[str, str]) -> WebhookReply:
    """Request a webhook as Twilio would, signed for PUBLIC_BASE_URL. url: a path or a whole URL.

    Fields that Twilio always sends are added unless they are given. The URL is signed and sent as it was
    typed; only characters that cannot be in a request line are encoded.
    """
    url = quote(url, safe=string.punctuation)
    signed = _absolute(url, running.settings["PUBLIC_BASE_URL"])
    reached = _absolute(url, running.url) if is_loopback(signed) or url.startswith("/") else url
    form = {**_usual_fields(running, urlsplit(signed).path), **fields}
    signature = RequestValidator(running.settings["TWILIO_AUTH_TOKEN"]).compute_signature(signed, form)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session,
            session.post(
                URL(reached, encoded=True), data=form, headers={"X-Twilio-Signature": signature}
            ) as response,
        ):
            body = await response.text()
            return WebhookReply(response.status, _indented(body) if body.lstrip().startswith("<") else body)
    except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
        raise CommandFailed(f"no answer from {reached}: {exc or 'it took longer than 15 s'}") from exc


async def schedule(running: Running, to: str, body: str, seconds: float) -> tuple[str, WebhookReply]:
    """POST /api/messages, to be sent in that many seconds. Returns the JSON that was sent, and the answer."""
    due = datetime.now(UTC) + timedelta(seconds=seconds)
    asked = json.dumps({"to": to, "body": body, "send_at": due.isoformat(timespec="seconds")})
    headers = {"Content-Type": "application/json"}
    if running.key:
        headers["x-functions-key"] = running.key
    url = f"{running.url}/api/messages"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session,
            session.post(url, data=asked, headers=headers) as response,
        ):
            return asked, WebhookReply(response.status, await response.text())
    except (aiohttp.ClientError, TimeoutError) as exc:
        raise CommandFailed(f"no answer from {url}: {exc or 'it took longer than 15 s'}") from exc


def queue_call(running: Running, to: str, *, say: str | None, url: str | None, twiml: str | None) -> str:
    """Put one call on the queue, as any program with the storage account could. Returns the message's id."""
    from azure.core.exceptions import AzureError, ResourceExistsError
    from azure.storage.queue import QueueClient

    content = {"say": say, "url": url, "twiml": twiml}
    request = {"to": to, **{name: value for name, value in content.items() if value is not None}}
    connection = running.settings["AzureWebJobsStorage"]
    with QueueClient.from_connection_string(connection, QUEUE, retry_total=0) as queue:
        try:
            with suppress(ResourceExistsError):  # the host does not make it
                queue.create_queue()
            return str(queue.send_message(json.dumps(request)).id)
        except AzureError as exc:
            reason = str(exc).partition("\n")[0]
            raise CommandFailed(f"the queue {QUEUE} did not take it: {reason}") from exc


async def function_keys(connection: str) -> dict[str, Keys]:
    """Core Tools' keys in this storage account, by the id of their host. Raises NoKeys, CommandFailed."""
    if found := await core_tools.stored(connection):
        return found
    raise CommandFailed(
        f"there is no function key in the container {core_tools.CONTAINER}: `func start --enableAuth` makes "
        "them at the first request that carries one, such as "
        "curl -H 'x-functions-key: none' http://localhost:7071/admin/host/status"
    )


def _absolute(url: str, origin: str) -> str:
    try:
        parts, base = urlsplit(url), urlsplit(origin)
    except ValueError as exc:
        raise CommandFailed(f"{url} is not a URL: {exc}") from exc
    if parts.scheme and not is_loopback(url):
        return url
    return urlunsplit((base.scheme, base.netloc, parts.path, parts.query, ""))


def _usual_fields(running: Running, path: str) -> dict[str, str]:
    account, ours = running.settings["TWILIO_ACCOUNT_SID"], running.settings["TWILIO_FROM_NUMBER"]
    common = {"AccountSid": account, "ApiVersion": "2010-04-01", "From": _PERSON, "To": ours}
    if "/sms" in path:
        sid = f"SM{secrets.token_hex(16)}"
        return {
            **common,
            "MessageSid": sid,
            "SmsSid": sid,
            "SmsStatus": "received",
            "NumMedia": "0",
            "Body": "",
        }
    return {
        **common,
        "CallSid": f"CA{secrets.token_hex(16)}",
        "CallStatus": "ringing",
        "Direction": "inbound",
        "Caller": _PERSON,
        "Called": ours,
    }


def _indented(text: str) -> str:
    try:
        # This is what our own app answered; nothing from outside is parsed here.
        root = ElementTree.fromstring(text)  # noqa: S314
    except ElementTree.ParseError:
        return text
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")
