"""`make faults`: the fault table in full, counts of ours beside the plain loop's."""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from time import monotonic

from rich.console import Console
from rich.table import Table

from tests.azurite import Azurite, running_azurite
from tests.faults import rows
from tests.faults.rows import Outcome
from tests.faults.world import World, running_world

type Row = tuple[str, Callable[[World, int], Awaitable[Outcome]], int, int]

ROWS: tuple[Row, ...] = (
    ("process exit at each step", rows.process_exits, 10, 0),
    ("4 drainers, one killed every 2 s", rows.kills, 10_000, 1_000),
    ("5% answers lost, 2% 5xx, 5% 429", rows.lost_answers, 2_000, 500),
    ("callbacks dropped, doubled, reordered, early", rows.broken_callbacks, 1_000, 500),
    ("half of the answers lost, all dark", rows.all_dark, 200, 200),
    ("two timers, every queue message three times", rows.two_at_once, 500, 200),
    ("each table write's answer lost", rows.lost_writes, 16, 0),
    ("DST gap and fold, two zones", rows.clock_changes, 8, 0),
    ("clocks 5 minutes apart, answers lost", rows.clocks, 100, 100),
    ("down for 6 hours", rows.six_hours_down, 100, 100),
    ("credentials refused for 10 minutes", rows.credentials_refused, 200, 200),
)
"""How many texts and how many calls each is played with; none where what breaks is particular to texts."""


def _table() -> Table:
    table = Table(title="Ours beside the plain loop, each under the same fault")
    table.add_column("fault")
    for name in (
        "texts or calls",
        "sent once",
        "twice",
        "lost",
        "stuck",
        "wrong",
        "unresolved",
        "though sent",
    ):
        table.add_column(name, justify="right")
    for name in ("plain: messages", "once", "twice", "not sent", "wrong or late"):
        table.add_column(name, justify="right", style="dim")
    table.add_column("and")
    table.add_column("s", justify="right")
    return table


def _add(table: Table, name: str, outcome: Outcome, seconds: float) -> None:
    ours, plain = outcome.ours, outcome.plain
    found = [ours.once, ours.doubled, ours.lost, ours.stuck, ours.wrong, ours.unresolved]
    found.append(ours.left_unresolved)
    table.add_row(
        name,
        f"{ours.count:,}",
        *(f"{len(each):,}" for each in found),
        f"{plain.count:,}",
        *(f"{each:,}" for each in (plain.once, plain.doubled, plain.not_sent, plain.wrong + plain.too_late)),
        ", ".join(f"{count:,} {note}" for note, count in outcome.notes.items()),
        f"{seconds:.0f}",
    )


async def _play(azurite: Azurite, console: Console) -> bool:
    table, clean = _table(), True
    async with running_world(azurite) as world:
        for world.rings, kind in ((False, ""), (True, "calls: ")):
            for name, row, *sizes in ROWS:
                if not sizes[world.rings]:
                    continue
                began = monotonic()
                console.print(f"{kind}{name} ...", style="dim")
                outcome = await row(world, sizes[world.rings])
                clean = clean and outcome.ours.is_clean()
                _add(table, f"{kind}{name}", outcome, monotonic() - began)
        await world.stop()
    console.print(table)
    return clean


def main() -> int:
    """0 where nothing of ours was lost, doubled, stuck or wrong."""
    logging.disable(logging.CRITICAL)  # what goes wrong here goes wrong on purpose
    console = Console(width=None if sys.stdout.isatty() else 190)
    with running_azurite() as azurite:
        return 0 if asyncio.run(_play(azurite, console)) else 1


if __name__ == "__main__":
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    sys.exit(main())
