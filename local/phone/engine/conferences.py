"""What happens in a conference: calls enter and leave, notice each other, and callbacks report it."""

from dataclasses import dataclass

from local.twilio.carrier.exchange.events import InConference
from local.twilio.carrier.exchange.leg import Leg
from local.twilio.carrier.exchange.rooms import Conference, Participant
from local.twilio.carrier.exchange.signals import ConferenceEnded, ConferenceStarted
from local.twilio.carrier.exchange.telephony import Telephony
from local.twilio.carrier.exchange.web_requests import Params


@dataclass(frozen=True, slots=True)
class ConferenceRoom:
    """A conference of the exchange, to enter and to leave."""

    telephony: Telephony
    conference: Conference

    def enter(self, participant: Participant) -> None:
        """Enter. The conference starts when there are two participants and one of them is set to start it."""
        conference = self.conference
        self.telephony.conferences[conference.name] = conference
        conference.participants.append(participant)
        self._tell("joined", participant)
        self._report("join", "participant-join", participant.call, participant.params())
        if participant.beep in {"true", "onEnter"} and conference.started:
            self._tell("beep", participant)
        several = len(conference.participants) > 1
        if not conference.started and several and any(each.starts for each in conference.participants):
            self._start(participant.call)

    def _start(self, call: Leg) -> None:
        conference = self.conference
        conference.started = True
        self._report("start", "conference-start", call, ())
        if conference.recorded:
            conference.recording = self.telephony.begin_recording(
                conference.participants[0].call,
                "Conference",
                conference.recording_callback,
                conference_sid=conference.sid,
            )
        for each in conference.participants:
            self._emit(each.call, "started")
            self.telephony.signal(each.call, ConferenceStarted())

    def leave(self, participant: Participant, reason: str) -> None:
        """Leave, if still in it. The conference ends with its last participant, or with one set to end it."""
        conference = self.conference
        if participant not in conference.participants:
            return
        conference.participants.remove(participant)
        status = participant.call.status
        params = (*participant.params(), ("ParticipantCallStatus", status), ("ReasonParticipantLeft", reason))
        self._tell("left", participant)
        if participant.beep in {"true", "onExit"}:
            self._tell("beep", participant)
        self._report("leave", "participant-leave", participant.call, params)
        if participant.ends and reason != "moderator_ended_conference":
            self._end(participant, "participant-with-end-conference-on-exit-left")
        elif not conference.participants and conference.name in self.telephony.conferences:
            self._end(participant, "last-participant-left")

    def _end(self, last: Participant, reason: str) -> None:
        conference = self.conference
        self.telephony.conferences.pop(conference.name, None)
        for each in list(conference.participants):
            self._emit(each.call, "ended")
            self.telephony.signal(each.call, ConferenceEnded())
        params = [("ReasonConferenceEnded", reason), ("CallSidEndingConference", last.call.sid)]
        if last.label:
            params.append(("ParticipantLabelEndingConference", last.label))
        self._report("end", "conference-end", last.call, tuple(params))
        recording = conference.recording
        if recording is not None:
            recording.duration = self.telephony.now - recording.started_at
            self.telephony.finish_recording(last.call, recording, conference.recording_callback)

    def _report(self, event: str, name: str, call: Leg, params: Params) -> None:
        conference = self.conference
        if conference.callback is None or event not in conference.callback.events:
            return
        conference.sequence += 1
        fields = (
            ("ConferenceSid", conference.sid),
            ("FriendlyName", conference.name),
            ("AccountSid", call.account_sid),
            ("SequenceNumber", str(conference.sequence)),
            ("Timestamp", self.telephony.timestamp()),
            ("StatusCallbackEvent", name),
        )
        self.telephony.callback(call, conference.callback, "conference status callback", (*fields, *params))

    def _tell(self, happening: str, about: Participant) -> None:
        """Let everyone in the conference notice, and the participant whom it is about."""
        for each in self.conference.participants:
            self._emit(each.call, happening, about.call.party)
        if about not in self.conference.participants and not about.call.is_over:
            self._emit(about.call, happening, about.call.party)

    def _emit(self, call: Leg, happening: str, who: str = "") -> None:
        self.telephony.emit(
            InConference(
                at=self.telephony.now,
                call_sid=call.sid,
                conference=self.conference.name,
                happening=happening,
                who=who,
            )
        )
