"""checkov's rules that hold for this app, on our Bicep and on one that breaks each.

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

INFRA = Path(__file__).parent.parent.parent / "infra"
CHECKOV = Path(sys.prefix) / "checkov" / "bin" / "checkov"

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
        "name: '${account.name}/default/${container}'\n  properties: { publicAccess: 'Blob' }",
    ),
    "CKV_AZURE_44": ("storage.bicep", "minimumTlsVersion: 'TLS1_2'", "minimumTlsVersion: 'TLS1_0'"),
    "CKV_AZURE_70": ("app.bicep", "httpsOnly: true\n", "\n"),
    "CKV_AZURE_71": ("app.bicep", IDENTITY, ""),
    "CKV_AZURE_111": ("vault.bicep", "enableSoftDelete: true", "enableSoftDelete: false"),
    "CKV_AZURE_131": (
        "main.bicep",
        "param twilioAuthToken string",
        "param twilioAuthToken string = 'secret'",
    ),
    "CKV_AZURE_145": ("app.bicep", "minTlsVersion: '1.2'", "minTlsVersion: '1.1'"),
}
"""Check -> (file, text, what breaks it)."""

Report = dict[str, set[tuple[str, str]]]
"""passed, failed: (folder, check). unparsed: (folder, file)."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One run over our Bicep and all of its broken copies, as checkov takes seconds to start."""
    root = tmp_path_factory.mktemp("checkov")
    shutil.copytree(INFRA, root / "ours")
    for check, (file, old, new) in BREAKS.items():
        shutil.copytree(INFRA, root / check)
        text = (root / check / file).read_text(encoding="utf-8")
        assert old in text, f"{file} no longer has {old!r}: give {check} a new case"
        (root / check / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    (root / "unparsed").mkdir()
    (root / "unparsed" / "main.bicep").write_text("resource x = {", encoding="utf-8")
    options = ["--framework", "bicep", "--skip-download", "--soft-fail", "--compact", "-o", "json"]
    run = subprocess.run(
        [CHECKOV, "-d", root, *options, "--check", ",".join(BREAKS)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    results = json.loads(run.stdout)["results"]
    found: Report = {
        kind: {(_folder(each["file_path"]), each["check_id"]) for each in results[f"{kind}_checks"]}
        for kind in ("passed", "failed")
    }
    found["unparsed"] = {Path(path).relative_to(root).parts[:2] for path in results["parsing_errors"]}  # type: ignore[misc]
    return found


def _folder(path: str) -> str:
    return path.split("/")[1]


@pytest.mark.parametrize("check", BREAKS)
def test_our_bicep_keeps_the_rule(report: Report, check: str) -> None:
    assert ("ours", check) in report["passed"]
    assert ("ours", check) not in report["failed"]


@pytest.mark.parametrize("check", BREAKS)
def test_a_bicep_that_breaks_the_rule_is_noticed(report: Report, check: str) -> None:
    assert (check, check) in report["failed"]


def test_checkov_could_read_all_of_ours_and_says_what_it_cannot_read(report: Report) -> None:
    assert report["unparsed"] == {("unparsed", "main.bicep")}
