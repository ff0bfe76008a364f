"""What the engine has to know of texts: how one is posted, listed and recognised at Twilio."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from shared import errors
from shared.config import Settings
from shared.delivery.outbox import Known, Listed
from shared.delivery.states import from_twilio
from shared.delivery.store import Store
from shared.sms.message import Message
from shared.twilio_errors import NOT_FOUND, OPTED_OUT, meaning

if TYPE_CHECKING:
    from shared.twilio_helper import Sent, Twilio


class Texts:
    """The engine's Kind (shared/delivery/outbox.py) for texts."""

    limit_name = "DAILY_LIMIT"

    def __init__(self, store: Store[Message], twilio: "Twilio", settings: Settings) -> None:
        self._store, self._twilio, self._settings = store, twilio, settings
        self.daily_limit = settings.daily_limit

    async def post(self, item: Message) -> str:
        """POST one text. Its status callbacks carry its id and attempt."""
        query = f"id={item.id}&attempt={item.attempt}"
        sent = await self._twilio.send_sms(
            to=item.to,
            body=item.body,
            media_urls=item.media_urls,
            sender=item.sender or None,
            status_callback=f"{self._settings.public_base_url}/api/sms/status?{query}",
        )
        return sent.sid

    async def listed(self, to: str, *, since: datetime) -> "Sequence[Sent]":
        """What was sent to one recipient over the API."""
        return await self._twilio.messages_to(to, since=since)

    def could_be(self, item: Message, listed: Listed) -> bool:
        """Is it the same text?"""
        return listed.body.strip() == item.body.strip()

    def are_alike(self, one: Message, other: Message) -> bool:
        """Are they the same text?"""
        return one.body == other.body

    async def fetch(self, sid: str) -> Known | None:
        """One text as Twilio has it."""
        try:
            known = await self._twilio.message(sid)
        except errors.Refused as exc:
            if exc.code == NOT_FOUND:
                return None
            raise
        code = int(known.error_code or 0)
        return Known(from_twilio(str(known.status)), code, meaning(code) if code else "")

    async def opted_out(self, item: Message) -> bool:
        """Has its recipient opted out?"""
        return await self._store.opted_out(item.to)

    def put_off(self, item: Message, until: datetime) -> Message:  # noqa: ARG002 - the engine's Kind
        """It keeps its expiry."""
        return item

    async def before_end(self, item: Message, *, now: datetime) -> None:
        """Twilio says that the recipient has opted out (21610): keep that."""
        if item.code == OPTED_OUT:
            from shared.sms import opt_outs

            await opt_outs.opt_out(self._store, item.to, now=now, source=str(item.code))
