"""checkov's rules that hold for this app, on what a deployment would hold and on one that breaks each.

Left out on purpose: what would close the app to Twilio's webhooks (firewalls, private endpoints, client
certificates, sign-in); what Flex Consumption does not have; an expiry date for secrets, which would stop the
app; and purge protection, which keeps the vault's name from being deployed again for a week.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.bicep import INFRA, needs_bicep, snapshot

CHECKOV = Path(sys.prefix) / "checkov" / "bin" / "checkov"
SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"

IDENTITY = """  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
"""
BREAKS = {
    "CKV_AZURE_3": ("storage.bicep", "supportsHttpsTrafficOnly: true", "supportsHttpsTrafficOnly: false"),
    "CKV_AZURE_14": ("app.bicep", "httpsOnly: true", "httpsOnly: false"),
    "CKV_AZURE_15": ("app.bicep", "minTlsVersion: '1.2'", "minTlsVersion: '1.0'"),
    "CKV_AZURE_34": (
        "storage.bicep",
        "name: '${account.name}/default/${container}'",
        "name: '${account.name}/default/${container}'\n    properties: { publicAccess: 'Blob' }",
    ),
    "CKV_AZURE_44": ("storage.bicep", "minimumTlsVersion: 'TLS1_2'", "minimumTlsVersion: 'TLS1_0'"),
    "CKV_AZURE_70": ("app.bicep", "httpsOnly: true\n", "\n"),
    "CKV_AZURE_71": ("app.bicep", IDENTITY, ""),
    "CKV_AZURE_111": ("vault.bicep", "enableSoftDelete: true", "enableSoftDelete: false"),
    "CKV_AZURE_145": ("app.bicep", "minTlsVersion: '1.2'", "minTlsVersion: '1.1'"),
}
"""Check -> (file, text, what breaks it)."""
AGAIN = {"CKV_AZURE_70", "CKV_AZURE_145"}
"""They break a line that another check has broken: a second copy is for them."""

Report = dict[str, set[tuple[str, str]]]
"""passed, failed: (folder, check)."""


def expand(bicep: Path, temporary: Path, target: Path) -> None:
    """Write what a deployment would hold as one template, without modules and loops."""
    temporary.mkdir()
    resources = snapshot(bicep, temporary).resources
    target.mkdir()
    template = {"$schema": SCHEMA, "contentVersion": "1.0.0.0", "resources": resources}
    (target / "main.json").write_text(json.dumps(template), encoding="utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One run over our deployment and its broken copies, as checkov takes seconds to start."""
    needs_bicep()
    root, work = tmp_path_factory.mktemp("checkov"), tmp_path_factory.mktemp("bicep")
    expand(INFRA, work / "ours-params", root / "ours")
    for copy, checks in (("broken", BREAKS.keys() - AGAIN), ("broken-again", AGAIN)):
        shutil.copytree(INFRA, work / copy)
        for check in checks:
            file, old, new = BREAKS[check]
            text = (work / copy / file).read_text("utf-8")
            assert old in text, f"{file} no longer has {old!r}: give {check} a new case"
            (work / copy / file).write_text(text.replace(old, new, 1), encoding="utf-8")
        expand(work / copy, work / f"{copy}-params", root / copy)
    options = ["--framework", "arm", "--skip-download", "--soft-fail", "--compact", "-o", "json"]
    run = subprocess.run(
        [CHECKOV, "-d", root, *options, "--check", ",".join(BREAKS)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    results = json.loads(run.stdout)["results"]
    assert results["parsing_errors"] == []
    return {
        kind: {(_folder(each["file_path"]), each["check_id"]) for each in results[f"{kind}_checks"]}
        for kind in ("passed", "failed")
    }


def _folder(path: str) -> str:
    return path.split("/")[1]


@pytest.mark.parametrize("check", BREAKS)
def test_our_deployment_keeps_the_rule(report: Report, check: str) -> None:
    assert ("ours", check) in report["passed"]
    assert ("ours", check) not in report["failed"]


@pytest.mark.parametrize("check", BREAKS)
def test_a_bicep_that_breaks_the_rule_is_noticed(report: Report, check: str) -> None:
    assert ("broken-again" if check in AGAIN else "broken", check) in report["failed"]
