"""The Makefile: a missing prerequisite is one clear line, and a second set-up does nothing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.host.process import ROOT

TOOLS = ("sh", "bash", "make", "test", "touch", "command", "rm", "find", "echo")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What `make setup` looks at, in a folder of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    for path in (*ROOT.glob("requirements*.txt"), *ROOT.glob("package*.json"), ROOT / "Makefile"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with a shell and make alone."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return folder


def stand_in(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def make(project: Path, tools: Path, *arguments: str) -> tuple[int, list[str]]:
    """The exit code, and what was said beside make's own words."""
    environ = {"PATH": str(tools), "HOME": str(project)}
    done = subprocess.run(
        ["make", *arguments], cwd=project, env=environ, capture_output=True, text=True, check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    return done.returncode, [line for line in lines if not line.startswith("make: ")]


def ready(project: Path, name: str) -> None:
    (project / name).mkdir(parents=True, exist_ok=True)
    (project / name / ".ready").touch()


def test_a_python_that_is_too_old_is_one_clear_line(project: Path, tools: Path) -> None:
    stand_in(tools, "python3", 'test "$1" = --version && echo Python 3.11.2 && exit 0; exit 1')
    code, lines = make(project, tools, "setup")
    assert code == 2
    assert lines == ["Switchboard needs Python 3.13 or later; found: Python 3.11.2"]


def test_no_python_is_one_clear_line(project: Path, tools: Path) -> None:
    code, lines = make(project, tools, "setup")
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith("Switchboard needs Python 3.13 or later; found: ")


def test_the_first_python_that_is_new_enough_is_taken(project: Path, tools: Path) -> None:
    stand_in(tools, "python3.13", "echo no version of it is installed >&2; exit 127")
    stand_in(tools, "python3", "exit 1")
    stand_in(tools, "python", 'test "$1" = -m && echo "taken: $*" && exit 1; exit 0')
    code, lines = make(project, tools, "setup")
    assert code == 2
    assert lines == [
        "taken: -m venv .venv",
        "python cannot make a virtual environment; on Debian, install python3-venv",
    ]


def test_a_node_that_is_too_old_or_missing_is_one_clear_line(project: Path, tools: Path) -> None:
    ready(project, ".venv")
    ready(project, ".venv/checkov")
    code, lines = make(project, tools, "setup")
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith("Switchboard needs Node 22 or later; found: ")
    stand_in(tools, "node", 'test "$1" = --version && echo v18.19.0 && exit 0; exit 1')
    assert make(project, tools, "setup")[1] == ["Switchboard needs Node 22 or later; found: v18.19.0"]
    stand_in(tools, "node", "exit 0")
    assert make(project, tools, "setup")[1] == [
        "Switchboard needs npm, which comes with Node; it is not on PATH"
    ]


def test_node_20_still_runs_with_a_warning(project: Path, tools: Path) -> None:
    ready(project, ".venv")
    ready(project, ".venv/checkov")
    version_20 = 'case "$2" in *"< 22"*) exit 1;; esac; test "$1" = --version && echo v20.19.0; exit 0'
    stand_in(tools, "node", version_20)
    stand_in(tools, "npm", 'mkdir -p node_modules; echo "npm $1"')
    (tools / "mkdir").symlink_to(str(shutil.which("mkdir")))

    code, lines = make(project, tools, "node_modules/.ready")

    assert code == 0
    assert "npm ci" in lines
    assert "Node v20.19.0 runs for now, but Azurite declares Node 22: install that" in lines


def test_a_second_set_up_does_nothing(project: Path, tools: Path) -> None:
    for name in (".venv", ".venv/checkov", "node_modules"):
        ready(project, name)
    pages = project / "web/build/console.html"
    pages.parent.mkdir(parents=True)
    pages.touch()
    assert make(project, tools, "setup") == (0, [])
    # A changed list of packages is installed anew.
    os.utime(project / "package.json", (2**31, 2**31))
    assert make(project, tools, "setup")[0] == 2


def test_a_change_to_the_pages_builds_them_again(project: Path, tools: Path) -> None:
    for name in (".venv", ".venv/checkov", "node_modules"):
        ready(project, name)
    pages = project / "web/build/console.html"
    pages.parent.mkdir(parents=True)
    pages.touch()
    os.utime(pages, (0, 0))
    stand_in(tools, "npm", 'echo "npm $*"')
    assert make(project, tools, "setup") == (0, ["npm run build --silent", "npm run build --silent"])


def test_clean_removes_what_was_made_and_nothing_else(project: Path, tools: Path) -> None:
    before = {path.name for path in project.iterdir()}
    for name in (".venv", "node_modules", ".local/azurite", "dist", "shared/__pycache__"):
        (project / name).mkdir(parents=True)
    assert make(project, tools, "clean")[0] == 0
    assert {path.name for path in project.iterdir()} == before | {"shared"}
    assert list((project / "shared").iterdir()) == []
