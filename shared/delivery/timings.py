"""How long the engine waits for what: one table, since these depend on each other."""

from datetime import timedelta

LEASE = timedelta(seconds=90)
"""How long a claim holds: well over Twilio's time limit, so that it never runs out under a living drain."""
STALE = timedelta(seconds=60)
"""So long after its claim a request no longer leaves: its lease would not outlive it."""
HOLD = timedelta(minutes=15)
"""After which what is held is tried again: by then our configuration may be mended."""
FIRST_LOOK = timedelta(seconds=60)
"""When what is of unknown fate is looked up for the first time, and again after a look-up that failed."""
GRACE = timedelta(minutes=5)
"""After posting: what Twilio lists neither at the first look-up nor after this is not found."""
BLIND = timedelta(hours=1)
"""How long look-ups may fail before a person is asked."""
SKEW = timedelta(minutes=6)
"""How far Twilio's clock and ours may differ."""
ASK_AFTER = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
"""When Twilio is asked after what has no end yet; after the last time the carrier is taken to tell none."""
LATE = timedelta(days=1)
"""What leaves so long after it was first due is entered in its person's conversation again."""
STOP_RACE = timedelta(minutes=10)
"""Longer than any creation can be under way."""
