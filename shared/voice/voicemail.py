"""Record: voicemail, and an SMS to the owner that tells who, when, how long, and where to listen."""

import re

from twilio.twiml.voice_response import VoiceResponse

from shared.twiml.effects import Text, Warn
from shared.twiml.reply import Reply
from shared.voice import prompts
from shared.voice.context import Call

# Twilio transcribes American English, and recordings of more than 2 and less than 120 seconds.
MAX_SECONDS = 119
TRANSCRIBED = prompts.ENGLISH


def voicemail(call: Call, response: VoiceResponse | None = None) -> Reply:
    """The greeting, after what `response` says already; then the message."""
    response = response or VoiceResponse()
    call.say(response, "voicemail")
    return record(call, response)


def record(call: Call, response: VoiceResponse, *, transcribe: bool = True) -> Reply:
    """The beep and the message, after what `response` says already."""
    transcribe = transcribe and call.language == TRANSCRIBED
    response.record(
        action=call.url("voicemail-saved"),
        max_length=MAX_SECONDS,
        timeout=5,
        finish_on_key="#",
        play_beep=True,
        trim="trim-silence",
        recording_status_callback=call.url("voicemail-recorded"),
        recording_status_callback_event="completed absent",
        transcribe=transcribe,
        transcribe_callback=call.url("voicemail-transcribed") if transcribe else None,
    )
    # Twilio comes here, and not to the action, when nothing was said.
    return call.end(response, "voicemail_empty")


def saved(call: Call) -> Reply:
    """The message is recorded, and the caller is still there or has hung up: tell the owner."""
    sid, owner = recording(call), call.settings.owner_number
    if not (sid and owner):
        return call.end(VoiceResponse(), "voicemail_saved")
    team = prompts.for_team(call.settings)
    minutes, seconds = divmod(_seconds(call.request.get("RecordingDuration")), 60)
    body = prompts.text(
        "voicemail_text",
        team,
        caller=_caller(call),
        when=call.local_time,
        length=f"{minutes}:{seconds:02}",
        link=f"{call.settings.public_base_url}/api/console#recording={sid}",
    )
    return call.end(VoiceResponse(), "voicemail_saved", Text(owner, body, id=f"voicemail-{sid}"))


def recorded(call: Call) -> Reply:
    """The recording can be listened to, or Twilio has none of it."""
    status = call.request.get("RecordingStatus")
    if status == "completed":
        return Reply(VoiceResponse())
    reason = f"voicemail {recording(call) or 'without a SID'} is {prompts.clean(status, 20) or 'in no state'}"
    return Reply(VoiceResponse(), (Warn(reason),))


def transcribed(call: Call) -> Reply:
    """What was said, in writing: a second SMS, as it comes minutes after the first."""
    words = prompts.clean(call.request.get("TranscriptionText"), 1_000).strip()
    sid, owner = recording(call), call.settings.owner_number
    if not (sid and owner and words) or call.request.get("TranscriptionStatus") != "completed":
        return Reply(VoiceResponse())
    body = prompts.text(
        "voicemail_transcript", prompts.for_team(call.settings), caller=_caller(call), words=words
    )
    return Reply(VoiceResponse(), (Text(owner, body, id=f"transcript-{sid}"),))


def recording(call: Call) -> str | None:
    """The SID of the recording that this request is about: its own field, or the end of its URL."""
    named = call.request.get("RecordingSid") or call.request.get("RecordingUrl").rpartition("/")[2]
    return named if re.fullmatch("RE[0-9a-fA-F]{32}", named) else None


def _caller(call: Call) -> str:
    return prompts.clean(call.person, 100) or "?"


def _seconds(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else 0
