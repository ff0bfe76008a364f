"""Settle what was left in doubt: leases that ran out, answers that never came, STOPs that raced a creation.

A drain comes across these in the same range read as the messages that are due.
"""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared import errors, recipients
from shared.message import Message
from shared.message_store import MessageStore
from shared.rows import Delete, Insert, Row, Write, moment, stamp
from shared.states import State, advance, from_twilio
from shared.twilio_helper import Sent, Twilio

log = logging.getLogger(__name__)

FIRST_LOOK = timedelta(seconds=60)
GRACE = timedelta(minutes=5)
"""After posting; an acceptance that Twilio lists neither at the first look nor after this is not found."""
BLIND = timedelta(hours=1)
"""How long looking up may fail before a person is asked."""
SKEW = timedelta(minutes=6)
"""How far Twilio's clock and ours may differ."""


def look_up(message: Message, at: datetime) -> Write:
    """The write that has a message of unknown fate looked up, not before `at`."""
    return Insert(f"q|{stamp(at)}|u|{message.id}", {"to": message.to})


async def settle(
    store: MessageStore,
    twilio: Twilio,
    partition: str,
    rows: Sequence[Row],
    *,
    now: datetime,
    report: Counter[str],
) -> frozenset[str]:
    """Settle these rows of what is due; the recipients that must not be sent to meanwhile."""
    stopped: set[str] = set()
    doubtful: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        match row.key.split("|")[2]:
            case "l":
                await _lease_ran_out(store, partition, row, now)
            case "u":
                doubtful[row.text("to")].append(row)
            case "s":
                recipient = row.key.rpartition("|")[2]
                if not await store.opted_out(recipient):  # a START has come since
                    await _try(store, partition, [Delete(row.key, row.etag)])
                elif now < moment(row.text("until")):
                    stopped.add(recipient)
                else:
                    await recipients.suppress_all(store, recipient, now=now)
                    await _try(store, partition, [Delete(row.key, row.etag)])
    answers = True
    for recipient, unknown in doubtful.items():
        answers = await _look_up(
            store, twilio, partition, recipient, unknown, now=now, report=report, answers=answers
        )
    return frozenset(stopped)


async def _lease_ran_out(store: MessageStore, partition: str, row: Row, now: datetime) -> None:
    """Its drain died: whatever it had claimed and not written off may have left."""
    attempt = row.key.rpartition("|")[2]
    for message in await store.many(json.loads(row.text("ids"))):
        if message.state is State.POSTING and message.attempt == attempt:
            unknown = replace(message, state=State.UNKNOWN, updated=now, reason="its sender died")
            await _try(store, partition, store.put(unknown), look_up(unknown, now))
    await _try(store, partition, [Delete(row.key)])


async def _look_up(
    store: MessageStore,
    twilio: Twilio,
    partition: str,
    recipient: str,
    rows: Sequence[Row],
    *,
    now: datetime,
    report: Counter[str],
    answers: bool,
) -> bool:
    """Find one recipient's messages of unknown fate in Twilio's list, one SID to one message.

    answers: does Twilio? Where it does not, it is not asked, and the messages wait. The same, afterwards.
    """
    messages = {message.id: message for message in await store.many(r.key.rpartition("|")[2] for r in rows)}
    found: list[Sent] | None = None
    taken: set[str] = set()
    for row in rows:
        message = messages.get(row.key.rpartition("|")[2])
        if message is None or message.state is not State.UNKNOWN or message.posted is None:
            await _try(store, partition, [Delete(row.key, row.etag)])  # a callback has settled it
            continue
        if found is None and answers:
            taken = await store.sids(recipient, since=message.posted - timedelta(days=1))
            try:
                found = await twilio.messages_to(recipient)
            except errors.TwilioError as exc:
                log.warning("message %s cannot be looked up yet: %s", message.id, exc)
                answers = False
        if found is None:
            await _again(store, partition, row, message, now, "it could not be looked up", counts=False)
            continue
        sent = next((each for each in found if each.sid not in taken and _is_it(message, each)), None)
        if sent is None:
            await _again(store, partition, row, message, now, "Twilio does not list it")
            continue
        taken.add(sent.sid)
        state = advance(State.UNKNOWN, from_twilio(sent.status) or State.SUBMITTED)
        settled = replace(message, state=state, sid=sent.sid, updated=now, reason="")
        if await _try(store, partition, store.put(settled), Delete(row.key, row.etag)):
            report[state.value] += 1
    return answers


def _is_it(message: Message, sent: Sent) -> bool:
    """Could this be the one? The same text, taken by Twilio about when we posted it."""
    if sent.created is None or message.posted is None or sent.body.strip() != message.body.strip():
        return False
    return message.posted - SKEW <= sent.created <= message.posted + SKEW


async def _again(
    store: MessageStore,
    partition: str,
    row: Row,
    message: Message,
    now: datetime,
    why: str,
    *,
    counts: bool = True,
) -> None:
    """Look again later; after two empty looks past the grace period nobody can say but a person."""
    assert message.posted is not None  # noqa: S101 - only what was posted is looked up
    age = now - message.posted
    looks = message.looks + 1 if counts else message.looks
    given_up = (looks >= 2 and age >= GRACE) if counts else age >= BLIND
    if given_up:
        log.error("message %s is unresolved: %s", message.id, why)
        ended = replace(message, state=State.UNRESOLVED, looks=looks, updated=now, reason=why)
        listed = Insert(f"x|{message.id}", {"state": ended.state.value})
        await _try(store, partition, store.put(ended), Delete(row.key, row.etag), listed)
        return
    later = max(now + FIRST_LOOK, message.posted + GRACE) if counts else now + FIRST_LOOK
    looked = replace(message, looks=looks, updated=now, reason=why)
    await _try(store, partition, store.put(looked), Delete(row.key, row.etag), look_up(looked, later))


async def _try(store: MessageStore, partition: str, *writes: Write | Sequence[Write]) -> bool:
    """Commit, unless someone else settled it first."""
    flat = [each for write in writes for each in ([write] if not isinstance(write, Sequence) else write)]
    try:
        await store.table.commit(partition, flat)
    except errors.Contended:
        return False
    return True
