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
    known = {message.id: message for message in record}
    verdict = Verdict(count=len(ids))
    for each in ids:
        entries, message = truth.get(each, []), known.get(each)
        if len(entries) > 1:
            verdict.doubled.append(each)
        if len(entries) == 1:
            verdict.once.append(each)
        if message is None:
            verdict.lost.append(each)
            continue
        verdict.states[message.state.value] += 1
        if message.state in WAITING or message.state in IN_DOUBT - {State.UNRESOLVED}:
            verdict.stuck.append(each)
        elif message.state is State.UNRESOLVED:
            verdict.unresolved.append(each)
            if entries:
                verdict.left_unresolved.append(each)
        elif message.state in GONE or message.sid:
            if not entries:
                verdict.lost.append(each)
            elif not any(_agrees(message, entry) for entry in entries):
                verdict.wrong.append(each)
        elif entries:
            verdict.wrong.append(each)  # it says that it never left
    return verdict


def _agrees(message: Delivery, entry: Mapping[str, Any]) -> bool:
    return message.sid == entry["sid"] and message.state is from_twilio(entry["status"])
