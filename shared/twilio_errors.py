"""Twilio's error codes: the class of our errors for each, and its meaning in words."""

import json
import re

from shared import errors, phone_numbers

# Error codes, each as in Twilio's error and warning dictionary.
CREDENTIALS = {20003, 20005, 30002}  # the last two: the account is suspended
THROTTLED = {20429, 14107}
OURS = {21212, 21606, 21609, 21659, 21660, 21661, 21703, 21408, 63038}
OPTED_OUT = 21610
NOT_FOUND = 20404

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


def meaning(code: int | None, message: str = "") -> str:
    """An error code in words: ours, or else Twilio's `message` with its phone numbers masked."""
    masked = re.sub(r"\+\d{8,15}", lambda number: phone_numbers.masked(number[0]), message)
    return MEANINGS.get(code or 0) or masked or "no reason given"


def classified(code: int | None, status: int, message: str) -> errors.TwilioError:
    """The error for an answer of Twilio's that refuses a request. (DESIGN: Twilio outcomes.)"""
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


def refused_list(exc: Exception) -> errors.TwilioError | None:
    """The error for a list that Twilio refused. twilio-python then gives the response, but not its code."""
    try:
        response = exc.args[1]
        answer = json.loads(response.text)
        return classified(answer["code"], response.status_code, str(answer["message"]))
    except (IndexError, ValueError, TypeError, KeyError, AttributeError):
        return None
