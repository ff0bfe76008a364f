"""Conference: named rooms behind a PIN, which one of the team starts."""

from twilio.twiml.voice_response import VoiceResponse

from shared.twiml.effects import Warn
from shared.twiml.reply import Reply
from shared.voice import hold_music as music
from shared.voice.context import TRIES, Call


def ask(call: Call, response: VoiceResponse | None = None, tries: int = 0) -> Reply:
    """Ask for the PIN, which says the room."""
    response = response or VoiceResponse()
    gather = response.gather(
        num_digits=12, finish_on_key="#", timeout=8, action=call.url("conference-pin", tries=tries)
    )
    call.say(gather, "conference_pin")
    response.redirect(call.url("conference-pin", tries=tries))
    return Reply(response)


def enter(call: Call) -> Reply:
    """Let the caller in by the PIN, or ask again; three wrong ones end the call."""
    rooms = dict(call.settings.conference_rooms)
    response = VoiceResponse()
    room = rooms.get(call.digits)
    if room:
        return _join(call, response, room)
    call.say(response, "conference_wrong" if call.digits else "not_heard")
    tries = call.count("tries") + 1
    if tries < TRIES:
        return ask(call, response, tries)
    return call.end(response, "goodbye", Warn("three wrong conference PINs in one call"))


def _join(call: Call, response: VoiceResponse, room: str) -> Reply:
    call.say(response, "conference_joining", room=room)
    # With nobody to moderate, whoever comes starts it.
    moderated = bool(call.settings.team_numbers or call.settings.owner_number)
    moderates = moderated and call.is_agent
    if moderates:
        call.say(response, "conference_starting")
    dial = response.dial(action=call.url("conference-left"), time_limit=call.settings.conference_time_limit)
    dial.conference(
        room,
        start_conference_on_enter=moderates or not moderated,
        end_conference_on_exit=moderates,
        beep="true",
        wait_url=call.url("conference-wait", moderated=int(moderated)),
    )
    return Reply(response)


def wait(call: Call) -> Reply:
    """What is heard in a room that has not started; Twilio asks again whenever it has ended."""
    response = VoiceResponse()
    if call.count("moderated"):
        call.say(response, "conference_waiting")
    response.play(music.hold(call.settings))
    return Reply(response)


def left(call: Call) -> Reply:
    """The conference is over, or the caller pressed out of it."""
    return call.end(VoiceResponse(), "conference_left")
