"""The findings as a table on the screen, as RESULTS.md with its chart, and as results.json."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import chart
from bench.child import ROOT
from bench.results import Findings, Row, Side

KEYS = (
    "import_ratio",
    "first_webhook_ratio",
    "webhook_p50_ratio",
    "webhook_p99_ratio",
    "webhooks_at_once",
    "flask_ratio",
    "drain_over_loop",
    "drain_over_limit",
    "tick_ratio",
    "queue_over_ledger",
    "bulk_over_storage",
    "bulk_memory_mb",
    "memory_growth_mb",
    "package_import_ratio",
    "package_mb",
    "package_mb_usual",
)
"""What results.json holds, neither more nor less."""
GROWTH = ("bulk_memory_mb", "memory_growth_mb")
"""Differences, which may be 0 or less: no bar shows them."""
PACKAGES = (
    "azure-functions",
    "azure-functions-runtime",
    "azure-data-tables",
    "twilio",
    "aiohttp",
    "flask",
)


def show(findings: Findings, console: Console) -> None:
    """Print the one table."""
    table = Table(
        title="Switchboard beside what people would otherwise run, and beside the limit", show_lines=True
    )
    for heading in ("what", "ours", "peer", "limit", "ratio", "goal"):
        table.add_column(heading)
    for row in findings.rows:
        colour = {True: "green", False: "red", None: "default"}[row.met]
        sides = (_cell(row.ours, row.unit), _cell(row.peer, row.unit), _cell(row.limit, row.unit))
        table.add_row(row.what, *sides, f"[{colour}]{_ratio(row)}[/]", str(row.goal or ""))
    console.print(table)
    for row in findings.rows:
        if row.note:
            console.print(f"[dim]{row.what}: {row.note}[/]", highlight=False)


def write(findings: Findings, folder: Path, *, quick: bool) -> None:
    """RESULTS.md, results.json and the chart. Raises ValueError where results.json would lack a key."""
    missing = [key for key in KEYS if key not in findings.values]
    if missing:
        raise ValueError(f"not measured: {', '.join(missing)}")
    values = {key: round(findings.values[key], 4) for key in KEYS}
    files = {"results.json": json.dumps(values, indent=2) + "\n", "results.svg": _goals(findings.rows)}
    files["RESULTS.md"] = _markdown(findings, quick=quick)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")


def _markdown(findings: Findings, *, quick: bool) -> str:
    lines = [
        "# Results",
        "",
        f"`make bench` on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        + (", **a quick run: too short to judge by**" if quick else "")
        + f"; {_machine()}.",
        "",
        ", ".join(_versions()) + ".",
        "",
        "Medians, with the first and third quartile of the rounds in brackets. A ratio is taken round by "
        "round, since whatever slows the machine for a while slows both sides. What each row means is in "
        "[README.md](README.md).",
        "",
        "![Each ratio against its goal](results.svg)",
        "",
        "| what | ours | peer | limit | ratio | goal | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in findings.rows:
        cells = (_side(row.ours, row.unit), _side(row.peer, row.unit), _side(row.limit, row.unit))
        met = {True: "yes", False: "**no**", None: ""}[row.met]
        what = row.what + (f"<br><sub>{row.note}</sub>" if row.note else "")
        lines.append(f"| {what} | {' | '.join(cells)} | {_ratio(row)} | {row.goal or ''} | {met} |")
    return "\n".join(lines) + "\n"


def _goals(rows: Sequence[Row]) -> str:
    bars = []
    for row in rows:
        if row.goal and row.ratio and row.met is not None and row.key not in GROWTH:
            value, bound = row.ratio.median, row.goal.bound
            share = value / bound if row.goal.at_least else bound / value
            bars.append((row.what, share, row.met, f"{value:.2f} (goal {row.goal})"))
    return chart.bars("Each ratio against its goal: longer is better", bars)


def _cell(side: Side | None, unit: str) -> str:
    return f"{_value(side, unit)}\n[dim]{side.name}[/]" if side else ""


def _side(side: Side | None, unit: str) -> str:
    return f"{_value(side, unit)}<br><sub>{side.name}</sub>" if side else ""


def _value(side: Side, unit: str) -> str:
    spread = side.spread
    around = "" if spread.low == spread.high else f" ({_number(spread.low)}–{_number(spread.high)})"
    return f"{_number(spread.median)} {unit}{around}"


def _ratio(row: Row) -> str:
    if not row.ratio:
        return ""
    around = "" if row.ratio.low == row.ratio.high else f" ({row.ratio.low:.2f}–{row.ratio.high:.2f})"
    return f"{row.ratio.median:.2f}{around}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        named = [
            line for line in info.read_text(encoding="utf-8").splitlines() if line.startswith("model name")
        ]
        model = named[0].partition(":")[2].strip() if named else model
    return f"{os.cpu_count()} cores of {model}, {platform.system()}, Python {platform.python_version()}"


def _versions() -> list[str]:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    azurite = ROOT / "node_modules" / "azurite" / "package.json"
    if azurite.is_file():
        found.append(f"Azurite {json.loads(azurite.read_text(encoding='utf-8'))['version']}")
    return found
