"""The states of a text or a call, and which may follow which: the one table of transitions.

A claim and the note that the request is about to leave are one atomic write (waiting -> posting). So there is
no state in which a row is taken and neither due nor accounted for.
"""

from datetime import datetime
from enum import StrEnum

from shared.storage.rows import stamp


class State(StrEnum):
    """What has become of a text or a call."""

    PENDING = "pending"  # waits for its time
    DEFERRED = "deferred"  # quiet hours: waits for its new time
    HELD = "held"  # our configuration or a limit: waits, with the reason
    POSTING = "posting"  # claimed; the request to Twilio may have left
    UNKNOWN = "unknown"  # the answer never came; it is being looked up
    SUBMITTED = "submitted"  # Twilio has it, under a SID
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    UNDELIVERED = "undelivered"
    RINGING = "ringing"  # a call, as are the next five
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"  # the recipient has opted out
    UNRESOLVED = "unresolved"  # nobody can say; only a person may resend


S = State

WAITING = frozenset({S.PENDING, S.DEFERRED, S.HELD})
"""Among what is due; may be edited and canceled."""
IN_DOUBT = frozenset({S.POSTING, S.UNKNOWN, S.UNRESOLVED})
"""The request may have left: never repeated by itself."""
RARE = frozenset({S.FAILED, S.UNDELIVERED, S.CANCELED, S.EXPIRED, S.SUPPRESSED, S.UNRESOLVED})
"""Ends that few come to: those in each are in an index of their own, to be listed among millions."""
UNDER_WAY = frozenset({S.SUBMITTED, S.SENT, S.RINGING, S.IN_PROGRESS})
"""Twilio has it, and a further report is to come."""
OPTED_OUT = "the recipient has opted out"
"""The reason of what is suppressed."""

_REPORTED = {S.SENT, S.DELIVERED, S.READ, S.UNDELIVERED, S.FAILED, S.RINGING, S.IN_PROGRESS, S.COMPLETED}
_REPORTED |= {S.BUSY, S.NO_ANSWER, S.CANCELED}

TRANSITIONS: dict[State, frozenset[State]] = {
    # reported while it waits: it had left before, and a person had it resent
    **{
        state: frozenset({*WAITING, S.POSTING, S.CANCELED, S.EXPIRED, S.SUPPRESSED, S.SUBMITTED, *_REPORTED})
        for state in WAITING
    },
    # back to waiting only where the request certainly did not leave, or was refused for now
    S.POSTING: frozenset({*WAITING, S.UNKNOWN, S.SUBMITTED, S.SUPPRESSED, *_REPORTED}),
    # suppressed: its sender learns late that Twilio refused it
    S.UNKNOWN: frozenset({S.SUBMITTED, S.UNRESOLVED, S.SUPPRESSED, *_REPORTED}),
    S.UNRESOLVED: frozenset({S.SUBMITTED, S.PENDING, *_REPORTED}),  # pending: a person resends
    S.SUBMITTED: frozenset(_REPORTED),
    S.SENT: frozenset({S.DELIVERED, S.READ, S.UNDELIVERED, S.FAILED}),
    S.DELIVERED: frozenset({S.READ}),
    S.READ: frozenset(),
    S.UNDELIVERED: frozenset({S.DELIVERED, S.READ}),
    S.RINGING: frozenset({S.IN_PROGRESS, S.COMPLETED, S.BUSY, S.NO_ANSWER, S.FAILED, S.CANCELED}),
    S.IN_PROGRESS: frozenset({S.COMPLETED, S.FAILED, S.CANCELED}),
    S.COMPLETED: frozenset(),
    S.BUSY: frozenset(),
    S.NO_ANSWER: frozenset(),
    S.FAILED: frozenset({S.DELIVERED, S.READ, S.PENDING}),  # pending: a call that never left is replayed
    S.CANCELED: frozenset(),
    S.EXPIRED: frozenset({S.PENDING}),  # the same
    S.SUPPRESSED: frozenset(),
}
"""A carrier's late report beats its early one: what was reported undelivered may still be delivered."""

_FROM_TWILIO = {
    "accepted": S.SUBMITTED,
    "scheduled": S.SUBMITTED,
    "queued": S.SUBMITTED,
    "sending": S.SUBMITTED,
    "initiated": S.SUBMITTED,
    "answered": S.IN_PROGRESS,
}


def from_twilio(status: str) -> State | None:
    """The state that a MessageStatus or CallStatus of Twilio's means, or None for one we do not know."""
    known = _FROM_TWILIO.get(status)
    if known:
        return known
    try:
        state = State(status)
    except ValueError:
        return None
    return state if state in _REPORTED else None


def with_report(reports: str, state: State, at: datetime) -> str:
    """Status callbacks as they came, each state once: `sent=2026-11-23T01:02:03.004Z delivered=...`."""
    if state is S.SUBMITTED or any(each.startswith(f"{state.value}=") for each in reports.split()):
        return reports
    return f"{reports} {state.value}={stamp(at)}".lstrip()


def shown_reports(reports: str) -> list[dict[str, str]]:
    """What `with_report` wrote, as the API shows it."""
    return [{"state": state, "at": at} for state, _, at in (each.partition("=") for each in reports.split())]


def advance(present: State, reported: State) -> State:
    """The state after a report: callbacks come late, twice and out of order, and never lead back."""
    return reported if reported in TRANSITIONS[present] else present
