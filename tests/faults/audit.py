"""Compare the app's own record with what Twilio really accepted."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from shared.delivery.record import Delivery
from shared.delivery.states import IN_DOUBT, UNDER_WAY, WAITING, State, from_twilio

GONE = (
    UNDER_WAY
    | {State.DELIVERED, State.READ, State.UNDELIVERED}
    | {State.COMPLETED, State.BUSY, State.NO_ANSWER}
)


@dataclass
class Verdict:
    """How the two records differ; each list holds ids of texts or calls.

    doubled: accepted more than once. lost: accepted by us, and neither sent nor in a state that says why not;
    or said to be sent, which it was not. stuck: still waiting, or still in doubt. wrong: sent, but under
    another SID or to another end than Twilio's. unresolved: nobody could say; those that did leave are in
    `left_unresolved` as well.
    """

    count: int = 0
    once: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unresolved: list[str] = field(default_factory=list)
    left_unresolved: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)

    def is_clean(self) -> bool:
        """Nothing lost, doubled, stuck or wrong."""
        return not (self.doubled or self.lost or self.stuck or self.wrong)

    def __add__(self, other: "Verdict") -> "Verdict":
        names = ("count", "once", "doubled", "lost", "stuck", "wrong", "unresolved", "left_unresolved")
        joined = {name: getattr(self, name) + getattr(other, name) for name in names}
        return Verdict(**joined, states=self.states + other.states)


def accepted(ledger: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """What Twilio accepted, by our id in the status callback's URL."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in ledger:
        query = parse_qs(urlsplit(entry["status_callback"] or "").query)
        found[query.get("id", [""])[0]].append(entry)
    return found


def audit(ids: Sequence[str], record: Iterable[Delivery], ledger: Iterable[Mapping[str, Any]]) -> Verdict:
    """ids: everything that was accepted from a caller, whatever became of it."""
    truth = accepted(ledger)
    known = {item.id: item for item in record}
    verdict = Verdict(count=len(ids))
    for each in ids:
        entries, item = truth.get(each, []), known.get(each)
        if entries:
            (verdict.doubled if len(entries) > 1 else verdict.once).append(each)
        if item is None:
            verdict.lost.append(each)
            continue
        verdict.states[item.state.value] += 1
        for name in _compared(item, entries):
            getattr(verdict, name).append(each)
    return verdict


def _compared(item: Delivery, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lists of the verdict that it belongs into. entries: what Twilio accepted of it."""
    if item.state in WAITING or item.state in IN_DOUBT - {State.UNRESOLVED}:
        return ["stuck"]
    if item.state is State.UNRESOLVED:
        return ["unresolved", *(["left_unresolved"] if entries else [])]
    has_left = item.state in GONE or bool(item.sid)
    if has_left and not entries:
        return ["lost"]
    # One that has not left says so.
    agrees = any(_agrees(item, entry) for entry in entries) if has_left else not entries
    return [] if agrees else ["wrong"]


def _agrees(item: Delivery, entry: Mapping[str, Any]) -> bool:
    return item.sid == entry["sid"] and item.state is from_twilio(entry["status"])
