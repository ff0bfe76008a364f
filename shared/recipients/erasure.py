"""Erase a recipient: what is kept of them afterwards is a keyed hash, which still suppresses.

Twilio's own records are another matter: they are deleted there, by SID.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared import errors
from shared.bulk import erasure as bulk_erasure
from shared.delivery.states import IN_DOUBT, WAITING, State
from shared.delivery.store import END, MessageStore, pseudonym
from shared.sms import schedule
from shared.sms.message import Message, shard
from shared.storage.rows import Delete, Put, Row, Write, stamp

if TYPE_CHECKING:
    from shared.services import Services


async def erase(recipient: str, services: "Services", *, now: datetime) -> dict[str, Any]:
    """Erase one person's messages, calls, lists, opt-out and rows in files; safe to repeat.

    It is to be repeated for `in_doubt` and `bulk_loads`. What waits is canceled. A message or call whose fate
    is in doubt keeps its recipient until it is settled, since it is looked up by it. A file that is not
    loaded yet loses the person's rows; the `bulk_loads` under way that name the person make no message to
    them from here on. Raises SettingsError without ERASURE_KEY.
    """
    key = services.settings.erasure_key
    if not key:
        raise errors.SettingsError(("ERASURE_KEY",))
    store, name = services.messages, pseudonym(key, recipient)
    bulk_loads = await bulk_erasure.erase(recipient, name, services, now=now)  # first: no more are to come
    erased = in_doubt = 0
    prefix, after = f"t|{recipient}|", f"t|{recipient}|"
    while rows := await store.table.read(shard(recipient), after, prefix + END, limit=100):
        after = rows[-1].key
        for row in rows:
            done = await _erase_one(store, recipient, name, row.key, now)
            erased, in_doubt = erased + done, in_doubt + (not done)
    calls = 0
    for row in await services.calls.of(recipient):
        done = await _erase_call(services, recipient, name, row, now)
        calls, in_doubt = calls + done, in_doubt + (not done)
    opted_out = await _erase_opt_out(store, recipient, name)
    await _forget(store, shard(recipient), f"n|{recipient}|")
    letters = await services.dead_letters.erase(recipient)
    return {
        "messages": erased,
        "calls": calls,
        "in_doubt": in_doubt,
        "dead_letters": letters,
        "opted_out": opted_out,
        "bulk_loads": bulk_loads,
    }


async def erase_message(store: MessageStore, message: Message, name: str, *, now: datetime) -> None:
    """Erase one message, if it is there. name: what stands for its recipient."""
    await _erase_one(store, message.to, name, f"t|{message.to}|{stamp(message.due)}|{message.id}", now)


async def _erase_one(store: MessageStore, recipient: str, name: str, key: str, now: datetime) -> bool:
    """One message and its place in the recipient's list, `key`. False while its fate is in doubt."""
    message_id = key.rpartition("|")[2]
    for _ in range(8):
        try:
            message = await store.get(message_id)
            if message.state in WAITING and message.to == recipient:
                message = await schedule.cancel(message_id, store, now=now)
        except errors.NotFound:
            break
        except (errors.Conflict, errors.Contended):
            continue
        if message.to != recipient:
            break  # another's since it was edited, or erased before
        if message.state in IN_DOUBT - {State.UNRESOLVED}:
            return False
        try:
            await store.change(message, _without_person(message, name, now))
        except errors.Contended:
            continue
        break
    moved = f"t|{name}{key.removeprefix(f't|{recipient}')}"
    await _commit(store, shard(recipient), [Put(moved, {}), Delete(key)])
    return True


async def _erase_call(services: "Services", recipient: str, name: str, row: Row, now: datetime) -> bool:
    """One call and its place in the number's list. False while its fate is in doubt."""
    for _ in range(8):
        call = await services.calls.find(row.key.rpartition("|")[2])
        if call is None:
            break
        if call.state in IN_DOUBT - {State.UNRESOLVED}:
            return False
        to, sender = (name if each == recipient else each for each in (call.to, call.sender))
        # One that is still on the queue does not ring any more.
        state = State.CANCELED if call.state is State.PENDING else call.state
        erased = replace(call, to=to, sender=sender, say="", reason="", state=state, updated=now)
        try:
            await services.calls.write(erased)
        except errors.Contended:
            continue
        break
    await services.calls.rename(row, name)
    return True


def _without_person(message: Message, name: str, now: datetime) -> Message:
    return replace(message, to=name, body="", media_urls=(), reason="", updated=now)


async def _erase_opt_out(store: MessageStore, recipient: str, name: str) -> bool:
    partition = shard(recipient)
    row = await store.table.get(partition, f"o|{recipient}")
    if row is None:
        return await store.table.get(partition, f"o|{name}") is not None
    values = {"since": row.text("since"), "source": row.text("source")}
    await _commit(store, partition, [Put(f"o|{name}", values), Delete(row.key)])
    if marker := row.text("marker"):
        await _commit(store, partition, [Delete(marker)])
    return True


async def _forget(store: MessageStore, partition: str, prefix: str) -> None:
    while rows := await store.table.read(partition, prefix, prefix + END, limit=100):
        await _commit(store, partition, [Delete(row.key) for row in rows])


async def _commit(store: MessageStore, partition: str, writes: Iterable[Write]) -> None:
    try:
        await store.table.commit(partition, list(writes))
    except errors.Contended:
        return  # done before, by the same request repeated
