"""What a measurement comes to: rows of a table, each with its ratio and, where there is one, its goal."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.stats import Spread


@dataclass(frozen=True, slots=True)
class Side:
    """One of what is compared: its name and its measurements, in the row's unit, one for each round."""

    name: str
    values: Sequence[float]

    @property
    def spread(self) -> Spread:
        return Spread.of(self.values)


@dataclass(frozen=True, slots=True)
class Goal:
    """What the ratio is to be: at most or at least so much."""

    bound: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    key: its name in results.json, or "" for what is shown beside. ratio: of the rounds, which are paired.
    """

    what: str
    unit: str
    ours: Side
    peer: Side | None = None
    limit: Side | None = None
    key: str = ""
    ratio: Spread | None = None
    goal: Goal | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        return self.goal.met(self.ratio.median) if self.goal and self.ratio else None


@dataclass(slots=True)
class Findings:
    """All that one run found out."""

    rows: list[Row] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        if row.key and row.ratio:
            self.values[row.key] = row.ratio.median
