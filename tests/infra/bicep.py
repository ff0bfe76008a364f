"""The Bicep compiler over infra/, and what a deployment would hold, without Azure.

`bicep` is Microsoft's compiler, from PATH. Where it is not installed, the tests that need it are skipped; in
CI they fail instead. It is told to do without ICU, which a bare machine does not have.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
INFRA = ROOT / "infra"
PARAMETERS = INFRA / "main.parameters.json"
BICEP = shutil.which("bicep")
REASON = "Microsoft's Bicep compiler is not on PATH (az bicep install)"
PRINCIPAL = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
TENANT = "00000000-0000-0000-0000-000000000002"
PARAMS: dict[str, Any] = {
    "environmentName": "test",
    "location": "westeurope",
    "principalId": PRINCIPAL,
    "twilioAccountSid": "AC" + "0" * 32,
    "twilioAuthToken": "the-auth-token",
    "erasureKey": "the-erasure-key",
    "settings": {"COMPANY_NAME": "Example Ltd"},
    "twilioFromNumber": "+12025550100",
}


def needs_bicep() -> None:
    """Skip the running test where there is no compiler. In CI fail it: nothing else would run it there."""
    if BICEP is None:
        if os.environ.get("CI"):
            pytest.fail(f"{REASON}, and CI may not skip this")
        pytest.skip(REASON)


def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One run of the compiler."""
    needs_bicep()
    assert BICEP is not None
    return subprocess.run(
        [BICEP, *arguments],
        cwd=cwd,
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def diagnostics(folder: Path) -> list[str]:
    """What the compiler and its linter have to say: errors, warnings and hints, one a line."""
    found = run("build", folder / "main.bicep", "--stdout").stderr
    return [line.partition(" : ")[2] for line in found.splitlines() if " : " in line]


def template(folder: Path) -> dict[str, Any]:
    """What azd compiles and sends to Azure Resource Manager."""
    return dict(json.loads(run("build", folder / "main.bicep", "--stdout").stdout))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a deployment would hold. resources: as they would be asked for. outputs: what azd would keep.

    What Azure alone knows stands as an expression in brackets, and so do secure parameters.
    """

    resources: list[dict[str, Any]]
    outputs: dict[str, Any]
    diagnostics: list[str]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.resources if each["type"] == kind]

    def names(self, kind: str) -> set[str]:
        """The last part of each name: queues, tables and containers have the account's before it."""
        return {each["name"].rpartition("/")[2] for each in self.of_type(kind)}

    def alerts(self) -> dict[str, dict[str, Any]]:
        """Name -> properties."""
        kind = "Microsoft.Insights/scheduledQueryRules"
        return {each["name"].removeprefix("switchboard-"): each["properties"] for each in self.of_type(kind)}


def snapshot(folder: Path, temporary: Path, **params: Any) -> Snapshot:
    """Evaluate a whole deployment. temporary: a new folder for the .bicepparam, which azd must not find."""
    lines = [f"using '{os.path.relpath(folder / 'main.bicep', temporary)}'"]
    lines += [f"param {name} = {_literal(value)}" for name, value in {**PARAMS, **params}.items()]
    (temporary / "main.bicepparam").write_text("\n".join(lines) + "\n", encoding="utf-8")
    scope = ("--subscription-id", SUBSCRIPTION, "--tenant-id", TENANT, "--location", "westeurope")
    done = run("snapshot", temporary / "main.bicepparam", "--mode", "overwrite", *scope)
    assert done.returncode == 0, done.stderr
    found = json.loads((temporary / "main.snapshot.json").read_text("utf-8"))
    return Snapshot(found["predictedResources"], found["outputs"], found["diagnostics"])


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + " ".join(f"{name}: {_literal(each)}\n" for name, each in value.items()) + "}"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "\\'") + "'"
