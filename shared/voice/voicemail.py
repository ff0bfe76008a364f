"""Record: take a message. A text tells the owner who left it, when, how long it is, and where to listen."""

import re

from shared.twiml.reply import Reply, Text, Warn
from shared.voice import prompts
from shared.voice.context import CallContext, whole

# Twilio transcribes American English only, and recordings of more than 2 and less than 120 seconds.
MAX_SECONDS = 119
TRANSCRIBED = prompts.ENGLISH


def voicemail(call: CallContext) -> Reply:
    """Ask for a message, and take it."""
    call.say("voicemail")
    return record(call)


def record(call: CallContext, *, transcribe: bool = True) -> Reply:
    """Beep and record."""
    transcribe = transcribe and call.language == TRANSCRIBED
    call.response.record(
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
    # Twilio comes here, instead of requesting the action, when the caller said nothing.
    return call.end("voicemail_empty")


def saved(call: CallContext) -> Reply:
    """The message is recorded: text the owner. The caller may have hung up."""
    minutes, seconds = divmod(whole(call.request.get("RecordingDuration")), 60)
    link = f"{call.settings.public_base_url}/api/console#recording={recording(call)}"
    when, length = call.local_time, f"{minutes}:{seconds:02}"
    texts = _to_owner(call, "voicemail", "voicemail_text", when=when, length=length, link=link)
    return call.end("voicemail_saved", *texts)


def recorded(call: CallContext) -> Reply:
    """Twilio has the recording ready, or has lost it."""
    status = call.request.get("RecordingStatus")
    if status == "completed":
        return call.reply()
    reason = f"voicemail {recording(call) or 'without a SID'} is {prompts.clean(status, 20) or 'in no state'}"
    return call.reply(Warn(reason))


def transcribed(call: CallContext) -> Reply:
    """Text the transcript to the owner. It is a second SMS, since Twilio needs minutes for it."""
    words = prompts.clean(call.request.get("TranscriptionText"), 1_000).strip()
    if not words or call.request.get("TranscriptionStatus") != "completed":
        return call.reply()
    return call.reply(*_to_owner(call, "transcript", "voicemail_transcript", words=words))


def _to_owner(call: CallContext, kind: str, prompt: str, **values: str) -> tuple[Text, ...]:
    """A text to the owner about this recording, once for each kind; none without an owner or a recording."""
    sid, owner = recording(call), call.settings.owner_number
    if not (sid and owner):
        return ()
    caller = prompts.clean(call.person, 100) or "?"
    body = prompts.text(prompt, prompts.for_team(call.settings), caller=caller, **values)
    return (Text(owner, body, id=f"{kind}-{sid}"),)


def recording(call: CallContext) -> str | None:
    """The SID of this request's recording: from its own field, or from the end of the recording's URL."""
    named = call.request.get("RecordingSid") or call.request.get("RecordingUrl").rpartition("/")[2]
    return named if re.fullmatch("RE[0-9a-fA-F]{32}", named) else None
