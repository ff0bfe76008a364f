"""`make bench` runs: each measure, shortly. What it measures in a noisy test run says nothing."""

import os
import subprocess
import sys

import pytest

from bench.__main__ import MEASURES
from bench.child import ROOT
from local.launcher.orphans import adopted

QUICK = tuple(name for name in MEASURES if name != "package")
"""All but what needs PyPI."""


def bench(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`python -m bench` with these arguments, to its end; keywords are more environment."""
    command = [sys.executable, "-m", "bench", *arguments]
    with (
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHON_DOTENV_DISABLED": "1", **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        adopted(process.pid),
    ):
        shown, complaints = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, shown, complaints)


@pytest.mark.timeout(400)
def test_each_measure_runs_and_shows_ours_beside_the_limit() -> None:
    """Within each: what was sent is counted at Twilio, and a tick's requests are equal, or it fails."""
    only = [option for name in QUICK for option in ("--only", name)]
    run = bench("--quick", *only)
    assert run.returncode == 0, run.stdout + run.stderr
    shown = " ".join(run.stdout.split())
    for text in (
        "import of function_app",
        "first answered webhook",
        "p50",
        "p99",
        "16 signed webhooks at once on one worker, p99",
        "a second, no errors",
        "Flask app, as WSGI",
        "plain loop",
        "2 processes at once",
        "4 processes at once",
        "none waiting",
        "45 storage requests",
        "checked, then stored",
        "memory while a file of 1,000 rows is loaded",
        "MB",
    ):
        assert text in shown


def test_memory_of_a_worker_that_did_not_do_its_work_is_no_result() -> None:
    """Its calls go to a country that is not allowed, so none is placed."""
    run = bench("--quick", "--only", "memory", ALLOWED_COUNTRIES="DE")
    assert run.returncode == 1
    assert "8 calls in a round Twilio has {'messages': 48, 'calls': 0}" in run.stdout


def test_a_quick_run_does_not_replace_the_results() -> None:
    run = bench("--quick")
    assert run.returncode == 2
    assert "--quick needs --out" in run.stdout


def test_an_unknown_measure_is_refused_by_name() -> None:
    run = bench("--only", "nonsense")
    assert run.returncode == 2
    assert "nonsense must be one of import, first-webhook" in run.stdout
