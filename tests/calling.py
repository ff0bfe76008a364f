"""The app's number on the phone: calls walked through Microsoft's worker library, in this process."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local.host.worker import Worker
from local.phone.testing import Phone, VoiceNumber
from local.phone.transports import InProcess
from local.twilio.carrier.exchange.leg import StatusCallback
from local.twilio.carrier.exchange.web_requests import Target
from shared.config import Settings

OURS, CALLER, ANNA, BEN, OWNER = (f"+1202555010{digit}" for digit in range(5))


def app_phone(worker: Worker, loop: asyncio.AbstractEventLoop) -> Phone:
    """A phone whose number +12025550100 is answered by the indexed app, as Twilio would be told to."""
    public = os.environ["PUBLIC_BASE_URL"]
    number = VoiceNumber(
        Target(f"{public}/api/voice"),
        callback=StatusCallback(f"{public}/api/voice/status"),
    )
    return Phone(InProcess(worker, loop.run_until_complete), {OURS: number})


@contextmanager
def settings_with(**environ: str) -> Iterator[Settings]:
    """The indexed app with these settings besides its own, for a while."""
    services: Any = sys.modules["function_app"].services
    before = services.settings
    services.settings = Settings.from_env({**os.environ, **environ})
    try:
        yield services.settings
    finally:
        services.settings = before
