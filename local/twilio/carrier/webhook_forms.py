"""The parameters of each webhook about a message, as Twilio documents them."""

import mimetypes
from datetime import datetime

from local.twilio.model.addresses import channel, geography
from local.twilio.model.errors import meaning
from local.twilio.model.resources import API_VERSION, Media, Message


def media_type(url: str) -> str:
    """The content type of a media URL, by the ending of its path; a data URL has it in itself."""
    if url.startswith("data:"):
        return url[5:].partition(",")[0].partition(";")[0] or "text/plain"
    return mimetypes.guess_type(url.partition("?")[0])[0] or "application/octet-stream"


def inbound_message(message: Message, base_url: str, opt_out_type: str | None) -> dict[str, str]:
    """Twilio's request for an incoming message (twilio.com/docs/messaging/guides/webhook-request)."""
    kind, number = channel(message.sender or "")
    form = {
        "MessageSid": message.sid,
        "SmsSid": message.sid,
        "SmsMessageSid": message.sid,
        "AccountSid": message.account_sid,
        "From": message.sender or "",
        "To": message.to,
        "Body": message.body_text,
        "NumMedia": str(len(message.media)),
        "NumSegments": str(message.segments),
        "SmsStatus": "received",
        "ApiVersion": API_VERSION,
    }
    if kind:
        form |= {
            "ProfileName": "Switchboard",
            "WaId": number.lstrip("+"),
            "MessageType": _whatsapp_type(message.media),
        }
    else:
        form |= dict(geography("From", message.sender or "")) | dict(geography("To", message.to))
    if message.messaging_service_sid:
        form["MessagingServiceSid"] = message.messaging_service_sid
    if opt_out_type:
        form["OptOutType"] = opt_out_type
    for index, media in enumerate(message.media):
        form[f"MediaUrl{index}"] = base_url + media.path
        form[f"MediaContentType{index}"] = media.content_type
    return form


def _whatsapp_type(media: list[Media]) -> str:
    return media[0].content_type.partition("/")[0] if media else "text"


def message_status(message: Message, status: str, now: datetime) -> dict[str, str]:
    """A message's status callback (twilio.com/docs/messaging/guides/track-outbound-message-status)."""
    form = {
        "MessageSid": message.sid,
        "SmsSid": message.sid,
        "MessageStatus": status,
        "SmsStatus": status,
        "AccountSid": message.account_sid,
        "From": message.sender or "",
        "To": message.to,
        "ApiVersion": API_VERSION,
    }
    if message.messaging_service_sid:
        form["MessagingServiceSid"] = message.messaging_service_sid
    if message.error_code is not None:
        form["ErrorCode"] = str(message.error_code)
    kind = channel(message.to)[0]
    if kind:
        form |= {
            "ChannelInstallSid": "XE" + "0" * 32,
            "ChannelPrefix": kind,
            "ChannelToAddress": message.to,
            "StructuredMessage": "false",
        }
        if status in {"delivered", "read"}:
            form["EventType"] = status.upper()
        if message.error_code is not None:
            form["ChannelStatusMessage"] = meaning(message.error_code)
    elif status in {"delivered", "undelivered"}:
        form["RawDlrDoneDate"] = now.strftime("%y%m%d%H%M")
    return form
