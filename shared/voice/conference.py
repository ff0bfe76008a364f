"""Conference: a room for each PIN. One of the team starts it."""

from shared.twiml.reply import Reply, Warn
from shared.voice import hold_music
from shared.voice.context import TRIES, CallContext


def ask(call: CallContext, tries: int = 0) -> Reply:
    """Ask for the PIN of a room."""
    url = call.url("conference-pin", tries=tries)
    call.say("conference_pin", call.ask(url, num_digits=12, finish_on_key="#", timeout=8))
    return call.reply()


def enter(call: CallContext) -> Reply:
    """Let the caller into the room of the PIN, or ask again; three wrong PINs end the call."""
    room = dict(call.settings.conference_rooms).get(call.digits)
    if room:
        return _join(call, room)
    call.say("conference_wrong" if call.digits else "not_heard")
    tries = call.count("tries") + 1
    if tries < TRIES:
        return ask(call, tries)
    return call.end("goodbye", Warn("three wrong conference PINs in one call"))


def _join(call: CallContext, room: str) -> Reply:
    call.say("conference_joining", room=room)
    # If there is no team to moderate, the first who arrives starts the conference.
    moderated = bool(call.settings.team_numbers or call.settings.owner_number)
    moderates = moderated and call.is_agent
    if moderates:
        call.say("conference_starting")
    action = call.url("conference-left")
    call.response.dial(action=action, time_limit=call.settings.conference_time_limit).conference(
        room,
        start_conference_on_enter=moderates or not moderated,
        end_conference_on_exit=moderates,
        beep="true",
        wait_url=call.url("conference-wait", moderated=int(moderated)),
    )
    return call.reply()


def wait(call: CallContext) -> Reply:
    """What is heard in a room that has not started. Twilio asks again each time it has played this."""
    if call.count("moderated"):
        call.say("conference_waiting")
    call.response.play(hold_music.hold(call.settings))
    return call.reply()


def left(call: CallContext) -> Reply:
    """The conference is over, or the caller left it."""
    return call.end("conference_left")
