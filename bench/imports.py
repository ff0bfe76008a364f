"""Cold start: what importing the app costs, and what the first webhook costs with all that was put off."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import child, webhook_request
from bench.child import ROOT
from bench.results import Findings, Goal, Row, Side
from bench.stats import ratios

PEERS = ROOT / "bench" / "peers"

# CPU of the whole process, as it has run up to here.
_CODE = "import sys; sys.path[:0] = sys.argv[1:]\n{statement}\nimport time; print(time.process_time())"


@contextmanager
def bytecode() -> Iterator[dict[str, str]]:
    """An environment in which every side has valid bytecode, as when deployed; kept out of the tree."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        yield {**environ, "PYTHONPYCACHEPREFIX": folder}


def import_cpu(statement: str, environ: dict[str, str], *paths: Path) -> float:
    """CPU seconds of a new interpreter that runs one statement."""
    run = subprocess.run(
        [sys.executable, "-c", _CODE.format(statement=statement), *map(str, paths)],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(run.stdout)


def measure(findings: Findings, *, rounds: int) -> None:
    """Importing function_app, and the usual sample, over importing azure.functions alone."""
    statements = {
        "nothing": ("pass", ()),
        "floor": ("import azure.functions", ()),
        "ours": ("import azure.functions, function_app", (ROOT,)),
        "usual": ("import azure.functions, function_app", (PEERS / "usual",)),
    }
    cpu: dict[str, list[float]] = {name: [] for name in statements}
    with bytecode() as environ:
        for turn in range(rounds + 1):
            for name, (statement, paths) in statements.items():
                used = import_cpu(statement, environ, *paths)
                if turn:  # the first one compiles
                    cpu[name].append(used)
    above = {
        name: [(one - bare) * 1e3 for one, bare in zip(cpu[name], cpu["nothing"], strict=True)]
        for name in ("floor", "ours", "usual")
    }
    floor = Side("azure.functions alone", above["floor"])
    findings.add(
        Row(
            "import of function_app, CPU above a bare interpreter",
            "ms",
            Side("ours", above["ours"]),
            peer=Side("the usual sample", above["usual"]),
            limit=floor,
            key="import_ratio",
            ratio=ratios(above["ours"], above["floor"]),
            goal=Goal(1.2),
            note=f"the usual sample: {ratios(above['usual'], above['floor']).median:.2f} times the limit",
        )
    )


def measure_first_webhook(findings: Findings, *, rounds: int) -> None:
    """From an empty worker to the first answered webhook, over the same for the constant function."""
    apps = {"ours": (ROOT, "voice_incoming"), "constant": (PEERS / "constant", "voice")}
    cpu: dict[str, list[float]] = {name: [] for name in apps}
    with bytecode() as environ:
        environ |= webhook_request.ENVIRON
        for turn in range(rounds + 1):
            for name, (app, function) in apps.items():
                with child.running("bench.worker_child", str(app), function, environ=environ) as each:
                    found = each.ask("first")
                if turn:
                    cpu[name].append(found["cpu"] * 1e3)
    findings.add(
        Row(
            "from an empty worker to the first answered webhook, CPU",
            "ms",
            Side("ours", cpu["ours"]),
            limit=Side("a constant function", cpu["constant"]),
            key="first_webhook_ratio",
            ratio=ratios(cpu["ours"], cpu["constant"]),
            goal=Goal(1.3),
            note="import, indexing and every lazy import of the first answer",
        )
    )
