"""What the triggers work with, built from the settings on first use and kept for the life of the worker."""

import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from shared.errors import Conflict, InvalidRequest
from shared.lazily import recipients, schedule

if TYPE_CHECKING:
    from shared.bulk.jobs import BulkJobs
    from shared.calls.dead_letters import DeadLetters
    from shared.calls.ledger import CallLedger
    from shared.config import Settings
    from shared.delivery.store import MessageStore
    from shared.sms.stats import Stats
    from shared.storage.blobs import Blobs
    from shared.storage.tables import Table, Tables
    from shared.twilio_helper import Twilio
    from shared.twiml.effects import Effect

log = logging.getLogger(__name__)


class Services:
    """One of each; nothing is read and nothing is connected before it is needed."""

    def __init__(self, settings: "Settings | None" = None) -> None:
        if settings:
            self.settings = settings

    @cached_property
    def settings(self) -> "Settings":
        """The app settings. Raises SettingsError, and reads them anew next time, while some are missing."""
        from shared.config import Settings

        return Settings.from_env()

    @cached_property
    def twilio(self) -> "Twilio":
        """Twilio's REST API."""
        from shared.twilio_helper import Twilio

        return Twilio(self.settings)

    @cached_property
    def tables(self) -> "Tables":
        """The storage account's tables."""
        from shared.storage.tables import Tables

        return Tables.connect(self.settings)

    @cached_property
    def messages(self) -> "MessageStore":
        """The messages, and who has opted out."""
        from shared.delivery.store import MessageStore

        return MessageStore(self.tables.table("messages"), self.settings.erasure_key)

    @cached_property
    def calls(self) -> "CallLedger":
        """The calls."""
        from shared.calls.ledger import CallLedger
        from shared.storage.batching import Together

        return CallLedger(Together(self.tables.table("calls")))

    @cached_property
    def dead_letters(self) -> "DeadLetters":
        """What was given up."""
        from shared.calls.dead_letters import DeadLetters

        return DeadLetters(self.tables.table("deadletters"))

    @cached_property
    def limits(self) -> "Table":
        """How many tokens were minted for whom."""
        return self.tables.table("limits")

    @cached_property
    def stats(self) -> "Stats":
        """The counts of messages."""
        from shared.sms.stats import Stats

        return Stats(self.messages.table)

    @cached_property
    def bulk_jobs(self) -> "BulkJobs":
        """The bulk loads."""
        from shared.bulk.jobs import BulkJobs

        return BulkJobs(self.tables.table("bulk"))

    @cached_property
    def files(self) -> "Blobs":
        """The files of the bulk loads."""
        from shared.storage.blobs import Blobs

        return Blobs(self.settings, "bulk")

    async def carry_out(self, effects: "Iterable[Effect]") -> list[str]:
        """Do what a flow wants done besides its TwiML; the calls to place, as queue messages."""
        from shared.twiml.effects import CallBack, OptIn, OptOut, Text

        ring: list[str] = []
        for effect in effects:
            match effect:
                case Text():
                    request = {"to": effect.to, "body": effect.body, "idempotency_key": effect.id}
                    try:
                        await schedule.create(request, self.messages, self.settings, now=utcnow())
                    except (InvalidRequest, Conflict) as exc:  # the caller is to hear the answer all the same
                        log.error("a text that a call flow wants sent cannot be: %s", exc)
                case CallBack():
                    ring.append(json.dumps({"to": effect.to, "url": effect.url, "id": effect.id}))
                case OptOut():
                    await recipients.opt_out(self.messages, effect.address, now=utcnow(), source="asked for")
                case OptIn():
                    await recipients.opt_in(self.messages, effect.address)
                case _:
                    log.warning("a call flow warns: %s", effect.reason)
        return ring

    async def close(self) -> None:
        """Close every connection that was opened."""
        for name in ("twilio", "tables", "files"):
            if name in self.__dict__:
                await self.__dict__[name].close()


def utcnow() -> datetime:
    """The one look at the clock, made by a trigger and passed on."""
    return datetime.now(UTC)
