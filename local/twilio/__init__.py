"""Our own emulator of Twilio, one for the laptop edition, the tests, the fault table and the bench.

`Emulator` runs it inside a process; `python -m local.emulator` runs it as a process of its own.
"""

from local.twilio.in_thread import Emulator
from local.twilio.model.options import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NUMBER,
    MessagingService,
    Number,
    Options,
    Pace,
)

__all__ = [
    "ACCOUNT_SID",
    "AUTH_TOKEN",
    "NUMBER",
    "Emulator",
    "MessagingService",
    "Number",
    "Options",
    "Pace",
]
