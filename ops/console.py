"""What commands print: tables on a terminal, JSON for programs, errors in one line."""

import json
from typing import Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from ops.errors import OpsError

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

EXIT_CODES = "Exit codes: 0 done, or all well; 1 it failed, or something is wrong; 2 wrong usage."


class Commands(TyperGroup):
    """A group of commands whose OpsErrors end as one line on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OpsError as exc:
            errors.print(Text("Error: ", style="bold red") + Text(str(exc), style="not bold"), soft_wrap=True)
            raise typer.Exit(1) from exc


def print_json(value: Any) -> None:
    """For programs: to stdout, and no colour."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
