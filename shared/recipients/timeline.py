"""All that is known of one number: its texts, calls, callbacks and opt-out, and what they cost."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from shared import errors
from shared.calls.ledger import Call
from shared.delivery.states import State
from shared.delivery.store import END, Page
from shared.sms import schedule
from shared.sms.message import shard
from shared.storage.rows import stamp
from shared.times import instants as when

if TYPE_CHECKING:
    from shared.services import Services

log = logging.getLogger(__name__)

MOST = 100
"""Texts and calls in one answer."""
PRICED = 20
"""Of which so many are looked up at Twilio, where their price is not known yet."""
REACH = (timedelta(days=7), timedelta(days=90), None)
"""How far back is read, each only where the one before did not give as many."""


async def messages(address: str, request: Mapping[str, Any], services: "Services") -> Page:
    """A page of the messages to one address; `limit` (1 to 200) and `token` as for the list of messages."""
    limit, token = request.get("limit", 50), request.get("token") or ""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= 200:
        raise errors.InvalidRequest("limit", "must be a whole number from 1 to 200")
    if token and not (isinstance(token, str) and token.startswith(f"t|{address}|")):
        raise errors.InvalidRequest("token", "must be the token that the page before gave")
    return await services.messages.to(address, token=token, limit=limit)


async def view(
    address: str, request: Mapping[str, Any], services: "Services", *, now: datetime
) -> dict[str, Any]:
    """The newest hundred texts and calls of a number, those to come included; or the newest before `until`.

    older: what to give as `until` for the ones before, or None. price: the sum of what is shown, by currency.
    Raises InvalidRequest.
    """
    until = when.parse(request["until"], "until", None) if request.get("until") else None
    number = address.removeprefix("whatsapp:")
    places: list[tuple[str, str]] = []
    for reach in REACH:
        since = (until or now) - reach if reach else None
        places = sorted(await _places(number, services, since, until), reverse=True)
        if len(places) > MOST:
            break
    older = places[MOST - 1][0] if len(places) > MOST else None
    shown = [key for at, key in places if not older or at >= older]
    texts = await services.messages.many(_ids(shown, "t"))
    texts = [text for text in texts if text.to.removeprefix("whatsapp:") == number]
    texts[:PRICED] = await asyncio.gather(
        *(schedule.priced(each, services, now=now) for each in texts[:PRICED])
    )
    calls = await services.calls.many(_ids(shown, "v"))
    calls[:PRICED] = await asyncio.gather(*(_priced(each, services, now) for each in calls[:PRICED]))
    entries = [{"kind": "text", "at": stamp(text.due), **text.view()} for text in texts]
    entries += [{"kind": "call", "at": stamp(call.created), **call.view()} for call in calls]
    opted_out = await asyncio.gather(*(_opt_out(each, services) for each in _addresses(number)))
    return {
        "to": number,
        "opted_out": next((each for each in opted_out if each), None),
        "entries": sorted(entries, key=lambda entry: str(entry["at"]), reverse=True),
        "price": _sum([*(text.price for text in texts), *(call.price for call in calls)]),
        "older": older,
    }


def _ids(keys: list[str], kind: str) -> list[str]:
    """Each id once: an edit leaves its message's old place in the list behind."""
    return list(dict.fromkeys(key.rpartition("|")[2] for key in keys if key.startswith(f"{kind}|")))


def _addresses(number: str) -> tuple[str, str]:
    return number, f"whatsapp:{number}"


async def _places(
    number: str, services: "Services", since: datetime | None, until: datetime | None
) -> list[tuple[str, str]]:
    """(time, key) of each text and call of a number, read by range from the lists of its partitions."""
    table = services.messages.table
    places: list[tuple[str, str]] = []

    async def listed(prefix: str, partition: str) -> None:
        after, high = prefix + (stamp(since) if since else ""), prefix + (stamp(until) if until else END)
        while rows := await table.read(partition, after, high, limit=1000, select=["state"]):
            after = rows[-1].key
            places.extend((row.key.split("|")[-2], row.key) for row in rows)

    texts = (listed(f"t|{address}|", shard(address)) for address in _addresses(number))
    await asyncio.gather(*texts)
    calls = await services.calls.of(number, since=since, until=until)
    return places + [(row.key.split("|")[-2], row.key) for row in calls]


async def _opt_out(address: str, services: "Services") -> dict[str, str] | None:
    for name in services.messages.names(address):
        if row := await services.messages.table.get(shard(address), f"o|{name}"):
            return {"since": row.text("since"), "source": row.text("source")}
    return None


async def _priced(call: Call, services: "Services", now: datetime) -> Call:
    """The call with its price, which Twilio knows a little after its end."""
    if call.price or not call.sid or call.state is not State.COMPLETED:
        return call
    try:
        price = await services.twilio.call_price(call.sid)
        return await services.calls.write(replace(call, price=price, updated=now)) if price else call
    except errors.Contended:
        return call
    except errors.TwilioError as exc:
        log.warning("the price of call %s is not to be had: %s", call.id, exc)
        return call


def _sum(prices: list[str]) -> dict[str, str]:
    """`{"USD": "-0.0237"}`, of prices as Twilio gives them: negative, with the currency behind."""
    total: dict[str, Decimal] = {}
    for price in filter(None, prices):
        amount, _, unit = price.partition(" ")
        total[unit] = total.get(unit, Decimal()) + Decimal(amount)
    return {unit: str(amount) for unit, amount in total.items()}
