"""Twilio's error codes: what its REST API answers, and what its debugger shows of TwiML and webhooks.

Codes, titles and levels are those of Twilio's Error and Warning Dictionary (twilio.com/docs/api/errors).
"""

from dataclasses import dataclass

_MEANINGS = {
    11100: "Invalid URL format",
    11200: "HTTP retrieval failure",
    11205: "HTTP connection failure",
    11210: "HTTP bad host name",
    11215: "HTTP too many redirects",
    11750: "TwiML response body too large",
    12100: "Document parse failure",
    12102: "The root element must be Response",
    12200: "Schema validation warning",
    12300: "Invalid Content-Type",
    13000: "Conference Noun cannot be mixed with Number nouns",
    13201: "Dial: Cannot Dial out from a Dial Call Segment",
    13210: "Dial: Invalid method value",
    13212: "Dial: Invalid timeout value",
    13213: "Dial: Invalid hangupOnStar value",
    13214: "Dial: Invalid callerId value",
    13216: "Invalid timeLimit value",
    13217: "Dial: Invalid record value",
    13218: "Dial: Invalid sequential value",
    13219: "Dial: Invalid answerOnBridge value",
    13220: "Dial: Invalid ringTone value",
    13221: "Dial->Number: Invalid method value",
    13222: "Dial->Number: Invalid sendDigits value",
    13223: "Dial: Invalid phone number format",
    13224: "Dial: Twilio does not support calling this number or the number is invalid",
    13230: "Dial->Conference: Invalid muted value",
    13231: "Dial->Conference: Invalid endConferenceOnExit value",
    13232: "Dial->Conference: Invalid startConferenceOnEnter value",
    13233: "Dial->Conference: Invalid waitUrl",
    13234: "Dial->Conference: Invalid waitMethod",
    13235: "Dial->Conference: Invalid beep value",
    13237: "Dial->Conference: Invalid Conference Name",
    13238: "Dial->Conference: Invalid Verb used in waitUrl, holdUrl, or announceUrl TwiML",
    13239: "Dial->Conference: Invalid Trim Value",
    13240: "Dial->Conference: Invalid Whisper SID",
    13241: "Dial->SIP: Invalid method value",
    13243: "Dial->SIP: Invalid SIP URI",
    13247: "Dial: Invalid From number (caller ID)",
    13256: "Invalid recordingStatusCallback URL",
    13257: "Invalid transcribeCallback URL",
    13310: "Gather: Invalid finishOnKey value",
    13312: "Gather: Invalid method value",
    13313: "Gather: Invalid timeout value",
    13314: "Gather: Invalid numDigits value",
    13320: "Gather: Invalid nested verb",
    13326: "Gather: Invalid input value",
    13327: "Gather: Invalid speechTimeout value",
    13328: "Gather: Invalid maxSpeechTime value",
    13329: "Gather: Invalid partialResultCallbackMethod value",
    13330: "Gather: Invalid hints value",
    13332: "Gather: Invalid bargeIn value",
    13333: "Gather: Invalid profanityFilter value",
    13338: "Gather: Invalid actionOnEmptyResult value",
    13410: "Play: Invalid loop value",
    13430: "Play: Invalid DTMF String",
    13510: "Say: Invalid loop value",
    13520: "Say: Invalid text",
    13521: "<Say> element character limits exceeded",
    13610: "Record: Invalid method value",
    13611: "Record: Invalid timeout value",
    13612: "Record: Invalid maxLength value",
    13613: "Record: Invalid finishOnKey value",
    13614: "Record: Invalid transcribe value",
    13615: "Record: maxLength too high for transcription",
    13616: "Record: playBeep must be true or false",
    13617: "Record: Recording length is out of range for transcription",
    13621: "Invalid 'recordingStatusCallbackEvent'",
    13622: "Record: invalid recordingTrack value",
    13699: "Record: Invalid trim value",
    13710: "Redirect: Invalid method value",
    13810: "Reject: Invalid cause",
    13910: "Pause: Invalid length value",
    14101: 'Invalid "To" attribute',
    14102: 'Invalid "From" attribute',
    14103: "Invalid Body",
    14104: "Invalid Method attribute",
    14105: "Invalid statusCallback attribute",
    14106: "Document retrieval limit reached",
    14201: "Enqueue: Invalid method value",
    14202: "Enqueue: Invalid waitUrl",
    14204: "Enqueue: Queue name too short",
    14205: "Enqueue: Queue name too long",
    14206: "Enqueue: Invalid waitUrlMethod value",
    14207: "Enqueue: The targeted queue reached max queue size",
    14210: "Dial->Queue: Invalid whisper method",
    14212: "Dial->Queue: queue name too short",
    14213: "Dial->Queue: queue name too long",
    15003: "Call Progress: Warning Response to Callback URL",
    15004: "Action Callback URL must be absolute when updating in-progress calls",
    16025: "Conference participant label is already in use",
    20001: "Unknown parameters",
    20003: "Authenticate",
    20004: "Method not allowed",
    20005: "Account not active",
    20403: "403 Forbidden",
    20404: "The requested resource was not found",
    20409: "Conflict",
    20422: "Invalid Parameter",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    20503: "Service unavailable",
    21201: "No 'To' number is specified",
    21203: "International calling not enabled",
    21205: "Url is not a valid URL",
    21208: "Invalid Timeout",
    21209: "Invalid Method",
    21210: "The source phone number provided is not yet verified for your account",
    21211: "Invalid 'To' Phone Number",
    21212: "Invalid 'From' Number",
    21213: "No 'From' number is specified",
    21214: "'To' phone number cannot be reached",
    21215: "Account not authorized to call this number. Please check your international permissions",
    21216: "Call blocked by Twilio",
    21217: "Phone number does not appear to be valid",
    21218: "Invalid ApplicationSid",
    21219: "The number is unverified. Trial accounts may only make calls to verified numbers",
    21220: "Call is not in-progress. Cannot redirect.",
    21234: "Invalid Machine Detection configuration value",
    21265: "'To' number cannot be a Short Code",
    21266: "'To' and 'From' number cannot be the same",
    21268: "Sending to Premium rate or Information Service numbers is not allowed",
    21402: "Invalid Url",
    21403: "Invalid Method",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number",
    21421: "PhoneNumber is invalid",
    21422: "PhoneNumber is not available",
    21452: "No phone numbers found in area code",
    21481: "Invalid PageToken",
    21601: "Phone number is not a valid SMS-capable inbound phone number",
    21602: "Message body is required",
    21603: "A 'From' phone number is required",
    21604: "A 'To' phone number is required",
    21606: "'From' number is not a valid message-capable Twilio number for this account",
    21608: "The number is unverified. Trial accounts cannot send messages to unverified numbers",
    21609: "Invalid 'StatusCallback'",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "Message cannot be sent with the current combination of 'To' and/or 'From' parameters",
    21614: "'To' number is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21619: "A text message body or media urls must be specified.",
    21620: "Invalid media URL(s)",
    21623: "Number of media files exceeds allowed limit",
    21624: "Invalid validity period value",
    21626: "Invalid 'StatusCallbackEvent'",
    21635: "'To' number cannot be a landline",
    21659: "'From' is not a Twilio phone number or Short Code country mismatch",
    21660: "Mismatch between the 'From' number and the account",
    21661: "'From' number is not SMS-capable",
    21701: "The Messaging Service does not exist",
    21703: "The Messaging Service does not have a phone number available to send a message",
    21704: "The Messaging Service contains no phone numbers",
    30001: "Queue overflow",
    30002: "Account suspended",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Carrier violation",
    30008: "Unknown error",
    30034: "US A2P 10DLC - Message from an Unregistered Number",
    30409: "Could not cancel message: it is not in a cancelable state",
    35111: "SendAt timestamp is missing",
    35114: "SendAt time must be between 300 seconds and 35 days in the future",
    63007: "Twilio could not find a Channel with the specified From address",
    63016: "Failed to send freeform message because you are outside the allowed window",
    63038: "Account exceeded the daily messages limit",
}
_STATUS = {
    20003: 401,
    20004: 405,
    20403: 403,
    20404: 404,
    20409: 409,
    20429: 429,
    20500: 500,
    20503: 503,
    30409: 409,
}

# An error ends the TwiML document, and Twilio asks the fallback URL. All others are warnings: Twilio goes on,
# with the default value.
ERRORS = frozenset(
    {11100, 11200, 11205, 11210, 11215, 11750, 12100, 12102, 12300, 13201, 13224, 13231, 13238, 13239}
    | {13240, 13247, 13257, 13338, 13621, 14106, 14201, 14202, 14204, 14205, 14206, 14210, 14212, 14213}
    | {15004, 16025}
)


def meaning(code: int) -> str:
    """Twilio's short text for an error code."""
    return _MEANINGS.get(code) or f"Error {code}"


@dataclass
class ApiError(Exception):
    """Twilio refuses a request. status: the HTTP status, by default the one Twilio has for the code."""

    code: int
    message: str = ""
    status: int = 0
    retry_after: int | None = None

    def __post_init__(self) -> None:
        self.message = self.message or meaning(self.code)
        self.status = self.status or _STATUS.get(self.code, 400)
        super().__init__(f"{self.code}: {self.message}")

    def body(self) -> dict[str, object]:
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


def not_found(path: str) -> ApiError:
    return ApiError(20404, f"The requested resource {path} was not found")


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of Twilio's debugger. line and column: in the TwiML document, where there is one."""

    code: int
    detail: str
    line: int | None = None
    column: int | None = None

    @property
    def is_error(self) -> bool:
        return self.code in ERRORS

    def __str__(self) -> str:
        place = f" (line {self.line}, column {self.column})" if self.line else ""
        level = "error" if self.is_error else "warning"
        return f"{level} {self.code} {meaning(self.code)}: {self.detail}{place}"
