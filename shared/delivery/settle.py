"""Settle what was left in doubt: leases that ran out, answers that never came, STOPs that raced a creation.

A drain comes across these in the same range read as the messages that are due, and across what was sent some
time ago, to ask Twilio after what no callback has told the end of.
"""

import asyncio
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from shared import errors
from shared.delivery.states import State, advance, from_twilio
from shared.delivery.store import MessageStore
from shared.sms import opt_outs as recipients
from shared.sms.message import Message
from shared.storage.rows import Delete, Insert, Put, Row, Write, moment, stamp
from shared.twilio_helper import Sent, Twilio, meaning

log = logging.getLogger(__name__)

FIRST_LOOK = timedelta(seconds=60)
GRACE = timedelta(minutes=5)
"""After posting; an acceptance that Twilio lists neither at the first look nor after this is not found."""
BLIND = timedelta(hours=1)
"""How long looking up may fail before a person is asked."""
SKEW = timedelta(minutes=6)
"""How far Twilio's clock and ours may differ."""
ASK_AFTER = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
"""When Twilio is asked after a message without an end; then the carrier is taken to tell none."""
NOT_FOUND = 20404
UNDER_WAY = frozenset({State.SUBMITTED, State.SENT})


def look_up(message: Message, at: datetime) -> Write:
    """The write that has a message of unknown fate looked up, not before `at`."""
    return Insert(f"q|{stamp(at)}|u|{message.id}", {"to": message.to})


def ask_after(key: str, ids: Iterable[str], now: datetime, asked: int = 0) -> list[Write]:
    """The write that has Twilio asked after sent messages, all of one partition; none after the last time."""
    ids = list(ids)
    if not ids or asked >= len(ASK_AFTER):
        return []
    values = {"ids": json.dumps(ids), "asked": asked}
    return [Put(f"q|{stamp(now + ASK_AFTER[asked])}|f|{key}", values)]


async def settle(
    store: MessageStore, partition: str, rows: Sequence[Row], *, now: datetime
) -> frozenset[str]:
    """Settle leases that ran out and STOPs; the recipients that must not be sent to meanwhile."""
    stopped: set[str] = set()
    for row in rows:
        match row.key.split("|")[2]:
            case "l":
                with _left_as_it_is():
                    await _lease_ran_out(store, partition, row, now)
            case "s":
                recipient = row.key.rpartition("|")[2]
                if not await store.opted_out(recipient):  # START came since
                    await _try(store, partition, [Delete(row.key, row.etag)])
                    continue
                stopped.add(recipient)
                if now >= moment(row.text("until")):
                    with _left_as_it_is():
                        await recipients.suppress_all(store, recipient, now=now)
                        await _try(store, partition, [Delete(row.key, row.etag)])
    return frozenset(stopped)


async def ask_twilio(
    store: MessageStore,
    twilio: Twilio,
    partition: str,
    rows: Sequence[Row],
    *,
    now: datetime,
    report: Counter[str],
    over: Callable[[], bool],
    answers: bool = True,
) -> bool:
    """Look up what is of unknown fate, and ask after what has no end yet, until time is `over`.

    answers: does Twilio? Where it does not, it is not asked, and the messages wait. The same, afterwards.
    """
    doubtful: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.key.split("|")[2] == "u":
            doubtful[row.text("to")].append(row)
    for recipient, unknown in doubtful.items():
        if over():
            return answers
        with _left_as_it_is():
            answers = await _look_up(
                store, twilio, partition, recipient, unknown, now=now, report=report, answers=answers
            )
    for row in rows:
        if row.key.split("|")[2] == "f" and answers and not over():
            with _left_as_it_is():
                answers = await _ask_after(store, twilio, partition, row, now)
    return answers


@contextmanager
def _left_as_it_is() -> Iterator[None]:
    """Where a message cannot be read, what is to be settled of it stays until its row is mended."""
    try:
        yield
    except errors.Malformed as exc:
        log.error("not settled: %s", exc)


async def _lease_ran_out(store: MessageStore, partition: str, row: Row, now: datetime) -> None:
    """Its drain died: whatever it had claimed and not written off may have left."""
    attempt = row.key.rpartition("|")[2]
    messages = [each for each in await store.each(json.loads(row.text("ids"))) if each.attempt == attempt]
    for message in messages:
        if message.state is State.POSTING:
            unknown = replace(message, state=State.UNKNOWN, updated=now, reason="its sender died")
            await _try(store, partition, store.put(message, unknown), look_up(unknown, now))
    under_way = [each.id for each in messages if each.state in UNDER_WAY]
    await _try(store, partition, [Delete(row.key)], ask_after(attempt, under_way, now))


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

    False where the list is not to be had.
    """
    found = {message.id: message for message in await store.each(r.key.rpartition("|")[2] for r in rows)}
    doubtful: list[tuple[Row, Message]] = []
    for row in rows:
        message = found.get(row.key.rpartition("|")[2])
        if message and message.state is State.UNKNOWN and message.posted:
            doubtful.append((row, message))
            continue
        # A callback has settled it, or its sender, late.
        under_way = [message.id] if message and message.state in UNDER_WAY else []
        further = ask_after(row.key.rpartition("|")[2], under_way, now)
        await _try(store, partition, [Delete(row.key, row.etag)], further)
    if not doubtful:
        return answers
    since = min(message.posted for _, message in doubtful if message.posted) - SKEW
    listed: list[Sent] | None = None
    if answers:
        try:
            listed = await twilio.messages_to(recipient, since=since)
        except errors.TwilioError as exc:
            log.warning("message %s cannot be looked up yet: %s", doubtful[0][1].id, exc)
    if listed is None:
        for row, message in doubtful:
            await _again(store, partition, row, message, now, "it could not be looked up", counts=False)
        return False
    kin = await store.recent(recipient, since=since) if listed else []
    posting = {message.body for message in kin if message.state is State.POSTING}
    taken = {message.sid for message in kin}
    for row, message in doubtful:
        alike = [each for each in listed if _is_it(message, each) and each.sid not in taken]
        if not alike:
            await _again(store, partition, row, message, now, "Twilio does not list it")
        elif message.body in posting:  # what is listed may be that one's, whose SID is not written yet
            await _again(store, partition, row, message, now, "another like it is being sent", counts=False)
        else:
            sent = min(alike, key=partial(_apart, message))
            taken.add(sent.sid)
            state = advance(State.UNKNOWN, from_twilio(sent.status) or State.SUBMITTED)
            settled = replace(message, state=state, sid=sent.sid, looked_up=True, updated=now, reason="")
            further = ask_after(message.id, [message.id] if state in UNDER_WAY else [], now)
            if await _try(store, partition, store.put(message, settled), Delete(row.key, row.etag), further):
                report[state.value] += 1
    return True


def _is_it(message: Message, sent: Sent) -> bool:
    """Could this be the one? The same text, taken by Twilio about when we posted it."""
    return sent.body.strip() == message.body.strip() and _apart(message, sent) <= SKEW


def _apart(message: Message, sent: Sent) -> timedelta:
    """How long after the one was posted the other was taken, or before, as clocks differ."""
    if message.posted is None or sent.created is None:
        return timedelta.max
    return abs(sent.created - message.posted)


async def disown(store: MessageStore, owner: Message, *, now: datetime) -> None:
    """A callback says whose SID this is: a message like it that a look-up gave it to is in doubt again."""
    assert owner.posted  # noqa: S101 - it was sent
    kin: list[Message] = []
    with _left_as_it_is():
        kin = await store.recent(owner.to, since=owner.posted - 2 * SKEW)
    for each in kin:
        if each.sid == owner.sid and each.id != owner.id and each.looked_up:
            reason = "what Twilio lists was another one like it"
            doubted = replace(each, state=State.UNKNOWN, sid="", looked_up=False, updated=now, reason=reason)
            await _try(store, each.partition, store.put(each, doubted), look_up(doubted, now))


async def _ask_after(store: MessageStore, twilio: Twilio, partition: str, row: Row, now: datetime) -> bool:
    """Ask after the messages of one row. False where Twilio does not answer."""
    messages = await store.each(json.loads(row.text("ids")))
    asked = int(row.values.get("asked") or 0) + 1
    try:
        news = await asyncio.gather(
            *(_news(store, twilio, each, now) for each in messages if each.state in UNDER_WAY and each.sid)
        )
    except errors.TwilioError as exc:
        log.warning("messages cannot be asked after yet: %s", exc)
        return False
    without_end = [each.id for each in news if each.state in UNDER_WAY]
    key = row.key.rpartition("|")[2]
    await _try(store, partition, [Delete(row.key, row.etag)], ask_after(key, without_end, now, asked))
    return True


async def _news(store: MessageStore, twilio: Twilio, message: Message, now: datetime) -> Message:
    try:
        known = await twilio.message(message.sid)
    except errors.Refused as exc:
        if exc.code == NOT_FOUND:  # deleted there
            return message
        raise
    state = advance(message.state, from_twilio(str(known.status)) or message.state)
    if state is message.state:
        return message
    code = int(known.error_code or 0)
    told = replace(message, state=state, code=code, reason=meaning(code) if code else "", updated=now)
    await _try(store, message.partition, store.put(message, told))
    return told


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
        await _try(store, partition, store.put(message, ended), Delete(row.key, row.etag))
        return
    later = max(now + FIRST_LOOK, message.posted + GRACE) if counts else now + FIRST_LOOK
    looked = replace(message, looks=looks, updated=now, reason=why)
    await _try(
        store, partition, store.put(message, looked), Delete(row.key, row.etag), look_up(looked, later)
    )


async def _try(store: MessageStore, partition: str, *writes: Write | Sequence[Write]) -> bool:
    """Commit, unless someone else settled it first."""
    flat = [each for write in writes for each in ([write] if not isinstance(write, Sequence) else write)]
    try:
        await store.table.commit(partition, flat)
    except errors.Contended:
        return False
    return True
