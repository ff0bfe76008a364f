"""ops/package_on_windows.py: the commands that stand for `make package`, and when they are run."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ops import package_on_windows

VENV = [sys.executable, "-m", "venv"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("requirements.txt", "requirements-dev.txt", "package.json", "package-lock.json"):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (1, 1))
    return tmp_path


class Commands:
    """What was run; `fails` ends with 3."""

    def __init__(self, root: Path, fails: str = "") -> None:
        self.ran: list[list[str]] = []
        self._root, self._fails = root, fails

    def __call__(self, command: Sequence[str], folder: Path) -> int:
        assert folder == self._root
        self.ran.append(list(command))
        if command[1:3] == ["-m", "venv"]:
            Path(command[3]).mkdir(exist_ok=True)
        if command[1] == "ci":
            (self._root / "node_modules").mkdir()
        return 3 if self._fails and self._fails in command else 0


def test_everything_is_set_up_and_then_packed(project: Path) -> None:
    commands = Commands(project)

    package_on_windows.main(project, commands)

    venv, pip, npm, package = commands.ran
    assert venv == [*VENV, str(project / ".venv")]
    assert pip[1:3] == ["-m", "pip"]
    assert "--require-hashes" in pip
    assert npm[1] == "ci"
    assert package == [str(project / ".venv" / "bin" / "python"), "-m", "ops.package"]


def test_what_is_set_up_is_not_set_up_again(project: Path) -> None:
    package_on_windows.main(project, Commands(project))
    again = Commands(project)

    package_on_windows.main(project, again)

    assert [command[1:3] for command in again.ran] == [["-m", "ops.package"]]


def test_a_newer_list_is_installed(project: Path) -> None:
    package_on_windows.main(project, Commands(project))
    later = (project / ".venv" / ".ready").stat().st_mtime + 10
    os.utime(project / "requirements.txt", (later, later))
    again = Commands(project)

    package_on_windows.main(project, again)

    assert [command[1:3] for command in again.ran] == [["-m", "venv"], ["-m", "pip"], ["-m", "ops.package"]]


def test_a_python_that_is_too_old_is_one_clear_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_on_windows, "PYTHON", (3, 99))
    commands = Commands(project)

    with pytest.raises(SystemExit, match=r"needs Python 3\.13 or later; this is 3\."):
        package_on_windows.main(project, commands)

    assert commands.ran == []


@pytest.mark.parametrize("fails", ["venv", "pip", "ci", "ops.package"])
def test_the_first_command_that_fails_ends_it(project: Path, fails: str) -> None:
    commands = Commands(project, fails)

    with pytest.raises(SystemExit) as caught:
        package_on_windows.main(project, commands)

    assert caught.value.code == 3
    assert fails in commands.ran[-1]
