"""All that is known of one number: its texts, calls, callbacks and opt-out, and what they cost."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from shared import errors
from shared.calls.call import Call
from shared.delivery import keys
from shared.delivery.states import State
from shared.delivery.store import Page, Store
from shared.sms import schedule
from shared.sms.message import Message
from shared.storage.rows import stamp
from shared.times import instants

if TYPE_CHECKING:
    from shared.twilio_helper import Twilio

log = logging.getLogger(__name__)

MOST = 100
"""Texts and calls in one answer."""
PRICED = 20
"""Of which so many are looked up at Twilio, where their price is not known yet."""
OPT_OUT = ("since", "source")
REACH = (timedelta(days=7), timedelta(days=90), None)
"""How far back is read, each only where the one before did not give as many."""


async def messages(address: str, request: Mapping[str, Any], texts: Store[Message]) -> Page[Message]:
    """A page of the texts to one address; `limit` (1 to 200) and `token` as for the list of messages."""
    limit, token = request.get("limit", 50), request.get("token") or ""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= 200:
        raise errors.InvalidRequest("limit", "must be a whole number from 1 to 200")
    if token and not (isinstance(token, str) and token.startswith(keys.conversation(address))):
        raise errors.InvalidRequest("token", "must be the token that the page before gave")
    return await texts.to(address, token=token, limit=limit)


@dataclass(frozen=True, slots=True)
class Timeline:
    """What a timeline is made from."""

    texts: Store[Message]
    calls: Store[Call]
    twilio: "Twilio"

    async def view(self, address: str, request: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
        """The newest hundred texts and calls of a number, later ones included; or those before `until`.

        older: what to give as `until` for the ones before, or None. price: the sum of what is shown, by
        currency. Raises InvalidRequest.
        """
        until = instants.parse(request["until"], "until", None) if request.get("until") else None
        number = address.removeprefix("whatsapp:")
        text_ids, call_ids, older = await self._newest(number, now, until)
        texts = [
            text
            for text in await self.texts.readable(text_ids)
            if text.to.removeprefix("whatsapp:") == number
        ]
        texts[:PRICED] = await asyncio.gather(
            *(schedule.priced(each, self.texts, self.twilio, now=now) for each in texts[:PRICED])
        )
        calls = await self.calls.readable(call_ids)
        calls[:PRICED] = await asyncio.gather(*(self._priced(each, now) for each in calls[:PRICED]))
        entries = [{"kind": "text", "at": stamp(text.due), **text.view()} for text in texts]
        entries += [{"kind": "call", "at": stamp(call.created), **call.view()} for call in calls]
        opted_out = await asyncio.gather(*(self.texts.opt_out_row(each) for each in _addresses(number)))
        return {
            "to": number,
            "opted_out": next(({name: row.text(name) for name in OPT_OUT} for row in opted_out if row), None),
            "entries": sorted(entries, key=lambda entry: str(entry["at"]), reverse=True),
            "price": _sum([*(text.price for text in texts), *(call.price for call in calls)]),
            "older": older,
        }

    async def _newest(
        self, number: str, now: datetime, until: datetime | None
    ) -> tuple[list[str], list[str], str | None]:
        """The ids of the newest texts and of the newest calls, and the time that older ones lie before."""
        texts: list[str] = []
        calls: list[str] = []
        for reach in REACH:
            since = (until or now) - reach if reach else None
            found = await asyncio.gather(
                *(self.texts.conversation(each, since=since, until=until) for each in _addresses(number))
            )
            texts = [row.key for part in found for row in part]
            calls = [row.key for row in await self.calls.conversation(number, since=since, until=until)]
            if len(texts) + len(calls) > MOST:
                break
        times = sorted(map(keys.time_of, texts + calls), reverse=True)
        older = times[MOST - 1] if len(times) > MOST else None
        return _ids(texts, older), _ids(calls, older), older

    async def _priced(self, call: Call, now: datetime) -> Call:
        """The call with its price, which Twilio knows a little after its end."""
        if call.price or not call.sid or call.state is not State.COMPLETED:
            return call
        try:
            price = await self.twilio.call_price(call.sid)
            priced = replace(call, price=price, updated=now)
            return await self.calls.change(call, priced) if price else call
        except errors.Contended:
            return call
        except errors.TwilioError as exc:
            log.warning("Twilio does not tell the price of call %s: %s", call.id, exc)
            return call


def _ids(places: list[str], older: str | None) -> list[str]:
    """Each id once, newest first: an edit leaves its text's old place in the conversation behind."""
    shown = sorted((key for key in places if not older or keys.time_of(key) >= older), reverse=True)
    return list(dict.fromkeys(map(keys.last, shown)))


def _addresses(number: str) -> tuple[str, str]:
    return number, f"whatsapp:{number}"


def _sum(prices: list[str]) -> dict[str, str]:
    """`{"USD": "-0.0237"}`, of prices as Twilio gives them: negative, with the currency behind."""
    total: dict[str, Decimal] = {}
    for price in filter(None, prices):
        amount, _, unit = price.partition(" ")
        total[unit] = total.get(unit, Decimal()) + Decimal(amount)
    return {unit: str(amount) for unit, amount in total.items()}
