"""What a status callback means: it may come before our own write, twice, late, or out of order."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared import errors
from shared.delivery.outbox import Outbox
from shared.delivery.record import Delivery
from shared.delivery.states import IN_DOUBT, WAITING, State, advance, with_report

log = logging.getLogger(__name__)

TRIES = 8


@dataclass(frozen=True, slots=True)
class Callback:
    """One status callback. id, attempt: as its (signed) URL carries them. changes: fields that it tells.

    code, reason: why it failed, where it did.
    """

    id: str
    attempt: str
    sid: str
    state: State
    at: datetime
    code: int = 0
    reason: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


async def report[T: Delivery](outbox: Outbox[T], callback: Callback) -> None:
    """Note a callback on the text or call that it is about."""
    store = outbox.store
    for _ in range(TRIES):
        present = await store.find(callback.id)
        if present is None:
            log.warning("a status callback for %s %s, which is not there", store.record.what, callback.id)
            return
        new = noted(present, callback)
        if new == present:
            return
        # First: where this fails, the next callback finds the SID still new, and does it again.
        if new.sid != present.sid and (present.looks or present.looked_up):
            from shared.delivery.settle import disown

            await disown(outbox, new, now=callback.at)
        with suppress(errors.Contended):
            await store.change(present, new)
            return
    raise errors.Contended(f"{store.record.what} {callback.id} keeps changing")


def noted[T: Delivery](present: T, callback: Callback) -> T:
    """The record with what a callback tells; unchanged where the callback is another one's."""
    # The callback carries our id: where a look-up mixed up items that are alike, the callback is right.
    mixed_up = present.looked_up and present.sid != callback.sid
    has_other_sid = bool(present.sid) and present.sid != callback.sid and not mixed_up
    if callback.attempt != present.attempt or has_other_sid:
        log.error(
            "%s %s: a callback of SID %s, attempt %s; it has SID %s, attempt %s",
            present.what,
            present.id,
            callback.sid,
            callback.attempt,
            present.sid or "none yet",
            present.attempt,
        )
        return present
    # A callback proves that it left, so one that waits to be sent again (refused for now, or resent by a
    # person) is settled by it too.
    certain = not mixed_up and present.state not in IN_DOUBT | WAITING
    before = present.state if certain else State.SUBMITTED
    after = advance(before, callback.state)
    told = replace(
        present,
        sid=callback.sid,
        looked_up=False,
        reports=with_report(present.reports, callback.state, callback.at),
        **dict(callback.changes),
    )
    if after is present.state:
        return told
    return replace(told, state=after, code=callback.code, reason=callback.reason, updated=callback.at)
