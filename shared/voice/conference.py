"""Conference: a room for each PIN. One of the team starts it."""

from twilio.twiml.voice_response import VoiceResponse

from shared.twiml.reply import Reply, Warn
from shared.voice import hold_music
from shared.voice.context import TRIES, CallContext


def ask(call: CallContext, response: VoiceResponse | None = None, tries: int = 0) -> Reply:
    """Ask for the PIN of a room."""
    response = response or VoiceResponse()
    gather = response.gather(
        num_digits=12, finish_on_key="#", timeout=8, action=call.url("conference-pin", tries=tries)
    )
    call.say(gather, "conference_pin")
    response.redirect(call.url("conference-pin", tries=tries))
    return Reply(response)


def enter(call: CallContext) -> Reply:
    """Let the caller into the room of the PIN, or ask again; three wrong PINs end the call."""
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


def _join(call: CallContext, response: VoiceResponse, room: str) -> Reply:
    call.say(response, "conference_joining", room=room)
    # Without anybody who could moderate, the first to arrive starts it.
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


def wait(call: CallContext) -> Reply:
    """What is heard in a room that has not started. Twilio asks again each time it has played this."""
    response = VoiceResponse()
    if call.count("moderated"):
        call.say(response, "conference_waiting")
    response.play(hold_music.hold(call.settings))
    return Reply(response)


def left(call: CallContext) -> Reply:
    """The conference is over, or the caller left it."""
    return call.end(VoiceResponse(), "conference_left")
