"""The commands of `python -m ops`."""

import typer

from ops import calls, connect, costs, deadletters, doctor, explain, messages
from ops.console import EXIT_CODES, Commands

app = typer.Typer(
    cls=Commands,
    help="Connect a number, find what is wrong, look after what was given up.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command(epilog=EXIT_CODES)(connect.connect)
app.command(epilog=EXIT_CODES)(doctor.doctor)
app.command(epilog=EXIT_CODES)(explain.explain)
app.command(epilog=EXIT_CODES)(costs.costs)
app.add_typer(deadletters.app, name="deadletters")
app.add_typer(messages.app, name="messages")
app.add_typer(calls.app, name="calls")
