"""A recording on the exchange: its length, and what was said as text. There is no audio."""

from dataclasses import dataclass, field

READY_AFTER = 1.0  # seconds from the end of a recording until it can be fetched and its callback is sent


@dataclass(slots=True, eq=False)
class CallRecording:
    """duration: seconds. source: Twilio's RecordingSource, such as RecordVerb. said: texts in order."""

    sid: str
    call_sid: str
    url: str
    source: str
    started_at: float
    channels: int = 1
    conference_sid: str | None = None
    duration: float = 0.0
    status: str = "in-progress"
    said: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(self.said)

    @property
    def seconds(self) -> int:
        return round(self.duration)
