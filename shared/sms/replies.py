"""Replies to inbound SMS: keywords, and an acknowledgement for anything else."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from twilio.twiml.messaging_response import MessagingResponse

from shared.config import Settings
from shared.twiml.reply import Effect, OptOut, Reply
from shared.twiml.request import TwilioRequest

if TYPE_CHECKING:
    from shared.delivery.store import Store
    from shared.sms.message import Message

# Twilio docs: Support for opt-out keywords (SMS STOP filtering).
STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "CANCEL", "REVOKE", "OPTOUT"})
START = frozenset({"START", "YES", "UNSTOP"})
HELP = frozenset({"HELP", "INFO"})
STATUS = frozenset({"STATUS"})


class Keyword(Enum):
    """What an inbound text asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"
    STATUS = "status"
    OTHER = "other"


def keyword(request: TwilioRequest) -> Keyword:
    """By Twilio's own reading (OptOutType, of Advanced Opt-Out) where it has one, else by the whole text."""
    word = request.get("OptOutType") or request.get("Body").strip().strip(".!").upper()
    for meant, words in (
        (Keyword.STOP, STOP),
        (Keyword.START, START),
        (Keyword.HELP, HELP),
        (Keyword.STATUS, STATUS),
    ):
        if word in words:
            return meant
    return Keyword.OTHER


async def asked_about(request: TwilioRequest, store: "Callable[[], Store[Message]]") -> "tuple[Message, ...]":
    """The sender's messages of the last seven days and of the future, if the text asks for its STATUS."""
    if keyword(request) is not Keyword.STATUS:
        return ()
    since = request.now - timedelta(days=7)
    return (await store().to(request.get("From"), since=since, limit=200)).items


def inbound(request: TwilioRequest, settings: Settings, messages: "tuple[Message, ...]" = ()) -> Reply:
    """Twilio: a text came in. Answer its sender, or opt the sender out or in. messages: for STATUS."""
    sender, meant = request.get("From"), keyword(request)
    response = MessagingResponse()
    effects: tuple[Effect, ...] = ()
    company = settings.company_name or "us"
    match meant:
        case Keyword.STOP:
            effects = (OptOut(sender),)
            text = "You will get no more messages from us. Reply START to get them again."
        case Keyword.START:
            effects = (OptOut(sender, ends=True),)
            text = "You will get messages again. Reply STOP to end them."
        case Keyword.HELP:
            text = (
                f"This is {settings.company_name or 'Switchboard'}. Reply STATUS for what is scheduled "
                f"for you, STOP to get no more messages, or call {settings.from_number}."
            )
        case Keyword.STATUS:
            text = _status(messages, request.now)
        case Keyword.OTHER:
            text = f"Thank you, your message reached {company}. Reply HELP for what this number can do."
    # Twilio answers STOP and START itself unless its opt-out handling is switched off for the number.
    silent = meant in (Keyword.STOP, Keyword.START) and not settings.reply_to_stop
    if not silent:
        response.message(text)
    return Reply(response, effects)


def _status(messages: "tuple[Message, ...]", now: datetime) -> str:
    from shared.delivery.states import WAITING

    waiting = sorted((each for each in messages if each.state in WAITING), key=lambda each: each.next)
    done = [each for each in messages if each.sid]
    if waiting:
        due = waiting[0].next.astimezone(waiting[0].zone)
        when = "now" if waiting[0].next <= now else f"on {due:%d %B at %H:%M} {due.tzname()}"
        scheduled = f"{len(waiting)} scheduled for you, the next {when}"
    else:
        scheduled = "none scheduled for you"
    last = f" The last one before was {done[-1].state}." if done else ""
    return f"Messages: {scheduled}.{last}"
