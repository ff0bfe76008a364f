"""The demo, end to end, when nothing is running yet."""

import re
import subprocess
import sys
from pathlib import Path

from local.launcher.orphans import adopted

ROOT = Path(__file__).parents[2]


def test_the_demo_plays_everything_and_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local", "--data", str(tmp_path), "demo"]
    with (
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as playing,
        adopted(playing.pid),
    ):
        try:
            shown, _ = playing.communicate(timeout=100)
        except subprocess.TimeoutExpired:
            playing.terminate()
            shown, _ = playing.communicate()
    assert playing.returncode == 0, shown
    assert shown.count("│ ok") == 4
    assert re.search(r"CA[0-9a-f]{32}", shown)
    assert re.search(r"SM[0-9a-f]{32}", shown)
