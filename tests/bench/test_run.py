"""`make bench` runs: each measure, shortly. What it measures in a noisy test run says nothing."""

import os
import subprocess
import sys

import pytest

from bench.child import ROOT

QUICK = ("webhook", "flask", "drain", "tick", "queue", "bulk", "memory")


@pytest.mark.timeout(400)
def test_each_measure_runs_and_shows_ours_beside_the_limit() -> None:
    """Within each: what was sent is counted at Twilio, and a tick's requests are equal, or it fails."""
    only = [option for name in QUICK for option in ("--only", name)]
    run = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", *only],
        cwd=ROOT,
        env={**os.environ, "PYTHON_DOTENV_DISABLED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for text in (
        "p50",
        "p99",
        "Flask app, as WSGI",
        "plain loop",
        "none waiting",
        "21 storage requests",
        "checked, then stored",
        "memory while a file of 1,000 rows is loaded",
        "MB",
    ):
        assert text in run.stdout


def test_an_unknown_measure_is_refused_by_name() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "bench", "--only", "nonsense"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "nonsense must be one of import, first-webhook" in run.stdout
