"""local/demo.py: the main job, end to end, from a cold start."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_demo_plays_everything_and_says_so(tmp_path: Path) -> None:
    played = subprocess.run(
        [sys.executable, "-m", "local", "--data", str(tmp_path), "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert played.stdout.count("│ ok") == 4
    assert re.search(r"CA[0-9a-f]{32}", played.stdout)
    assert re.search(r"SM[0-9a-f]{32}", played.stdout)
