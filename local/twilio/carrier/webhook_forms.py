"""The parameters of each webhook, as Twilio documents them."""

import mimetypes
from datetime import datetime

from local.twilio.model.addresses import channel, geography
from local.twilio.model.errors import meaning
from local.twilio.model.resources import API_VERSION, CALL_ENDED, Call, Media, Message, rfc2822


def media_type(url: str) -> str:
    """The content type of a media URL, by its name; of a data URL, by what it says."""
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


def voice(call: Call, status: str | None = None) -> dict[str, str]:
    """The parameters of every voice request (twilio.com/docs/voice/twiml#request-parameters)."""
    form = {
        "CallSid": call.sid,
        "AccountSid": call.account_sid,
        "From": call.sender,
        "To": call.to,
        "Caller": call.sender,
        "Called": call.to,
        "CallStatus": status or call.status,
        "ApiVersion": API_VERSION,
        "Direction": call.direction,
    }
    for prefix, address in (
        ("From", call.sender), ("Caller", call.sender), ("To", call.to), ("Called", call.to)
    ):  # fmt: skip
        form |= dict(geography(prefix, address))
    if call.parent_call_sid:
        form["ParentCallSid"] = call.parent_call_sid
    if call.caller_name:
        form["CallerName"] = call.caller_name
    if call.application_sid:
        form["ApplicationSid"] = call.application_sid
    if call.direction == "inbound" and call.sender.startswith("+1"):
        form["StirVerstat"] = "TN-Validation-Passed-A"
    if call.answered_by:
        form["AnsweredBy"] = call.answered_by
    return form


_SIP = {
    "completed": "200",
    "in-progress": "200",
    "busy": "486",
    "no-answer": "487",
    "canceled": "487",
    "failed": "404",
}


def call_status(call: Call, status: str, sequence: int, now: datetime) -> dict[str, str]:
    """A call's status callback (twilio.com/docs/voice/api/call-resource#statuscallback).

    CallDuration is in seconds, Duration in minutes begun.
    """
    form = voice(call, status) | {
        "Timestamp": rfc2822(now) or "",
        "CallbackSource": "call-progress-events",
        "SequenceNumber": str(sequence),
    }
    if status in CALL_ENDED:
        form["CallDuration"] = str(call.seconds)
        form["Duration"] = str(-(-call.seconds // 60))
        if call.direction != "inbound":
            form["SipResponseCode"] = _SIP[status]
    return form


def recording(call: Call, sid: str, base_url: str) -> dict[str, str]:
    """What a callback says of one recording of a call."""
    path = f"/{API_VERSION}/Accounts/{call.account_sid}/Recordings/{sid}"
    return {
        "RecordingUrl": base_url + path,
        "RecordingSid": sid,
        "RecordingDuration": str(call.seconds),
    }
