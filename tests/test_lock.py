"""The locks: every version with its hashes, as requirements*.in have it, for every system and Python."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.host.process import ROOT

LOCKS = ("requirements", "requirements-dev", "requirements-checkov")
SYSTEMS = ("linux", "darwin", "win32")


def locked(name: str) -> dict[str, Requirement]:
    """By canonical name. Every line is one version with at least one hash."""
    text = (ROOT / f"{name}.txt").read_text("utf-8")
    lines = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    found: dict[str, Requirement] = {}
    for line in lines:
        requirement, *hashes = line.split("--hash=sha256:")
        assert hashes, line
        assert all(re.fullmatch("[0-9a-f]{64}", each.strip()) for each in hashes), line
        parsed = Requirement(requirement)
        assert re.fullmatch(r"==[^*]+", str(parsed.specifier)), line
        found[canonicalize_name(parsed.name)] = parsed
    return found


def wanted(name: str) -> list[Requirement]:
    """The ranges, those of an included file too."""
    found = []
    for line in (ROOT / f"{name}.in").read_text("utf-8").splitlines():
        if line.startswith("-r "):
            found += wanted(line.removeprefix("-r ").removesuffix(".in"))
        elif line and not line.startswith(("#", "-")):
            found.append(Requirement(line))
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_every_range_has_a_version_that_fits(name: str) -> None:
    versions = locked(name)

    for each in wanted(name):
        (pin,) = versions[canonicalize_name(each.name)].specifier
        assert each.specifier.contains(pin.version, prereleases=True), f"{each}: run `make lock`"


def test_what_is_tested_is_what_is_deployed() -> None:
    tested = locked("requirements-dev")

    for name, each in locked("requirements").items():
        assert str(tested[name].specifier) == str(each.specifier), f"{name}: run `make lock`"


def test_what_is_deployed_is_the_same_wherever_it_is_packed() -> None:
    """pip judges a marker by the machine that it runs on, not by the one that it installs for."""
    for name, each in locked("requirements").items():
        for system in SYSTEMS:
            for python in ("3.13.0", "3.14.0"):
                environment = {
                    "sys_platform": system,
                    "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system],
                    "python_full_version": python,
                    "python_version": python[:4],
                }
                marker = each.marker or Marker("python_version > '3'")
                assert marker.evaluate(environment), f"{name} is not installed everywhere"


def test_the_packages_that_the_compiler_replaced_are_gone() -> None:
    names = locked("requirements-dev").keys()

    assert not {name for name in names if name.startswith("azure-mgmt-") or name == "pycep-parser"}


def test_a_package_whose_bytes_differ_is_refused(tmp_path: Path) -> None:
    text = (ROOT / "requirements.txt").read_text("utf-8")
    (six,) = re.findall(r"(?m)^six==.*(?:\\\n.*)+?(?=\n\w)", text)
    wrong = tmp_path / "requirements.txt"
    wrong.write_text(re.sub("[0-9a-f]{64}", "0" * 64, six), encoding="utf-8")

    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes"]
    run = subprocess.run(
        [*pip, "--no-deps", "--target", str(tmp_path / "target"), "-r", str(wrong)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert run.returncode != 0
    assert "DO NOT MATCH THE HASHES" in run.stderr


def test_set_up_installs_by_hash() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")

    assert "PIP_OPTIONS := --quiet --disable-pip-version-check --require-hashes" in makefile
    installs = re.findall(r"pip install ([^\n]*)", makefile)
    assert [each for each in installs if "requirements" in each and "$(PIP_OPTIONS)" not in each] == []
