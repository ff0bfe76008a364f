"""A person texts one of our numbers: opt-out keywords, the webhook, and the TwiML that answers it."""

import logging
from urllib.parse import urljoin
from xml.etree import ElementTree

from local.twilio.carrier import webhook_forms as forms
from local.twilio.carrier.backend import Backend
from local.twilio.carrier.messaging import Messaging
from local.twilio.carrier.webhooks import Delivery, Webhook
from local.twilio.model.account import InboundError, Resource, party
from local.twilio.model.addresses import channel
from local.twilio.model.errors import ApiError
from local.twilio.model.options import MessagingService
from local.twilio.model.resources import Inbound, Message

log = logging.getLogger("local.twilio")

# Twilio's default keywords (help.twilio.com, "Twilio support for opt-out keywords").
STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START = frozenset({"START", "YES", "UNSTOP"})
HELP = frozenset({"HELP", "INFO"})
_AUTOMATIC = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages from this"
    " number. Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number. Reply HELP for help."
    " Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}
_REDIRECTS = 10
_TWIML = frozenset({"text/xml", "application/xml", "text/html"})


async def receive_message(
    backend: Backend, messaging: Messaging, sender: str, to: str, text: str, media: list[str]
) -> Inbound:
    """Deliver one inbound text to the app, and send the replies of its TwiML. Raises InboundError."""
    sender = party("from", sender)
    to, number = backend.account.our_number(to)
    if not text and not media:
        raise InboundError("body: must not be empty without media_urls")
    service = backend.account.service_of(number.phone_number)
    if service and not service.use_inbound_webhook_on_number and not service.inbound_request_url:
        raise InboundError(
            f"to: the Messaging Service {service.sid} drops the number's texts: it needs an"
            " inbound_request_url, or use_inbound_webhook_on_number"
        )
    message = messaging.receive(sender=sender, to=to, text=text, media=media)
    keyword = _keyword(backend, message)
    url, method, fallback, fallback_method = sms_urls(backend, number, service)
    result = Inbound(message.sid)
    if url:
        advanced = keyword if message.messaging_service_sid else None
        webhook = Webhook(
            kind="sms",
            sid=message.sid,
            url=url,
            method=method,
            params=forms.inbound_message(message, backend.base_url, advanced),
            fallback_url=fallback,
            fallback_method=fallback_method,
        )
        await _Conversation(backend, messaging, message, result).run(webhook)
    if keyword and backend.options.automatic_replies and not channel(sender)[0]:
        messaging.reply(_AUTOMATIC[keyword], [], to=sender, sender=to, callback=None, source="automatic")
    return result


def sms_urls(
    backend: Backend, number: Resource, service: MessagingService | None
) -> tuple[str, str, str | None, str]:
    """The webhook and the fallback for texts to a number: those of its Messaging Service, or its own."""
    if service and not service.use_inbound_webhook_on_number:
        fallback = service.fallback_url or None
        return service.inbound_request_url, service.inbound_method, fallback, service.fallback_method
    application = backend.account.applications.get(number.text("sms_application_sid"))
    source = application or number
    return (
        source.text("sms_url"),
        source.text("sms_method"),
        source.text("sms_fallback_url") or None,
        source.text("sms_fallback_method"),
    )


def _keyword(backend: Backend, message: Message) -> str | None:
    """Act on an opt-out keyword before the webhook, as Twilio does. Returns its kind."""
    word = message.body_text.strip().upper()
    person = message.sender or ""
    senders = [message.to, *([message.messaging_service_sid] if message.messaging_service_sid else [])]
    if word in STOP:
        backend.opt_outs.add(person, senders)
        return "STOP"
    if word in START:
        backend.opt_outs.remove(person, senders)
        return "START"
    return "HELP" if word in HELP else None


class _Conversation:
    """Carries out the TwiML that answers one inbound text."""

    def __init__(self, backend: Backend, messaging: Messaging, message: Message, result: Inbound) -> None:
        self._backend = backend
        self._messaging = messaging
        self._message = message
        self._result = result

    async def run(self, webhook: Webhook) -> None:
        for _ in range(_REDIRECTS):
            delivery = await self._backend.webhooks.send(webhook)
            self._result.status, self._result.twiml = delivery.status, delivery.body
            if not delivery.ok:
                self._alert(delivery.error_code or 11200, delivery.error or f"HTTP {delivery.status}")
                return
            redirect = self._follow(delivery)
            if redirect is None:
                return
            url, method = redirect
            webhook = Webhook(kind="sms", sid=webhook.sid, url=url, method=method, params=webhook.params)
        self._alert(11215, "too many redirects")

    def _alert(self, code: int, detail: str) -> None:
        self._result.error = f"{code}: {detail}"
        self._backend.alert(code, self._message.sid, detail)

    def _follow(self, delivery: Delivery) -> tuple[str, str] | None:
        """Send the messages of one document. Returns the URL and method of its <Redirect>, if it has one."""
        text = delivery.body.strip()
        if not text:
            return None
        if delivery.content_type == "text/plain":
            self._send(text, [], ElementTree.Element("Message"), delivery.url)
            return None
        if delivery.content_type not in _TWIML:
            self._alert(12300, delivery.content_type)
            return None
        try:
            # The TwiML comes from our own app, and expat limits the expansion of entities.
            root = ElementTree.fromstring(text)  # noqa: S314
        except ElementTree.ParseError as exc:
            self._alert(12100, str(exc))
            return None
        if root.tag != "Response":
            self._alert(12100, "the root element must be Response")
            return None
        for verb in root:
            if verb.tag in {"Message", "Sms"}:
                bodies = [each.text or "" for each in verb.findall("Body")]
                media = [(each.text or "").strip() for each in verb.findall("Media")]
                self._send("".join(bodies) or (verb.text or "").strip(), media, verb, delivery.url)
            elif verb.tag == "Redirect":
                url = urljoin(delivery.url, (verb.text or "").strip())
                return url, (verb.get("method") or "POST").upper()
            else:
                self._backend.alert(12200, self._message.sid, f"{verb.tag} is not a messaging verb")
        return None

    def _send(self, text: str, media: list[str], verb: ElementTree.Element, document: str) -> None:
        callback = verb.get("statusCallback") or verb.get("action")
        try:
            message = self._messaging.reply(
                text,
                [urljoin(document, url) for url in media],
                to=verb.get("to") or self._message.sender or "",
                sender=verb.get("from") or self._message.to,
                callback=urljoin(document, callback) if callback else None,
                source="reply",
            )
        except ApiError as exc:
            self._alert(exc.code, exc.message)
            return
        self._result.replies.append(message.sid)
