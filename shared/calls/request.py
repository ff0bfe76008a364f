"""A call that somebody wants placed: the message on `outbound-calls`, parsed and checked."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from shared import phone_numbers
from shared.calls.call import Call
from shared.config import Settings
from shared.errors import InvalidRequest
from shared.twiml import rules as twiml_rules

MAX_SAY = 4000
DETECTION = ("Enable", "DetectMessageEnd")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """One call. Exactly one of say, url and twiml is given.

    to, sender: E.164. say: text for a voice to say. url: where Twilio fetches TwiML from. timeout: seconds to
    let it ring (5 to 600). time_limit: seconds after which it ends. id: the same id rings once.
    """

    id: str
    to: str
    say: str = field(default="", repr=False)
    url: str = ""
    twiml: str = field(default="", repr=False)
    sender: str = ""
    machine_detection: str = ""
    timeout: int = 0
    time_limit: int
    record: bool = False

    @classmethod
    def parse(cls, raw: bytes, default_id: str, settings: Settings) -> "CallRequest":
        """From a queue message: JSON, or base64 of JSON. Raises InvalidRequest."""
        return cls.from_json(decode(raw), default_id, settings)

    @classmethod
    def from_json(cls, request: Mapping[str, Any], default_id: str, settings: Settings) -> "CallRequest":
        """From a JSON object; `default_id` counts where it names none. Raises InvalidRequest."""
        for name in request:
            if name not in FIELDS:
                raise InvalidRequest(name, f"is not a field; the fields are {', '.join(FIELDS)}")
        texts = {name: _text(request, name) for name in ("to", "say", "url", "twiml", "from", "id")}
        given = [name for name in ("say", "url", "twiml") if texts[name]]
        if len(given) != 1:
            raise InvalidRequest(
                given[1] if given else "say", "exactly one of say, url and twiml must be given"
            )
        if len(texts["say"]) > MAX_SAY:
            raise InvalidRequest("say", f"must be at most {MAX_SAY:,} characters")
        if texts["id"] and not Call.is_id(texts["id"]):
            raise InvalidRequest("id", "must be 1 to 100 of letters, digits, and . _ : -")
        detection = request.get("machine_detection") or ""
        if detection and detection not in DETECTION:
            raise InvalidRequest("machine_detection", f"must be one of {', '.join(DETECTION)}")
        record = request.get("record", False)
        if not isinstance(record, bool):
            raise InvalidRequest("record", "must be true or false")
        most = settings.call_time_limit
        return cls(
            id=texts["id"] or default_id,
            to=phone_numbers.permitted(texts["to"], settings),
            say=texts["say"],
            url=twiml_rules.check_url(texts["url"], settings) if texts["url"] else "",
            twiml=twiml_rules.check(texts["twiml"], settings) if texts["twiml"] else "",
            sender=phone_numbers.parse(texts["from"], "from") if texts["from"] else "",
            machine_detection=detection,
            timeout=_seconds(request, "timeout", 5, 600) or 0,
            time_limit=_seconds(request, "time_limit", 1, most) or most,
            record=record,
        )

    def to_json(self) -> str:
        """As a queue message, id included."""
        values = {name: value for name, value in asdict(self).items() if value}
        if self.sender:
            values["from"] = values.pop("sender")
        return json.dumps(values, ensure_ascii=False)


FIELDS = ("to", "say", "url", "twiml", "from", "id", "machine_detection", "timeout", "time_limit", "record")


def message_id(raw: bytes, metadata_id: str) -> str:
    """The id of a queue message that names none: the host's, unless the sender could have written that one.

    The host lays a JSON body's top-level fields over the trigger's metadata, whatever their case
    (azure-webjobs-sdk, BindingDataProvider), and what is written there may not fit a row key.
    """
    try:
        fields = {name.lower() for name in decode(raw)}
    except InvalidRequest:
        fields = set()
    if "id" not in fields and Call.is_id(metadata_id):
        return metadata_id
    return sha256(raw).hexdigest()[:32]


def decode(raw: bytes) -> dict[str, Any]:
    """The JSON object in a queue message, plain or as base64. Raises InvalidRequest."""
    text = raw.strip()
    if not text.startswith(b"{"):
        try:
            text = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise InvalidRequest(None, "the message is neither JSON nor base64 of JSON") from exc
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair cannot be stored
    except (ValueError, RecursionError) as exc:
        raise InvalidRequest(None, "the message is neither JSON nor base64 of JSON") from exc
    if not isinstance(value, dict):
        raise InvalidRequest(None, "the message must be a JSON object")
    return value


def _text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name)
    if value is None and name != "to":
        return ""
    if not isinstance(value, str) or not value.strip():
        right = "a phone number in E.164, such as +12025550101" if name in ("to", "from") else "a text"
        raise InvalidRequest(name, f"must be {right}")
    return value


def _seconds(request: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    value = request.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidRequest(name, f"must be {least} to {most:,} seconds")
    return value
