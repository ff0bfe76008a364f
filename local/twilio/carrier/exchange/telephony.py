"""The status of each leg: how it changes, how it is reported, and the recordings of the leg."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from email.utils import format_datetime

from local.twilio.carrier.exchange.engine import Engine
from local.twilio.carrier.exchange.events import Ended, RecordingCompleted, StatusChanged
from local.twilio.carrier.exchange.leg import Leg, StatusCallback
from local.twilio.carrier.exchange.recordings import READY_AFTER, CallRecording
from local.twilio.carrier.exchange.rooms import CallQueue, Conference
from local.twilio.carrier.exchange.signals import CallOver
from local.twilio.carrier.exchange.web_requests import Params, Target
from local.twilio.model.options import ACCOUNT_SID
from local.twilio.model.resources import API_VERSION, new_sid

_EVENTS = {"initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}
_SIP = {
    "completed": "200",
    "busy": "486",
    "no-answer": "487",
    "canceled": "487",
    "failed": "404",
}


class Telephony(Engine):
    """The engine with the state of its legs, and the queues and conferences they are in.

    numbers: the account's own and verified numbers, which a callerId may show; empty for any number.
    api_base: the origin in the URLs of recordings.
    """

    def __init__(
        self,
        *,
        account_sid: str = ACCOUNT_SID,
        epoch: datetime | None = None,
        api_base: str = "https://api.twilio.com",
        numbers: Iterable[str] = (),
    ) -> None:
        super().__init__(epoch)
        self.account_sid = account_sid
        self.api_base = api_base
        self.numbers = frozenset(numbers)
        self.recordings: dict[str, CallRecording] = {}
        self.queues: dict[str, CallQueue] = {}
        self.conferences: dict[str, Conference] = {}

    def new_leg(self, from_: str, to: str, direction: str, status: str, *, sid: str | None = None) -> Leg:
        leg = Leg(sid or new_sid("CA"), self.account_sid, from_, to, direction, status, self.now)
        self.legs[leg.sid] = leg
        return leg

    # The status of a leg

    def transition(self, leg: Leg, status: str) -> None:
        """Give a leg that is not over its next status, and report it."""
        leg.status = status
        if status == "in-progress":
            leg.answered_at = self.now
            self.limit(leg, leg.time_limit)
            if leg.recorded:
                leg.recording = self.begin_recording(
                    leg, "OutboundAPI", leg.recorded.callback, channels=leg.recorded.channels
                )
        self.emit(StatusChanged(at=self.now, call_sid=leg.sid, status=status))
        self._report(leg, _EVENTS[status])

    def limit(self, leg: Leg, seconds: float) -> None:
        """Set the time limit of a leg, instead of an earlier one. It counts from the answer."""
        leg.time_limit = seconds
        if leg.answered_at is None:
            return

        def expire() -> None:
            if leg.time_limit == seconds:
                self.end(leg, "completed", by="Twilio")

        self.limit_to(max(leg.answered_at + seconds - self.now, 0.0), leg, expire)

    def end(self, leg: Leg, status: str, *, by: str) -> None:
        """End a leg. Its script is told by CallOver, unless the script itself ends the leg."""
        if leg.is_over:
            return
        leg.status = status
        leg.ended_at = self.now
        self.throw(leg, CallOver())
        if leg.recorded and leg.recording:
            leg.recording.duration = self.now - leg.recording.started_at
            self.finish_recording(leg, leg.recording, leg.recorded.callback)
        seconds = leg.duration(self.now)
        self.emit(Ended(at=self.now, call_sid=leg.sid, status=status, by=by, seconds=seconds))
        self._report(leg, "completed")

    # What is reported

    def _report(self, leg: Leg, event: str) -> None:
        """Send a status callback (twilio.com/docs/voice/api/call-resource#statuscallback).

        CallDuration is in seconds, Duration in minutes begun. SequenceNumber counts every event of an
        outbound leg, also those that are not reported.
        """
        callback = leg.callback
        sequence = leg.sequence
        if leg.direction != "inbound":  # of an inbound leg, Twilio reports only the end
            leg.sequence += 1
        if callback is None or event not in callback.events:
            return
        more: list[tuple[str, str]] = []
        if event == "completed":
            seconds = leg.duration(self.now)
            more += [("CallDuration", str(seconds)), ("Duration", str(-(-seconds // 60)))]
            if leg.direction != "inbound":
                more += [("SipResponseCode", _SIP[leg.status])]
            if leg.recording:
                more += [("RecordingUrl", leg.recording.url), ("RecordingSid", leg.recording.sid)]
                more += [("RecordingDuration", str(leg.recording.seconds))]
        more += [("Timestamp", self.timestamp()), ("CallbackSource", "call-progress-events")]
        more += [("SequenceNumber", str(sequence))]
        self.callback(leg, callback, "status callback", leg.parameters(more))

    def callback(
        self, leg: Leg, where: StatusCallback, purpose: str, params: Iterable[tuple[str, str]]
    ) -> None:
        """Report something to the application."""
        target = Target(where.url, where.method)
        self.send(self.request(leg, target, purpose, tuple(params), wants_twiml=False))

    def timestamp(self, at: float | None = None) -> str:
        """The time of day, now or at a second of the clock, as in Twilio's requests: RFC 2822, UTC."""
        return format_datetime(self.epoch + timedelta(seconds=self.now if at is None else at))

    # Recordings

    def begin_recording(
        self,
        leg: Leg,
        source: str,
        callback: StatusCallback | None,
        *,
        channels: int = 1,
        conference_sid: str | None = None,
    ) -> CallRecording:
        """Begin to record a leg. The recording's url is where the account's REST API has it."""
        sid = new_sid("RE")
        url = f"{self.api_base}/{API_VERSION}/Accounts/{leg.account_sid}/Recordings/{sid}"
        recording = CallRecording(sid, leg.sid, url, source, self.now, channels, conference_sid)
        self.recordings[sid] = recording
        if callback and "in-progress" in callback.events:
            self._report_recording(leg, recording, callback)
        return recording

    def finish_recording(self, leg: Leg, recording: CallRecording, callback: StatusCallback | None) -> None:
        """Stop a recording, and report it a little later, as soon as it can be fetched."""
        recording.status = "completed"
        self.emit(RecordingCompleted(at=self.now, call_sid=leg.sid, recording_sid=recording.sid))
        if callback and "completed" in callback.events:
            self.after(READY_AFTER, lambda: self._report_recording(leg, recording, callback))

    def _report_recording(self, leg: Leg, recording: CallRecording, callback: StatusCallback) -> None:
        subject = ("ConferenceSid", recording.conference_sid or "")
        if not recording.conference_sid:
            subject = ("CallSid", recording.call_sid)
        params: Params = (
            ("AccountSid", leg.account_sid),
            subject,
            ("RecordingSid", recording.sid),
            ("RecordingUrl", recording.url),
            ("RecordingStatus", recording.status),
            ("RecordingChannels", str(recording.channels)),
            ("RecordingStartTime", self.timestamp(recording.started_at)),
            ("RecordingSource", recording.source),
            ("RecordingTrack", leg.recorded.track if leg.recorded else "both"),
        )
        if recording.status == "completed":
            params += (("RecordingDuration", str(recording.seconds)),)
        self.callback(leg, callback, "recording status callback", params)
