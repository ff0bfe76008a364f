"""Recordings: what is known of each, and a WAV file of its length.

Nothing is recorded. The file has a tone instead of speech, so that a player has something to play.
"""

import io
import math
import struct
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.twilio.model.resources import API_VERSION, rfc2822

RATE = 8000  # samples a second, 16 bits each, as Twilio's WAV files have them
_LONGEST_FILE = 600  # seconds; the file of a longer recording is cut there
_TONE = 330.0
_LOUDNESS = 2500


@dataclass(slots=True, kw_only=True)
class Recording:
    """A Recording resource. duration: whole seconds. source: such as RecordVerb. origin: of its media URL."""

    sid: str
    sequence: int = 0
    account_sid: str
    call_sid: str
    conference_sid: str | None
    duration: int
    channels: int
    source: str
    started: datetime
    origin: str

    def body(self) -> dict[str, Any]:
        path = f"/{API_VERSION}/Accounts/{self.account_sid}/Recordings/{self.sid}"
        parts = {"add_on_results": "AddOnResults", "transcriptions": "Transcriptions"}
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "api_version": API_VERSION,
            "call_sid": self.call_sid,
            "conference_sid": self.conference_sid,
            "date_created": rfc2822(self.started),
            "date_updated": rfc2822(self.started),
            "start_time": rfc2822(self.started),
            "duration": str(self.duration),
            "channels": self.channels,
            "source": self.source,
            "status": "completed",
            "price": None,
            "price_unit": "USD",
            "error_code": None,
            "encryption_details": None,
            "uri": f"{path}.json",
            "media_url": self.origin + path,
            "subresource_uris": {part: f"{path}/{name}.json" for part, name in parts.items()},
        }

    def wav(self) -> bytes:
        seconds = min(self.duration, _LONGEST_FILE)
        tone = [round(_LOUDNESS * math.sin(math.tau * _TONE * n / RATE)) for n in range(RATE * 4 // 5)]
        samples = [*tone, *[0] * (RATE - len(tone))]
        second = b"".join(struct.pack("<h", sample) * self.channels for sample in samples)
        file = io.BytesIO()
        with wave.open(file, "wb") as written:
            written.setnchannels(self.channels)
            written.setsampwidth(2)
            written.setframerate(RATE)
            written.writeframes(second * seconds)
        return file.getvalue()


class Recordings:
    """Every recording, in order. If there are too many, the oldest ones are forgotten."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._by_sid: dict[str, Recording] = {}
        self._made = 0

    def add(self, recording: Recording) -> None:
        self._made += 1
        recording.sequence = self._made
        self._by_sid[recording.sid] = recording
        if len(self._by_sid) > self._capacity:
            del self._by_sid[next(iter(self._by_sid))]

    def get(self, sid: str) -> Recording | None:
        return self._by_sid.get(sid)

    def newest(self) -> Iterator[Recording]:
        return iter(reversed(self._by_sid.values()))

    def remove(self, recording: Recording) -> None:
        del self._by_sid[recording.sid]

    def clear(self) -> None:
        self._by_sid.clear()
