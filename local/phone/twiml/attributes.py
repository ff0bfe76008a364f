"""The values that each attribute may have, its default, and the code of the notice for a wrong value.

Source: the attribute tables of the verb and noun pages in Twilio's documentation, "TwiML Voice". A wrong
value is noted, and the default is used instead; for a number beyond a limit, the limit is used.
"""

from dataclasses import dataclass

from local.phone.twiml.markup import Element

DTMF = frozenset("0123456789*#")


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `least` to `most`. auto: `auto` is allowed too, and is read as None."""

    code: int
    default: int | None
    least: int = 1
    most: int | None = None
    auto: bool = False

    def problem(self, value: str) -> str | None:
        if self.auto and value == "auto":
            return None
        wanted = f"is not a whole number from {self.least}" + (f" to {self.most}" if self.most else "")
        if not (value.isascii() and value.isdecimal() and len(value) <= 9):
            return wanted + (" or 'auto'" if self.auto else "")
        if int(value) < self.least or (self.most is not None and int(value) > self.most):
            return wanted
        return None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words. several: several of them are allowed, with blanks between."""

    code: int
    default: str
    words: frozenset[str]
    several: bool = False

    def problem(self, value: str) -> str | None:
        given = value.split() if self.several else [value]
        if given and all(each in self.words for each in given):
            return None
        return f"is not {'among' if self.several else 'one of'} {', '.join(sorted(self.words))}"


@dataclass(frozen=True, slots=True)
class KeySet:
    """At most one telephone key. several: any number of keys is allowed."""

    code: int
    default: str
    several: bool = False

    def problem(self, value: str) -> str | None:
        if set(value) <= DTMF and (self.several or len(value) <= 1):
            return None
        return (
            "is not made of the keys 0 to 9, * and #" if self.several else "is not one key of 0 to 9, * and #"
        )


@dataclass(frozen=True, slots=True)
class Tones:
    """Tones to play: keys, A to D, and w or W for half a second or a second of waiting."""

    code: int
    default: str = ""

    def problem(self, value: str) -> str | None:
        return None if set(value) <= DTMF | set("ABCDwW") else "has other signs than 0-9, A-D, *, #, w and W"


type Attribute = Whole | Choice | KeySet | Tones

_CALL_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
_RECORDING_EVENTS = frozenset({"in-progress", "completed", "absent"})
_TRIM = frozenset({"trim-silence", "do-not-trim"})
_RECORD_DIAL = frozenset(
    {"do-not-record", "record-from-answer", "record-from-ringing", "record-from-answer-dual"}
    | {"record-from-ringing-dual", "true", "false"}
)
_RING_TONES = frozenset(
    {"at", "au", "bg", "br", "be", "ch", "cl", "cn", "cz", "de", "dk", "ee", "es", "fi", "fr", "gr", "hu"}
    | {"il", "in", "it", "lt", "jp", "mx", "my", "nl", "no", "nz", "ph", "pl", "pt", "ru", "se", "sg", "th"}
    | {"uk", "us", "us-old", "tw", "ve", "za"}
)
_CONFERENCE_EVENTS = frozenset(
    {"start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement"}
)


def _flag(code: int, default: str = "false") -> Choice:
    return Choice(code, default, frozenset({"true", "false"}))


def _method(code: int, default: str = "POST") -> Choice:
    return Choice(code, default, frozenset({"GET", "POST"}))


_RINGS: dict[str, Attribute] = {  # the nouns of Dial that ring someone
    "statusCallbackEvent": Choice(12200, "completed", _CALL_EVENTS, several=True),
    "statusCallbackMethod": _method(12200),
    "machineDetection": Choice(12200, "", frozenset({"Enable", "DetectMessageEnd"})),
    "machineDetectionTimeout": Whole(12200, 30, 3, 60),
    "amdStatusCallbackMethod": _method(12200),
}

_TABLE: dict[str, dict[str, Attribute]] = {
    "Say": {"loop": Whole(13510, 1, 0)},
    "Play": {"loop": Whole(13410, 1, 0), "digits": Tones(13430)},
    "Pause": {"length": Whole(13910, 1)},
    "Redirect": {"method": _method(13710)},
    "Reject": {"reason": Choice(13810, "rejected", frozenset({"rejected", "busy"}))},
    "Sms": {"method": _method(14104)},
    "Gather": {
        "method": _method(13312),
        "input": Choice(13326, "dtmf", frozenset({"dtmf", "speech"}), several=True),
        "timeout": Whole(13313, 5, auto=True),
        "finishOnKey": KeySet(13310, "#"),
        "numDigits": Whole(13314, None),
        "speechTimeout": Whole(13327, None, auto=True),
        "maxSpeechTime": Whole(13328, 60),
        "actionOnEmptyResult": _flag(13338),
        "bargeIn": _flag(13332, "true"),
        "profanityFilter": _flag(13333, "true"),
        "partialResultCallbackMethod": _method(13329),
    },
    "Record": {
        "method": _method(13610),
        "timeout": Whole(13611, 5, 0),
        "finishOnKey": KeySet(13613, "1234567890*#", several=True),
        "maxLength": Whole(13612, None, 1, 86400),
        "playBeep": _flag(13616, "true"),
        "trim": Choice(13699, "trim-silence", _TRIM),
        "transcribe": _flag(13614),
        "recordingStatusCallbackMethod": _method(12200),
        "recordingStatusCallbackEvent": Choice(13621, "completed", _RECORDING_EVENTS, several=True),
    },
    "Dial": {
        "method": _method(13210),
        "timeout": Whole(13212, 30, 5, 600),
        "timeLimit": Whole(13216, 14400, 1, 86400),
        "hangupOnStar": _flag(13213),
        "answerOnBridge": _flag(13219),
        "sequential": _flag(13218),
        "record": Choice(13217, "do-not-record", _RECORD_DIAL),
        "ringTone": Choice(13220, "us", _RING_TONES),
        "trim": Choice(12200, "do-not-trim", _TRIM),
        "recordingTrack": Choice(13622, "both", frozenset({"inbound", "outbound", "both"})),
        "recordingStatusCallbackMethod": _method(12200),
        "recordingStatusCallbackEvent": Choice(13621, "completed", _RECORDING_EVENTS, several=True),
    },
    "Number": _RINGS | {"method": _method(13221), "sendDigits": Tones(13222)},
    "Client": _RINGS | {"method": _method(13221)},
    "Sip": _RINGS | {"method": _method(13241)},
    "Queue": {"method": _method(14210)},
    "Enqueue": {"method": _method(14201), "waitUrlMethod": _method(14206)},
    "Conference": {
        "muted": _flag(13230),
        "startConferenceOnEnter": _flag(13232, "true"),
        "endConferenceOnExit": _flag(13231),
        "beep": Choice(13235, "true", frozenset({"true", "false", "onEnter", "onExit"})),
        "waitMethod": _method(13234),
        "maxParticipants": Whole(12200, 250, 1, 250),
        "record": Choice(
            12200, "do-not-record", frozenset({"do-not-record", "record-from-start", "true", "false"})
        ),
        "trim": Choice(13239, "trim-silence", _TRIM),
        "statusCallbackMethod": _method(12200),
        "statusCallbackEvent": Choice(12200, "", _CONFERENCE_EVENTS, several=True),
        "recordingStatusCallbackMethod": _method(12200),
        "recordingStatusCallbackEvent": Choice(13621, "completed", _RECORDING_EVENTS, several=True),
    },
}

ATTRIBUTES: dict[tuple[str, str], Attribute] = {
    (element, name): attribute
    for element, attributes in _TABLE.items()
    for name, attribute in attributes.items()
}


def whole(element: Element, name: str) -> int | None:
    """The value of a whole-number attribute that takes effect; None for auto, or for no limit."""
    attribute = ATTRIBUTES[element.name, name]
    assert isinstance(attribute, Whole)  # noqa: S101
    value = element.attributes.get(name)
    if value is None or not (value.isascii() and value.isdecimal() and len(value) <= 9):
        return None if attribute.auto and value == "auto" else attribute.default
    number = int(value)
    if number < attribute.least:
        return attribute.least if attribute.most is not None else attribute.default
    return number if attribute.most is None else min(number, attribute.most)


def word(element: Element, name: str) -> str:
    """The value of an attribute of words or keys that takes effect."""
    attribute = ATTRIBUTES[element.name, name]
    value = element.attributes.get(name)
    if value is None or attribute.problem(value):
        return str(attribute.default)
    return value


def flag(element: Element, name: str) -> bool:
    """The value of a true-or-false attribute that takes effect."""
    return word(element, name) == "true"
