"""`python -m bench`: measure everything in bench/README.md's table, and write down what was found."""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import (
    bulk_loading,
    draining,
    imports,
    memory,
    packages,
    queueing,
    report,
    scale,
    scaling,
    ticks,
    webhooks,
)
from bench.environment import running_storage, running_twilio
from bench.results import Findings
from bench.scaling import Scale

cli = typer.Typer(add_completion=False)


@cli.command()
def main(
    quick: Annotated[bool, typer.Option(help="Few and short rounds: does it run? Not to judge by.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Measure these alone, and write nothing.")] = None,
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path(__file__).parent,
) -> None:
    """Measure ours beside the peer beside the limit, in turns, on this machine."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)
    findings = Findings()
    found: list[Scale] = []
    with ExitStack() as stack:
        storage = stack.enter_context(running_storage())
        twilio = stack.enter_context(running_twilio())
        rounds = 2 if quick else 7

        def simulate() -> None:
            found.append(
                scaling.measure(
                    storage,
                    twilio,
                    processes=(1, 2) if quick else (1, 2, 3, 4),
                    count=320 if quick else 3_000,
                    due=(1_000, 10_000) if quick else scale.DUE,
                )
            )

        measures: dict[str, Callable[[], None]] = {
            "import": partial(imports.measure, findings, rounds=3 if quick else 11),
            "first-webhook": partial(imports.measure_first_webhook, findings, rounds=2 if quick else 9),
            "webhook": partial(
                webhooks.measure, findings, rounds=3 if quick else 15, count=100 if quick else 1_000
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
            "tick": partial(
                ticks.measure,
                findings,
                storage,
                twilio,
                rounds=2 if quick else 3,
                waiting=500 if quick else 100_000,
            ),
            "queue": partial(
                queueing.measure,
                findings,
                storage,
                twilio,
                rounds=1 if quick else 3,
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
            "scale": simulate,
        }
        unknown = [name for name in only or () if name not in measures]
        if unknown:
            console.print(f"[red]--only {unknown[0]}[/] must be one of {', '.join(measures)}")
            raise typer.Exit(2)
        for name, measure in measures.items():
            if only and name not in only:
                continue
            began = time.monotonic()
            console.print(f"{name} ...", end=" ", highlight=False)
            measure()
            console.print(f"{time.monotonic() - began:.0f} s", highlight=False)
    simulated = found[0] if found else None
    report.show(findings, simulated, console)
    if not only:
        report.write(findings, simulated, out, quick=quick)
        console.print(f"written to {out}/RESULTS.md and results.json", highlight=False)
    missed = [row.what for row in findings.rows if row.met is False]
    if missed:
        console.print(f"[red]goals not met:[/] {'; '.join(missed)}", highlight=False)


if __name__ == "__main__":
    sys.exit(cli())
