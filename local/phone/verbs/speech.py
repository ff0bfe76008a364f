"""The verbs that do not wait for a person: Say, Play, Pause, Redirect, Reject, Hangup, Leave and Sms."""

from local.phone.engine.interpreter import Walk
from local.phone.twiml.attributes import whole, word
from local.phone.twiml.markup import Element
from local.twilio.carrier.exchange.events import Paused, Played, Said, Texted
from local.twilio.carrier.exchange.exchange import speaking_time
from local.twilio.carrier.exchange.signals import CallOver, Signal
from local.twilio.carrier.exchange.web_requests import Target
from local.twilio.model.addresses import e164
from local.twilio.model.errors import Notice
from local.twilio.model.resources import new_sid

ENDLESS = 1000  # iterations of loop="0": "Say" and "Play" pages
LONGEST_TEXT = 4096  # characters of a <Say>: error 13521's page
PLAYING_TIME = 5.0  # seconds; the audio is not fetched, so its length is not known


class Left(Exception):
    """The TwiML of a queue's waitUrl has a <Leave>."""


async def say(walk: Walk, element: Element) -> Target | None:
    await speak(walk, element)
    return None


async def speak(walk: Walk, element: Element, *wanted: type[Signal]) -> Signal | None:
    """Say the text of a <Say>. A wanted signal cuts it short and is returned."""
    text = element.spoken
    if not text:
        detail = "there is no text to say"
        walk.telephony.note(walk.call, Notice(13520, detail, element.line, element.column))
        return None
    if len(text) > LONGEST_TEXT:
        detail = f"{len(text)} characters; at most {LONGEST_TEXT}"
        walk.telephony.note(walk.call, Notice(13521, detail, element.line, element.column))
        text = text[:LONGEST_TEXT]
    times = min(whole(element, "loop") or ENDLESS, ENDLESS)
    seconds = times * speaking_time(text)
    walk.telephony.emit(
        Said(
            at=walk.telephony.now,
            call_sid=walk.call.sid,
            text=text,
            voice=element.attributes.get("voice", "man"),
            language=element.attributes.get("language", "en-US"),
            times=times,
            seconds=seconds,
        )
    )
    return await walk.pass_time(seconds, *wanted)


async def play(walk: Walk, element: Element) -> Target | None:
    await sound(walk, element)
    return None


async def sound(walk: Walk, element: Element, *wanted: type[Signal]) -> Signal | None:
    """Play the audio or tones of a <Play>. A wanted signal cuts it short and is returned."""
    digits = word(element, "digits")
    url = walk.url(element, element.text) if element.text else ""
    if not url and not digits:
        walk.telephony.note(
            walk.call, Notice(11100, "<Play> has neither URL nor digits", element.line, element.column)
        )
        return None
    times = min(whole(element, "loop") or ENDLESS, ENDLESS)
    walk.telephony.emit(
        Played(at=walk.telephony.now, call_sid=walk.call.sid, url=url, digits=digits, times=times)
    )
    waits = {"w": 0.5, "W": 1.0}
    seconds = PLAYING_TIME if url else sum(waits.get(tone, 0.2) for tone in digits)
    return await walk.pass_time(seconds * times, *wanted)


async def pause(walk: Walk, element: Element) -> Target | None:
    """Pause. As the first verb of a document it delays picking up ("Pause" page)."""
    await rest(walk, element)
    walk.answer()
    return None


async def rest(walk: Walk, element: Element, *wanted: type[Signal]) -> Signal | None:
    seconds = whole(element, "length") or 1
    walk.telephony.emit(Paused(at=walk.telephony.now, call_sid=walk.call.sid, seconds=seconds))
    return await walk.pass_time(seconds, *wanted)


async def redirect(walk: Walk, element: Element) -> Target | None:
    return Target(walk.url(element, element.text), word(element, "method"))


async def hangup(walk: Walk, _element: Element) -> Target | None:
    raise walk.hang_up()


async def reject(walk: Walk, element: Element) -> Target | None:
    """Refuse an inbound call, as busy or no-answer. An answered call is hung up."""
    if walk.call.is_answered:
        raise walk.hang_up()
    status = "busy" if word(element, "reason") == "busy" else "no-answer"
    walk.telephony.end(walk.call, status, by="TwiML")
    raise CallOver


async def leave(walk: Walk, element: Element) -> Target | None:
    if walk.place.name != "queue's wait":
        detail = "the call is in no queue"
        walk.telephony.note(walk.call, Notice(12200, detail, element.line, element.column))
        return None
    raise Left


async def sms(walk: Walk, element: Element) -> Target | None:
    """Send a text during the call, to the party on it or to `to`.

    If there is an action URL, the call goes on there ("TwiML Voice: <Sms>", deprecated by Twilio).
    """
    call = walk.call
    inbound = call.direction == "inbound"
    to = element.attributes.get("to") or call.party
    sender = element.attributes.get("from") or (call.to if inbound else call.from_)
    problem = None
    if not e164(to):
        problem = Notice(14101, f"to={to[:30]!r} is not a phone number", element.line, element.column)
    elif not e164(sender):
        problem = Notice(14102, f"from={sender[:30]!r} is not a phone number", element.line, element.column)
    elif not element.text:
        problem = Notice(14103, "the message has no text", element.line, element.column)
    sid = new_sid("SM")
    if problem:
        walk.telephony.note(call, problem)
    else:
        walk.telephony.emit(
            Texted(
                at=walk.telephony.now,
                call_sid=call.sid,
                message_sid=sid,
                to=e164(to) or to,
                sender=e164(sender) or sender,
                body=element.text,
            )
        )
    status = "invalid" if problem else "sent"
    params = (("SmsSid", sid), ("SmsStatus", status))
    report = walk.status_callback(element, "statusCallback", "", method="method")
    if report and not problem:
        walk.notify(Target(report.url, "POST"), "Sms status callback", params)
    target = walk.target(element)
    return Target(target.url, target.method, params) if target else None
