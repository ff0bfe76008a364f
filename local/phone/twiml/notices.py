"""What Twilio's debugger would show: its error and warning codes, with their titles and levels.

The titles and levels are those of Twilio's Error and Warning Dictionary. An error ends the document (and asks
the fallback URL); a warning is noted, and the default value is used instead.
"""

from dataclasses import dataclass

TITLES = {
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
}

ERRORS = frozenset(
    {11100, 11200, 11205, 11210, 11215, 11750, 12100, 12102, 12300, 13201, 13224, 13231, 13238, 13239}
    | {13240, 13247, 13257, 13338, 13621, 14106, 14201, 14202, 14204, 14205, 14206, 14210, 14212, 14213}
    | {15004, 16025}
)


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of the debugger. code: as in Twilio's Error and Warning Dictionary."""

    code: int
    detail: str
    line: int | None = None
    column: int | None = None

    @property
    def title(self) -> str:
        return TITLES[self.code]

    @property
    def is_error(self) -> bool:
        return self.code in ERRORS

    def __str__(self) -> str:
        place = f" (line {self.line}, column {self.column})" if self.line else ""
        return f"{'error' if self.is_error else 'warning'} {self.code} {self.title}: {self.detail}{place}"


class DocumentFailed(Exception):
    """No TwiML could be had from `url`, or its TwiML cannot be carried out; `notice` says why."""

    def __init__(self, notice: Notice, url: str | None = None) -> None:
        self.notice = notice
        self.url = url
        super().__init__(str(notice))
