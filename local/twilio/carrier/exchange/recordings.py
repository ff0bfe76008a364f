"""Recordings: what was said, as text with its length. There is no audio."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.twilio.carrier.exchange.events import RecordingKept
from local.twilio.carrier.exchange.leg import Call, StatusCallback

if TYPE_CHECKING:
    from local.twilio.carrier.exchange.engine import World

READY_AFTER = 1.0  # seconds until a recording can be fetched and its callback comes


@dataclass(slots=True, eq=False)
class Recording:
    """duration: seconds. source: RecordingSource, such as RecordVerb. said: what was said, in order."""

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


def begin(
    world: "World",
    call: Call,
    sid: str,
    source: str,
    callback: StatusCallback | None,
    *,
    channels: int = 1,
    conference_sid: str | None = None,
) -> Recording:
    """Start a recording. Its url is where the account's REST API would serve it."""
    url = f"{world.api_base}/2010-04-01/Accounts/{call.account_sid}/Recordings/{sid}"
    recording = Recording(sid, call.sid, url, source, world.now, channels, conference_sid)
    world.recordings[sid] = recording
    if callback and "in-progress" in callback.events:
        _report(world, call, recording, callback)
    return recording


def finish(world: "World", call: Call, recording: Recording, callback: StatusCallback | None) -> None:
    """Stop a recording, and report it when it would be ready."""
    recording.status = "completed"
    world.emit(RecordingKept(at=world.now, call_sid=call.sid, recording_sid=recording.sid))
    if callback and "completed" in callback.events:
        world.after(READY_AFTER, lambda: _report(world, call, recording, callback))


def _report(world: "World", call: Call, recording: Recording, callback: StatusCallback) -> None:
    subject = ("ConferenceSid", recording.conference_sid or "")
    if not recording.conference_sid:
        subject = ("CallSid", recording.call_sid)
    params = [
        ("AccountSid", call.account_sid),
        subject,
        ("RecordingSid", recording.sid),
        ("RecordingUrl", recording.url),
        ("RecordingStatus", recording.status),
        ("RecordingChannels", str(recording.channels)),
        ("RecordingStartTime", world.timestamp(recording.started_at)),
        ("RecordingSource", recording.source),
    ]
    if recording.status == "completed":
        params.append(("RecordingDuration", str(recording.seconds)))
    world.callback(call, callback, "recording status callback", params)
