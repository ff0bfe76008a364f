"""Messages: which are accepted, which are refused, how they progress, and the records of inbound ones."""

import logging
from datetime import UTC, datetime, timedelta

from local.twilio.carrier import webhook_forms as forms
from local.twilio.carrier.backend import Backend
from local.twilio.carrier.webhooks import Webhook
from local.twilio.model.addresses import (
    MAGIC_SENDER,
    MAGIC_SMS_FROM,
    MAGIC_SMS_TO,
    channel,
    e164,
    is_alphanumeric,
    segments,
)
from local.twilio.model.errors import ApiError
from local.twilio.model.faults import Planned
from local.twilio.model.options import MessagingService
from local.twilio.model.params import Form, is_url
from local.twilio.model.resources import Media, Message, MessageStatus, Source, mask, new_sid

log = logging.getLogger("local.twilio")

BODY_LIMIT = 1600
_MEDIA_LIMIT = 10
_PRICE = {"sms": 0.0079, "mms": 0.02}


class Messaging:
    """Creates messages, and lets them progress on the emulator's loop."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def create(self, form: Form, planned: Planned | None = None) -> Message:
        """The message of a POST to Messages. It progresses after `start`. Raises ApiError."""
        backend = self._backend
        to = self._recipient(form.get("To"))
        service, sender = self._sender(form, to)
        text, media = form.get("Body"), form.all("MediaUrl")
        self._check_content(text, media, form)
        self._check_opt_out(to, sender, service)
        callback = self._callback(form, service)
        now = backend.clock()
        status: MessageStatus = "accepted" if service else "queued"
        send_at = None
        if service and form.get("ScheduleType") == "fixed":
            send_at = _send_at(form.get("SendAt"), now)
            status = "scheduled"
        form.whole("ValidityPeriod", 21624, 36_000, 1, 36_000)
        message = Message(
            sid=new_sid("MM" if media else "SM"),
            account_sid=backend.account.sid,
            to=to,
            sender=None if service and not form.get("From") else sender,
            body_text=text,
            direction="outbound-api",
            status=status,
            date_created=now,
            date_updated=now,
            segments=segments(text),
            source="api",
            messaging_service_sid=service.sid if service else None,
            status_callback=callback,
            send_at=send_at,
        )
        self._attach(message, media)
        self._decide_end(message, planned)
        self._keep(message)
        return message

    def reply(
        self, text: str, media: list[str], *, to: str, sender: str, callback: str | None, source: Source
    ) -> Message:
        """A message from TwiML, or one of Twilio's automatic replies. Raises ApiError as `create` does."""
        backend = self._backend
        recipient = self._recipient(to)
        self._check_owned(sender, recipient)
        self._check_content(text, media, Form())
        if source != "automatic":
            self._check_opt_out(recipient, sender, None)
        now = backend.clock()
        message = Message(
            sid=new_sid("MM" if media else "SM"),
            account_sid=backend.account.sid,
            to=recipient,
            sender=sender,
            body_text=text,
            direction="outbound-call" if source == "call" else "outbound-reply",
            status="queued",
            date_created=now,
            date_updated=now,
            segments=segments(text),
            source=source,
            status_callback=callback,
        )
        self._attach(message, media)
        self._decide_end(message, None)
        self._keep(message)
        self.start(message)
        return message

    def receive(self, *, sender: str, to: str, text: str, media: list[str]) -> Message:
        """The record of an inbound message, made before the webhook is sent."""
        backend = self._backend
        now = backend.clock()
        number = channel(to)[1]
        service = backend.account.service_of(number)
        message = Message(
            sid=new_sid("MM" if media else "SM"),
            account_sid=backend.account.sid,
            to=to,
            sender=sender,
            body_text=text,
            direction="inbound",
            status="received",
            date_created=now,
            date_updated=now,
            date_sent=now,
            segments=segments(text),
            source="inbound",
            messaging_service_sid=service.sid if service else None,
        )
        self._attach(message, media)
        backend.messages.add(message)
        log.info("message %s from %s to %s received", message.sid, mask(sender), mask(to))
        backend.changed()
        return message

    def _keep(self, message: Message) -> None:
        backend = self._backend
        backend.messages.add(message)
        backend.ledger.add_message(message)
        log.info(
            "message %s from %s to %s %s",
            message.sid,
            mask(message.sender or message.messaging_service_sid),
            mask(message.to),
            message.status,
        )
        backend.changed()

    def _attach(self, message: Message, urls: list[str]) -> None:
        message.media = [
            Media(
                new_sid("ME"),
                message.sid,
                message.account_sid,
                url,
                forms.media_type(url),
                message.date_created,
                sequence=len(urls) - index,
            )
            for index, url in enumerate(urls)
        ]

    # What is accepted

    def _recipient(self, to: str) -> str:
        if not to:
            raise ApiError(21604)
        kind, address = channel(to)
        if not kind and address.isdecimal() and 3 <= len(address) <= 6:
            raise ApiError(21265)
        number = e164(address)
        if number is None:
            raise ApiError(21211, f"The 'To' number {to} is not a valid phone number.")
        if not kind and number in MAGIC_SMS_TO:
            raise ApiError(MAGIC_SMS_TO[number])
        return f"{kind}:{number}" if kind else number

    def _sender(self, form: Form, to: str) -> tuple[MessagingService | None, str]:
        """The Messaging Service, if one is used, and the sender: the given one, or the service's first."""
        backend = self._backend
        service_sid, sender = form.get("MessagingServiceSid"), form.get("From")
        if sender.startswith("MG") and not service_sid:
            service_sid, sender = sender, ""
        if not service_sid:
            if not sender:
                raise ApiError(21603)
            return None, self._check_owned(sender, to)
        service = backend.account.services.get(service_sid)
        if service is None:
            raise ApiError(21701, status=404)
        pool = backend.account.senders(service)
        if not pool:
            raise ApiError(21704 if not service.senders else 21703)
        if sender:
            return service, self._check_owned(sender, to)
        kind = channel(to)[0]
        return service, f"{kind}:{pool[0]}" if kind else pool[0]

    def _check_owned(self, sender: str, to: str) -> str:
        kind, address = channel(sender)
        if kind != channel(to)[0]:
            raise ApiError(63007 if kind else 21612)
        number = e164(address)
        if number in MAGIC_SMS_FROM:
            raise ApiError(MAGIC_SMS_FROM[number])
        if number == MAGIC_SENDER:
            return sender
        if number is None:
            if is_alphanumeric(address) and not to.startswith("+1"):
                return address
            raise ApiError(21212, f"The 'From' number {sender} is not a valid phone number or sender.")
        owned = self._backend.account.number(number)
        if owned is None:
            raise (
                ApiError(63007)
                if kind
                else ApiError(
                    21606,
                    f"The From phone number {sender} is not a valid, SMS-capable inbound phone number"
                    " or short code for your account.",
                )
            )
        if "sms" not in owned.capabilities:
            raise ApiError(21661)
        if number == channel(to)[1]:
            raise ApiError(21266)
        return f"{kind}:{number}" if kind else number

    def _check_content(self, text: str, media: list[str], form: Form) -> None:
        if not text and not media and not form.get("ContentSid"):
            raise ApiError(21619)
        if len(text.encode("utf-16-le")) // 2 > BODY_LIMIT:
            raise ApiError(21617)
        if len(media) > _MEDIA_LIMIT:
            raise ApiError(21623)
        if not all(is_url(url) or url.startswith("data:") for url in media):
            raise ApiError(21620)

    def _check_opt_out(self, to: str, sender: str, service: MessagingService | None) -> None:
        against = [sender, *([service.sid] if service else [])]
        if any(self._backend.opt_outs.refuses(to, each) for each in against):
            raise ApiError(21610)

    def _callback(self, form: Form, service: MessagingService | None) -> str | None:
        callback = form.url("StatusCallback", 21609)
        application_sid = form.get("ApplicationSid")
        if application_sid:
            application = self._backend.account.applications.get(application_sid)
            if application is None:
                raise ApiError(21218)
            callback = (
                callback
                or application.text("message_status_callback")
                or application.text("sms_status_callback")
            )
        return callback or (service.status_callback if service else None) or None

    def _decide_end(self, message: Message, planned: Planned | None) -> None:
        if planned is not None and planned.outcome in {"sent", "delivered", "undelivered", "failed"}:
            code = planned.code
            if code is None and planned.outcome in {"undelivered", "failed"}:
                code = 30003 if planned.outcome == "undelivered" else 30008
            message.ends = (planned.outcome, code)  # type: ignore[assignment]
        elif self._backend.dice.hits("undelivered"):
            message.ends = ("undelivered", 30003)

    # How it progresses

    def start(self, message: Message) -> None:
        """Let the message progress by itself. As at Twilio, its first status is not reported."""
        backend = self._backend
        wait = backend.pace.step
        if message.send_at is not None:
            backend.at(message.send_at, self._advance, message)
            return
        backend.background.later(wait, self._advance, message)

    async def hurry(self, message: Message) -> None:
        """Send it now, and wait a little for its callbacks, so that they come before the POST's answer."""
        while message.status in {"accepted", "queued"}:
            self._step(message)
        await self._backend.callbacks.sent(message.sid, 2)

    def _advance(self, message: Message) -> None:
        if self._backend.messages.get(message.sid) is message and self._step(message):
            self._backend.background.later(self._backend.pace.step, self._advance, message)

    def _step(self, message: Message) -> bool:
        """Move to the next status. Returns whether another one follows."""
        end, code = message.ends
        match message.status:
            case "accepted" | "scheduled":
                if message.sender is None:
                    message.sender = self._pick(message)
                self._enter(message, "queued")
            case "queued" if end == "failed":
                self._enter(message, "failed", code)
            case "queued":
                message.date_sent = self._backend.clock()
                kind = "mms" if message.media else "sms"
                count = 1 if message.media else message.segments
                message.price = f"-{_PRICE[kind] * count:.5f}"
                self._enter(message, "sent")
            case "sent" if end != "sent":
                self._enter(message, end, code)
            case _:
                return False
        return message.status in {"queued", "sent"} and message.status != end

    def _pick(self, message: Message) -> str:
        account = self._backend.account
        pool = account.senders(account.services[message.messaging_service_sid or ""])
        # A sticky sender: the same person always gets texts from the same number.
        number = pool[sum(map(ord, message.to)) % len(pool)] if pool else ""
        kind = channel(message.to)[0]
        return f"{kind}:{number}" if kind else number

    def _enter(self, message: Message, status: MessageStatus, code: int | None = None) -> None:
        backend = self._backend
        log.info("message %s %s -> %s", message.sid, message.status, status)
        message.status = status
        message.error_code = code
        message.date_updated = backend.clock()
        backend.changed()
        if message.status_callback:
            webhook = Webhook(
                kind="message-status",
                sid=message.sid,
                url=message.status_callback,
                params=forms.message_status(message, status, message.date_updated),
            )
            backend.callbacks.add(webhook, last=status == message.ends[0] or status == "canceled")

    # What may be changed

    def update(self, message: Message, form: Form) -> Message:
        """Redact a message (an empty Body), or cancel a scheduled one. Raises ApiError."""
        if form.get("Status"):
            if form.get("Status") != "canceled":
                raise ApiError(20001, "Status must be canceled")
            if message.status != "scheduled":
                raise ApiError(30409)
            message.ends = ("canceled", None)
            self._enter(message, "canceled")
        if form.given("Body"):
            if form.get("Body"):
                raise ApiError(20001, "Body can only be set to an empty string, which redacts it")
            if message.status not in {
                "delivered",
                "undelivered",
                "failed",
                "canceled",
                "received",
                "sent",
                "read",
            }:
                raise ApiError(20409, "The message cannot be redacted before it has been sent")
            message.body_text = ""
            message.date_updated = self._backend.clock()
            self._backend.changed()
        return message

    def delete(self, message: Message) -> None:
        """Delete a message. Raises ApiError (20009) for one that is still under way."""
        if message.status in {"accepted", "queued", "sending", "scheduled"}:
            raise ApiError(20009, "Cannot delete this resource before it is complete", status=409)
        self._backend.messages.remove(message)
        self._backend.changed()


def _send_at(text: str, now: datetime) -> datetime:
    """When a scheduled message leaves: 5 minutes to 35 days ahead (error 35114 otherwise)."""
    if not text:
        raise ApiError(35111)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ApiError(35114) from exc
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    if not timedelta(seconds=300) <= moment - now <= timedelta(days=35):
        raise ApiError(35114)
    return moment
