"""`python -m bench`: measure everything in bench/README.md's table, and write down what was found."""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import (
    at_once,
    bulk_loading,
    draining,
    imports,
    memory,
    packages,
    queueing,
    report,
    ticks,
    webhooks,
)
from bench.child import ChildFailed
from bench.environment import Storage, running_storage, running_twilio
from bench.results import Findings
from ops.package import PackageError

MEASURES = (
    "import",
    "first-webhook",
    "webhook",
    "webhooks-at-once",
    "flask",
    "drain",
    "drains-at-once",
    "tick",
    "queue",
    "bulk",
    "memory",
    "package",
)

cli = typer.Typer(add_completion=False)


@cli.command()
def main(
    quick: Annotated[bool, typer.Option(help="Few and short rounds: does it run? Not to judge by.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Measure these alone, and write nothing.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the results go; into bench/ by default.")] = None,
) -> None:
    """Measure ours beside the peer beside the limit, in turns, on this machine."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)
    unknown = [name for name in only or () if name not in MEASURES]
    if unknown:
        console.print(f"[red]--only {unknown[0]}[/] must be one of {', '.join(MEASURES)}")
        raise typer.Exit(2)
    if quick and not only and not out:
        console.print(
            "[red]--quick[/] needs --out: what it finds is not to judge by, and replaces no results"
        )
        raise typer.Exit(2)
    out = out or Path(__file__).parent
    if not only or "package" in only:
        console.print("preparing the packages ...", highlight=False)
        try:
            packages.prepare()  # before all else: it may need the network
        except PackageError as exc:
            console.print(f"[red]package:[/] {exc}", highlight=False)
            raise typer.Exit(1) from exc
    findings = Findings()
    wanted = [name for name in MEASURES if not only or name in only]
    with running_twilio() as twilio:
        failed = _run(wanted, findings, twilio, console, quick=quick)
    report.show(findings, console)
    if failed:
        console.print(f"[red]failed, so nothing is written:[/] {', '.join(failed)}", highlight=False)
        raise typer.Exit(1)
    if not only:
        report.write(findings, out, quick=quick)
        console.print(f"written to {out}/RESULTS.md and results.json", highlight=False)
    missed = [row.what for row in findings.rows if row.met is False]
    if missed:
        console.print(f"[red]goals not met:[/] {'; '.join(missed)}", highlight=False)


def _measures(
    findings: Findings, storage: Storage, twilio: str, *, quick: bool
) -> dict[str, Callable[[], None]]:
    """By name, in the order of the table."""
    rounds = 2 if quick else 7

    return {
        "import": partial(imports.measure, findings, rounds=3 if quick else 11),
        "first-webhook": partial(imports.measure_first_webhook, findings, rounds=2 if quick else 25),
        "webhook": partial(
            webhooks.measure, findings, rounds=3 if quick else 15, count=100 if quick else 1_000
        ),
        "webhooks-at-once": partial(
            at_once.measure, findings, storage, rounds=2 if quick else 7, count=128 if quick else 1_600
        ),
        "flask": partial(
            webhooks.measure_flask, findings, rounds=3 if quick else 11, count=100 if quick else 1_000
        ),
        "drain": partial(
            draining.measure,
            findings,
            storage,
            twilio,
            rounds=rounds - 2 or 1,
            count=200 if quick else 2_000,
            loop=5 if quick else 30,
        ),
        "drains-at-once": partial(
            draining.measure_at_once,
            findings,
            storage,
            twilio,
            rounds=1 if quick else 3,
            count=320 if quick else 2_000,
        ),
        "tick": partial(
            ticks.measure,
            findings,
            storage,
            twilio,
            rounds=2 if quick else 25,
            waiting=500 if quick else 100_000,
        ),
        "queue": partial(
            queueing.measure,
            findings,
            twilio,
            rounds=1 if quick else 5,
            count=50 if quick else 1_000,
        ),
        "bulk": partial(
            bulk_loading.measure,
            findings,
            storage,
            rounds=2 if quick else 7,
            count=400 if quick else 6_000,
            small=100 if quick else 3_500,
            weighings=1 if quick else 3,
        ),
        "memory": partial(
            memory.measure,
            findings,
            storage,
            twilio,
            rounds=3 if quick else 10,
            webhooks=100 if quick else 1_000,
            messages=48 if quick else 400,
            calls=8 if quick else 100,
        ),
        "package": partial(packages.measure, findings, rounds=2 if quick else 7),
    }


def _run(
    names: Sequence[str],
    findings: Findings,
    twilio: str,
    console: Console,
    *,
    quick: bool,
) -> list[str]:
    """Each, with how long it took; those that failed, each said in a line while the others go on.

    Each on storage of its own: an emulator that holds what another measure left is slower, and may stall.
    """
    failed = []
    for number, name in enumerate(names, 1):
        began = time.monotonic()
        console.print(f"{number} of {len(names)}, {name} ...", highlight=False)
        try:
            with running_storage() as storage:
                _measures(findings, storage, twilio, quick=quick)[name]()
        except (RuntimeError, ChildFailed, PackageError) as exc:
            failed.append(name)
            console.print(f"[red]{name}:[/] {exc}", highlight=False)
        console.print(f"    {time.monotonic() - began:.0f} s", highlight=False)
    return failed


if __name__ == "__main__":
    sys.exit(cli())
