"""Faults on demand: rates that are drawn from a seeded generator, and faults that are planned.

A rate is from 0 to 1 and holds for requests that create messages and calls. A planned fault comes before the
rates, and is used up.
"""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from local.twilio.model.errors import ApiError

Kind = Literal["error", "timeout", "reset", "lost", "server_error", "outcome"]
_KINDS = frozenset({"error", "timeout", "reset", "lost", "server_error", "outcome"})
_OUTCOMES = frozenset(
    {"delivered", "sent", "undelivered", "failed", "answered", "busy", "no-answer"}
)  # fmt: skip


class FaultError(ValueError):
    """A fault cannot be set. The message names the field and what would be right."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """The rates and switches that are set.

    latency_ms: from accepting to answering, for every REST request.
    throttled: answered with 429 and 20429. retry_after: seconds in a 429.
    lost_answers: accepted, then the connection is closed without an answer.
    errors_5xx_after_acceptance, errors_5xx_before_acceptance: answered with 503.
    callbacks_dropped: a status callback is not sent. callbacks_doubled: it is sent twice.
    callbacks_reordered: it is sent after the last one. callbacks_early: the first ones are sent before the
    POST is answered. callbacks_dark: no status callback is sent.
    list_dark: lists are empty. list_lag_ms: a younger message or call is not in lists yet.
    credentials_refused: answered with 20003. undelivered: messages end undelivered (30003).
    """

    latency_ms: float = 0
    retry_after: int = 1
    lost_answers: float = 0
    errors_5xx_after_acceptance: float = 0
    errors_5xx_before_acceptance: float = 0
    throttled: float = 0
    callbacks_dropped: float = 0
    callbacks_doubled: float = 0
    callbacks_reordered: float = 0
    callbacks_early: float = 0
    callbacks_dark: bool = False
    list_dark: bool = False
    list_lag_ms: float = 0
    credentials_refused: bool = False
    undelivered: float = 0
    seed: int = 1

    def changed(self, values: Mapping[str, Any]) -> "Faults":
        """These faults with some of them changed. Raises FaultError."""
        new = {each.name: getattr(self, each.name) for each in fields(self)}
        for name, value in values.items():
            if name not in new:
                raise FaultError(f"{name}: no such fault; there are {', '.join(new)}")
            wanted = type(new[name]) if isinstance(new[name], bool) else (int, float)
            if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
                raise FaultError(f"{name}: must be {'true or false' if wanted is bool else 'a number'}")
            rate = name not in {"latency_ms", "list_lag_ms", "retry_after", "seed"} and wanted is not bool
            if value < 0 or (rate and value > 1):
                raise FaultError(f"{name}: must be {'from 0 to 1' if rate else '0 or more'}")
            new[name] = value
        return Faults(**new)

    def body(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(slots=True, kw_only=True)
class Planned:
    """A fault for the next `times` requests that match.

    resource, to: which creates match; None for any.
    kind error: the API refuses with `code` (and `status`, by default the one Twilio uses).
    kind timeout: no answer. reset: the connection is reset. lost: it is closed without an answer.
    server_error: `status`, 503 by default. accepted: whether the message or call was created before that.
    kind outcome: the message ends in `outcome` (undelivered, failed...) with `code`; the call is answered,
    busy, no-answer or failed. answered_by: what machine detection finds (human, machine_start, fax...).
    """

    kind: Kind
    resource: Literal["messages", "calls"] | None = None
    to: str | None = None
    times: int = 1
    code: int | None = None
    status: int | None = None
    accepted: bool = True
    outcome: str | None = None
    answered_by: str | None = None

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> "Planned":
        """Make it of JSON values. Raises FaultError."""
        known = {each.name for each in fields(cls)}
        for name in values:
            if name not in known:
                raise FaultError(f"{name}: no such field; there are {', '.join(sorted(known))}")
        if values.get("kind") not in _KINDS:
            raise FaultError(f"kind: must be one of {', '.join(sorted(_KINDS))}")
        planned = cls(**values)
        if planned.kind == "error" and not isinstance(planned.code, int):
            raise FaultError("code: must be one of Twilio's error codes, such as 21610")
        if planned.kind == "outcome" and planned.outcome not in _OUTCOMES:
            raise FaultError(f"outcome: must be one of {', '.join(sorted(_OUTCOMES))}")
        if not isinstance(planned.times, int) or planned.times < 1:
            raise FaultError("times: must be 1 or more")
        return planned

    def matches(self, resource: str, to: str) -> bool:
        return self.resource in {None, resource} and self.to in {None, to}


@dataclass(slots=True)
class Draw:
    """The faults of one create: before it is accepted, and instead of its answer."""

    refuse: ApiError | None = None
    unaccepted: Kind | None = None
    answer: Kind | None = None
    status: int = 503
    early: bool = False
    outcome: Planned | None = None


@dataclass(slots=True)
class Dice:
    """Draws faults, and counts the injected ones by name."""

    faults: Faults = field(default_factory=Faults)
    planned: list[Planned] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    generator: random.Random = field(default_factory=lambda: random.Random(1))

    def set(self, values: Mapping[str, Any]) -> Faults:
        """Change some faults. A new seed starts the draws again."""
        self.faults = self.faults.changed(values)
        if "seed" in values:
            self.generator.seed(self.faults.seed)
        return self.faults

    def reset(self, seed: int) -> None:
        self.faults = Faults(seed=seed)
        self.planned.clear()
        self.counts.clear()
        self.generator.seed(seed)

    def plan(self, planned: Planned) -> None:
        self.planned.append(planned)

    def hits(self, name: str) -> bool:
        """Draw once: whether the fault of this name happens."""
        rate: float = getattr(self.faults, name)
        if rate <= 0 or (rate < 1 and self.generator.random() >= rate):
            return False
        self.counts[name] += 1
        return True

    def draw(self, resource: str, to: str) -> Draw:
        """The faults of this create."""
        planned = self._take(resource, to)
        if planned is not None:
            return _planned_draw(planned)
        if self.hits("throttled"):
            return Draw(refuse=ApiError(20429, retry_after=self.faults.retry_after))
        if self.hits("errors_5xx_before_acceptance"):
            return Draw(unaccepted="server_error")
        draw = Draw(early=self.hits("callbacks_early"))
        if self.hits("lost_answers"):
            draw.answer = "lost"
        elif self.hits("errors_5xx_after_acceptance"):
            draw.answer = "server_error"
        return draw

    def _take(self, resource: str, to: str) -> Planned | None:
        for planned in self.planned:
            if planned.matches(resource, to):
                planned.times -= 1
                if not planned.times:
                    self.planned.remove(planned)
                self.counts[f"planned_{planned.kind}"] += 1
                return planned
        return None


def _planned_draw(planned: Planned) -> Draw:
    if planned.kind == "error":
        return Draw(refuse=ApiError(planned.code or 20500, status=planned.status or 0))
    if planned.kind == "outcome":
        return Draw(outcome=planned)
    if planned.accepted:
        return Draw(answer=planned.kind, status=planned.status or 503)
    return Draw(unaccepted=planned.kind, status=planned.status or 503)
