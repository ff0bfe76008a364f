"""What the triggers work with, built from the settings on first use and kept for the life of the worker."""

from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.bulk.jobs import BulkJobs
    from shared.bulk.loader import Loader
    from shared.calls.call import Call
    from shared.calls.dead_letters import DeadLetters
    from shared.config import Settings
    from shared.delivery.outbox import Outbox
    from shared.delivery.store import Store
    from shared.delivery.throttle import Slots
    from shared.recipients.erasure import Places
    from shared.recipients.timeline import Timeline
    from shared.sms.message import Message
    from shared.sms.stats import Stats
    from shared.storage.blobs import Blobs
    from shared.storage.queues import Queues
    from shared.storage.tables import Table, Tables
    from shared.timer import GivenUp
    from shared.twilio_helper import Twilio


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
    def slots(self) -> "Slots":
        """How many requests may be under way at once, by all that this process sends."""
        from shared.delivery.throttle import Slots

        return Slots(self.settings.send_concurrency)

    @cached_property
    def messages(self) -> "Store[Message]":
        """The texts, and who has opted out."""
        from shared.delivery.store import Store
        from shared.sms.message import Message

        return Store(self.tables.table("messages"), Message, self.settings.erasure_key)

    @cached_property
    def calls(self) -> "Store[Call]":
        """The calls."""
        from shared.calls.call import Call
        from shared.delivery.store import Store

        return Store(self.tables.table("calls", batching=True), Call, self.settings.erasure_key)

    @cached_property
    def text_outbox(self) -> "Outbox[Message]":
        """The texts on their way out."""
        from shared.delivery.outbox import Outbox
        from shared.sms.texts import Texts

        texts = Texts(self.messages, self.twilio, self.settings)
        return Outbox(self.messages, texts, self.settings, self.slots)

    @cached_property
    def call_outbox(self) -> "Outbox[Call]":
        """The calls on their way out."""
        from shared.calls.calls import Calls
        from shared.delivery.outbox import Outbox

        calls = Calls(self.messages, self.dead_letters, self.twilio, self.settings)
        return Outbox(self.calls, calls, self.settings, self.slots)

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
        """The jobs of the bulk loads."""
        from shared.bulk.jobs import BulkJobs

        return BulkJobs(self.tables.table("bulk"))

    @cached_property
    def bulk_loader(self) -> "Loader":
        """What loads a file."""
        from shared.bulk.loader import Loader

        return Loader(self.bulk_jobs, self.files, self.messages, self.settings)

    @cached_property
    def files(self) -> "Blobs":
        """The files of the bulk loads."""
        from shared.storage.blobs import Blobs

        return Blobs(self.settings, "bulk")

    @cached_property
    def queues(self) -> "Queues":
        """The queues through the storage SDK."""
        from shared.storage.queues import Queues

        return Queues(self.settings)

    @property
    def given_up(self) -> "GivenUp":
        """What the host gave up."""
        from shared.timer import GivenUp

        jobs, files = (lambda: self.bulk_jobs), (lambda: self.files)
        return GivenUp(self.queues, self.calls, self.dead_letters, jobs, files)

    @property
    def places(self) -> "Places":
        """Everywhere that something about a person may be."""
        from shared.recipients.erasure import Places

        return Places(self.messages, self.calls, self.dead_letters, self.bulk_jobs, self.files)

    @property
    def timeline(self) -> "Timeline":
        """What is known of one number."""
        from shared.recipients.timeline import Timeline

        return Timeline(self.messages, self.calls, self.twilio)

    async def close(self) -> None:
        """Close every connection that was opened."""
        for name in ("twilio", "tables", "files", "queues"):
            if name in self.__dict__:
                await self.__dict__[name].close()


def utcnow() -> datetime:
    """The time in UTC: a trigger asks once, and passes it on."""
    return datetime.now(UTC)
