"""`python -m ops.package_on_windows`: what `make package` does, where there is no make.

azd runs it before it zips dist/. It makes .venv, installs the Python and npm packages into it where they are
older than their lists, and fills dist/. It needs Python 3.13 or later and Node, and no package.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

PYTHON = (3, 13)
ROOT = Path(__file__).resolve().parent.parent
Run = Callable[[Sequence[str], Path], int]
"""Run a command in a folder; its exit code."""


def main(root: Path = ROOT, run: Run | None = None) -> None:
    """Ends with the first command that fails."""
    if sys.version_info < PYTHON:
        sys.exit(f"Error: Switchboard needs Python 3.13 or later; this is {sys.version.split()[0]}")
    run = run or _run
    venv, python = root / ".venv", _python(root / ".venv")
    if _is_older(venv / ".ready", root / "requirements.txt", root / "requirements-dev.txt"):
        _do(run, [sys.executable, "-m", "venv", str(venv)], root)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        _do(run, [str(python), *install, "-r", "requirements-dev.txt"], root)
        (venv / ".ready").touch()
    if _is_older(root / "node_modules" / ".ready", root / "package.json", root / "package-lock.json"):
        npm = shutil.which("npm")  # npm.cmd on Windows, which is not found without its ending
        if npm is None:
            sys.exit("Error: npm, which comes with Node, is not on PATH")
        _do(run, [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], root)
        (root / "node_modules" / ".ready").touch()
    _do(run, [str(python), "-m", "ops.package"], root)


def _python(venv: Path) -> Path:
    return venv / "Scripts" / "python.exe" if sys.platform == "win32" else venv / "bin" / "python"


def _is_older(made: Path, *sources: Path) -> bool:
    return not made.exists() or any(made.stat().st_mtime < each.stat().st_mtime for each in sources)


def _do(run: Run, command: list[str], root: Path) -> None:
    if code := run(command, root):
        sys.exit(code)


def _run(command: Sequence[str], folder: Path) -> int:
    return subprocess.run(command, cwd=folder, check=False).returncode


if __name__ == "__main__":
    main()
