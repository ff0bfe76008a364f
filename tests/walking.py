"""A company's app on the phone: calls walked through the worker library, and what they leave behind."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local.host.worker import Worker
from local.phone.testing import Line, Phone, VoiceNumber
from local.phone.transports import InProcess
from local.twilio.carrier.exchange.web_requests import Target
from shared.services import Services
from tests.settings import settings

ORIGIN = "http://localhost:7071"
OURS, CALLER, ANNA, BEN, OWNER, OTHER = (f"+1202555010{digit}" for digit in range(6))
COMPANY = {
    "PUBLIC_BASE_URL": ORIGIN,
    "COMPANY_NAME": "Example & Sons",
    "COMPANY_ADDRESS": "1 Main Street",
    "OWNER_NUMBER": OWNER,
    "TEAM_NUMBERS": f"{ANNA},{BEN}",
    "CONFERENCE_ROOMS": "standup:4321",
    "ALLOWED_TWIML_HOSTS": "media.example.com",
}


class Company:
    """The indexed app, as it is for a company that has set everything."""

    def __init__(self, worker: Worker, loop: asyncio.AbstractEventLoop) -> None:
        self.worker = worker
        self.loop = loop
        self.wire = InProcess(worker, loop.run_until_complete)
        self.phone = Phone(self.wire, {OURS: VoiceNumber(Target(f"{ORIGIN}/api/voice"))})

    def twimlet(self, name: str, parameters: str = "", caller: str = CALLER) -> Line:
        """Call a number whose VoiceUrl is a Twimlet; `parameters` as in a URL."""
        return self.phone.dial_application(
            f"{ORIGIN}/api/twimlets/{name}?{parameters}", from_=caller, to=OURS
        )

    @property
    def queued(self) -> list[dict[str, Any]]:
        """What the app put on `outbound-calls`."""
        return [json.loads(text) for name, text in self.wire.outputs if name == "ring"]

    def ring(self, **message: str) -> None:
        """Give one message of `outbound-calls` to the queue trigger."""
        self.loop.run_until_complete(self.worker.queue("place_outbound_call", json.dumps(message)))

    def texts(self) -> list[str]:
        """The bodies of the SMS that the app has accepted."""
        listed = self.worker.http("message_list", "GET", f"{ORIGIN}/api/messages")
        result = self.loop.run_until_complete(listed)
        assert result.answer is not None
        return [each["body"] for each in result.answer.json()["messages"]]


@contextmanager
def known_as(loop: asyncio.AbstractEventLoop, **environ: str) -> Iterator[None]:
    """The indexed app works with these settings, and storage of its own, for a while."""
    app: Any = sys.modules["function_app"]
    before, app.services = app.services, Services(settings(**environ))
    try:
        yield
    finally:
        loop.run_until_complete(app.services.close())
        app.services = before
