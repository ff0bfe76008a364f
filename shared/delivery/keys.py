"""The row keys of texts and calls: every key is built and read here, and nowhere else.

In the partition of a text (its recipient's shard) or of a call (its id's shard) lie:

m|ID                    the text or call
q|TIME|m|ID             it waits, and is due at TIME: a copy, with all that a send needs
q|TIME|s|PERSON         a STOP that came at TIME, until no creation can race with it any more
h|TIME|l|ATTEMPT        the lease of a claim, which runs out at TIME
h|TIME|u|ID             the fate is unknown: look it up at TIME
h|TIME|f|ATTEMPT        they have left: ask Twilio after them at TIME, where no callback told their end
t|PERSON|TIME|ID        the conversation of a person, in both directions, by time; an old place may stay
a|TIME|ID               what was accepted, the last first
x|STATE|ID              what came to a rare end (states.RARE), or is unresolved
o|PERSON                an opt-out
d|drain                 a message on sms-drain names this shard
n|PERSON|DAY            how many left for a person on that day (UTC), where a limit is set
n|PERSON|DAY|ID         that this one is counted there

Reservations lie in partitions of their own, by a hash:

k|HASH                  which text an idempotency key made
i|SID                   whose SID a look-up found, so that it gives no SID to two

What is due (q) lies apart from housekeeping (h), so that it never waits behind it. A person is an address as
Twilio gives it, which is not always a number: `whatsapp:US.13491208655302741918`.
"""

from datetime import datetime
from hashlib import sha256
from urllib.parse import quote, unquote

from shared.delivery.states import State
from shared.storage.rows import END, stamp

DUE, HOUSEKEEPING, RECORDS, ACCEPTED, OPT_OUTS = "q|", "h|", "m|", "a|", "o|"
DRAIN_REQUEST = "d|drain"
ITEM, STOP, LEASE, LOOK_UP, ASK_AFTER = "m", "s", "l", "u", "f"

_FAR = 10**14
"""Milliseconds; subtracted from, so that the later sorts first."""


def record(item_id: str) -> str:
    return f"{RECORDS}{item_id}"


def due(at: datetime, item_id: str) -> str:
    return f"{DUE}{stamp(at)}|{ITEM}|{item_id}"


def stop(at: datetime, person: str) -> str:
    return f"{DUE}{stamp(at)}|{STOP}|{escaped(person)}"


def lease(until: datetime, attempt: str) -> str:
    return f"{HOUSEKEEPING}{stamp(until)}|{LEASE}|{attempt}"


def look_up(at: datetime, item_id: str) -> str:
    return f"{HOUSEKEEPING}{stamp(at)}|{LOOK_UP}|{item_id}"


def ask_after(at: datetime, name: str) -> str:
    return f"{HOUSEKEEPING}{stamp(at)}|{ASK_AFTER}|{name}"


def until(prefix: str, now: datetime) -> str:
    """Behind all that has its time by now, of what is due or of housekeeping."""
    return f"{prefix}{stamp(now)}|{END}"


def first_due(at: datetime) -> str:
    """The part of a text's id that says when it was first due: 11 hexadecimal digits, in ms."""
    return f"{int(at.timestamp() * 1000):011x}"


def conversation(person: str) -> str:
    """What the keys of a person's conversation begin with."""
    return f"t|{escaped(person)}|"


def place(person: str, at: datetime, item_id: str) -> str:
    return f"{conversation(person)}{stamp(at)}|{item_id}"


def accepted(at: datetime, item_id: str) -> str:
    return f"{ACCEPTED}{_FAR - int(at.timestamp() * 1000):014}|{item_id}"


def ends(state: State) -> str:
    """What the keys of those in one rare state begin with."""
    return f"x|{state.value}|"


def end(state: State, item_id: str) -> str:
    return f"{ends(state)}{item_id}"


def opt_out(person: str) -> str:
    return f"{OPT_OUTS}{escaped(person)}"


def counts(person: str) -> str:
    """What the keys of a person's daily counts begin with."""
    return f"n|{escaped(person)}|"


def count(person: str, day: str) -> str:
    return f"{counts(person)}{day}"


def idempotency(key: str) -> tuple[str, str]:
    """The partition and the key of the row that says what an idempotency key made."""
    digest = sha256(key.encode()).hexdigest()
    return f"k{digest[:2]}", f"k|{digest}"


def sid(sid: str) -> tuple[str, str]:
    """The partition and the key of the row that says whose SID this is."""
    return f"i{sha256(sid.encode()).hexdigest()[:2]}", f"i|{sid}"


def kind(key: str) -> str:
    """ITEM, STOP, LEASE, LOOK_UP or ASK_AFTER, of a key in q| or h|; "" of a key that is wrong."""
    parts = key.split("|")
    return parts[2] if len(parts) > 3 else ""


def last(key: str) -> str:
    """The last part of a key: an id, an attempt, or (escaped) a person."""
    return key.rpartition("|")[2]


def time_of(place: str) -> str:
    """The time in the key of a place in a conversation."""
    return place.split("|")[-2]


def escaped(person: str) -> str:
    """An address, without what a row key must not hold (/ \\ # ? and control characters) or what parts it."""
    return quote(person, safe="+:@")


def person(key: str) -> str:
    """The address that a key ends in."""
    return unquote(last(key))


def moved(place: str, person: str) -> str:
    """The same place in the conversation of another person, or of what stands for an erased one."""
    return f"{conversation(person)}{time_of(place)}|{last(place)}"
