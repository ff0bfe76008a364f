"""`python -m ops`: commands against a deployment, or against the laptop edition.

Any Python can start it: what the commands need is installed in .venv, so it goes on there.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def in_venv() -> None:
    """Return where the packages are there; elsewhere run the same command in .venv, and end with its code."""
    if importlib.util.find_spec("typer"):
        return
    for python in (ROOT / ".venv" / "bin" / "python", ROOT / ".venv" / "Scripts" / "python.exe"):
        if python.is_file() and Path(sys.prefix) != ROOT / ".venv":
            sys.exit(subprocess.call([str(python), "-m", "ops", *sys.argv[1:]]))
    sys.exit("Error: the commands need packages that are not installed: run `make setup` first")


def main() -> None:
    """Read the command line and run one command."""
    in_venv()
    from ops.commands import app

    app(prog_name="python -m ops")


if __name__ == "__main__":
    main()
