"""infra/, by Microsoft's compiler and linter, and what a deployment would hold."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.at_once import PER_INSTANCE
from tests.infra.bicep import (
    INFRA,
    PARAMETERS,
    PRINCIPAL,
    Snapshot,
    diagnostics,
    needs_bicep,
    run,
    snapshot,
    template,
)

PUBLISHED_ROLES = {
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Storage Table Data Reader": "76199698-9eea-4c19-bc75-cec21354c6b6",
}
"""From Microsoft's page "Azure built-in roles"."""
WEB = "Microsoft.Web/sites"
ROLES = "Microsoft.Authorization/roleAssignments"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return snapshot(INFRA, tmp_path_factory.mktemp("snapshot"))


@pytest.fixture(scope="module")
def compiled() -> dict[str, Any]:
    needs_bicep()
    return template(INFRA)


def test_the_compiler_and_its_linter_have_nothing_to_say() -> None:
    needs_bicep()
    assert diagnostics(INFRA) == []


@pytest.mark.parametrize("path", sorted(INFRA.glob("*.bicep")), ids=lambda path: path.name)
def test_every_file_is_formatted(tmp_path: Path, path: Path) -> None:
    needs_bicep()
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    run("format", copy)
    assert copy.read_text("utf-8") == path.read_text("utf-8"), f"bicep format infra/{path.name}"


def test_nothing_in_infra_is_taken_by_azd_for_its_parameters() -> None:
    assert not list(INFRA.glob("*.bicepparam"))


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("app.bicep", "httpsOnly:", "httpOnly:", 'BCP089: The property "httpOnly" is not allowed'),
        ("app.bicep", "instanceMemoryMB:", "memory:", 'BCP037: The property "memory" is not allowed'),
        ("app.bicep", "perInstanceConcurrency: 16", "perInstance: 16", '"perInstance" is not allowed'),
        ("app.bicep", "httpsOnly: true", "httpsOnly: 'true'", "BCP036"),
        ("app.bicep", "'Microsoft.Web/sites@2025-03-01'", "'Microsoft.Web/sites@2025-05-01'", "BCP081"),
        ("storage.bicep", "  kind: 'StorageV2'\n", "", "BCP035"),
        ("main.bicep", "app.outputs.name", "app.outputs.title", "BCP053"),
        ("main.bicep", "alwaysReady: alwaysReady\n", "", "BCP035"),
        ("main.bicep", "erasureKey string = ''", "erasureKey string = 'k'", "secure-parameter-default"),
        (
            "main.bicep",
            "string = group.name",
            "string = twilioAuthToken",
            "outputs-should-not-contain-secrets",
        ),
        (
            "vault.bicep",
            "param given array",
            "param given array\nparam unused string = ''",
            "no-unused-params",
        ),
    ],
)
def test_a_broken_bicep_is_named(tmp_path: Path, file: str, old: str, new: str, fault: str) -> None:
    folder = tmp_path / "infra"
    shutil.copytree(INFRA, folder)
    text = (folder / file).read_text("utf-8")
    assert old in text, f"{file} no longer has {old!r}: give this case a new one"
    (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    found = diagnostics(folder)

    assert any(fault in line for line in found), found


def test_a_whole_deployment_can_be_evaluated(deployed: Snapshot) -> None:
    assert deployed.diagnostics == []


# What azd gives and keeps.


def test_azd_gives_what_the_template_takes(compiled: dict[str, Any]) -> None:
    given = json.loads(PARAMETERS.read_text("utf-8"))["parameters"]

    assert given.keys() == compiled["parameters"].keys()


def test_every_parameter_is_one_variable_of_azd() -> None:
    given = json.loads(PARAMETERS.read_text("utf-8"))["parameters"]

    for name, parameter in given.items():
        assert parameter.keys() == {"value"}, name
        assert re.fullmatch(r"\$\{[A-Z_]+(=[^}]*)?\}", parameter["value"]), name


def test_the_app_itself_is_asked_for_and_all_else_has_a_default(compiled: dict[str, Any]) -> None:
    needed = {name for name, each in compiled["parameters"].items() if "defaultValue" not in each}

    assert needed == {
        "environmentName",
        "location",
        "twilioAccountSid",
        "twilioAuthToken",
        "twilioFromNumber",
    }


def test_secrets_and_peoples_numbers_are_secure_parameters(compiled: dict[str, Any]) -> None:
    secure = {name: each["type"] for name, each in compiled["parameters"].items() if "secure" in each["type"]}

    assert secure == {
        "conferenceRooms": "securestring",
        "erasureKey": "securestring",
        "settings": "secureObject",
        "twilioApiSecret": "securestring",
        "twilioAuthToken": "securestring",
        "twilioAuthTokenSecondary": "securestring",
    }


def test_only_regions_with_flex_consumption_are_offered(compiled: dict[str, Any]) -> None:
    regions = compiled["parameters"]["location"]["allowedValues"]

    # Some of those in Microsoft's quickstart for Python, and two regions that are not among them.
    assert {"eastus", "westeurope", "koreacentral", "northeurope", "westus3"} <= set(regions)
    assert not {"westindia", "germanynorth"} & set(regions)


def test_what_ops_needs_is_kept_and_no_secret_is(deployed: Snapshot) -> None:
    assert deployed.outputs.keys() == {
        "AZURE_FUNCTION_APP_NAME",
        "AZURE_KEY_VAULT_NAME",
        "AZURE_RESOURCE_GROUP",
        "AZURE_STORAGE_ACCOUNT_NAME",
        "PUBLIC_BASE_URL",
        "TWILIO_ACCOUNT_SID",
        "TWILIO_FROM_NUMBER",
    }
    assert deployed.outputs["TWILIO_ACCOUNT_SID"] == "AC" + "0" * 32
    assert deployed.outputs["TWILIO_FROM_NUMBER"] == "+12025550100"
    assert not re.search(
        r"auth-?token|erasure-?key|parameters\('", json.dumps(deployed.outputs), re.IGNORECASE
    )


# Who may do what.


def roles(deployed: Snapshot) -> Iterator[tuple[str, str, str]]:
    """(who, role, on what) of every assignment."""
    names = {guid: name for name, guid in PUBLISHED_ROLES.items()}
    for each in deployed.of_type(ROLES):
        properties = each["properties"]
        who = "person" if properties["principalId"] == PRINCIPAL else "app"
        (on,) = re.findall(r"'(Microsoft\.\w+/\w+)', reference\(", each["name"])
        yield who, names[properties["roleDefinitionId"].rpartition("/")[2]], on


def test_the_app_and_whoever_deploys_have_these_roles_and_no_others(deployed: Snapshot) -> None:
    storage, vault = "Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults"

    assert sorted(roles(deployed)) == sorted(
        [
            ("app", "Key Vault Secrets User", vault),
            ("app", "Monitoring Metrics Publisher", "Microsoft.Insights/components"),
            ("app", "Storage Blob Data Owner", storage),
            ("app", "Storage Queue Data Contributor", storage),
            ("app", "Storage Table Data Contributor", storage),
            ("person", "Key Vault Secrets User", vault),
            ("person", "Storage Queue Data Contributor", storage),
            ("person", "Storage Table Data Reader", storage),
        ]
    )


def test_where_nobody_is_named_nobody_but_the_app_has_a_role(tmp_path: Path) -> None:
    found = snapshot(INFRA, tmp_path, principalId="")

    assert len(list(roles(found))) == 5
    assert all(each["properties"]["principalId"] for each in found.of_type(ROLES))


# No key, nothing public.


def test_the_storage_account_has_no_keys_and_shows_no_blob(deployed: Snapshot) -> None:
    (account,) = deployed.of_type("Microsoft.Storage/storageAccounts")

    assert account["properties"]["allowSharedKeyAccess"] is False
    assert account["properties"]["allowBlobPublicAccess"] is False
    for each in deployed.of_type("Microsoft.Storage/storageAccounts/blobServices/containers"):
        assert each.get("properties", {}).get("publicAccess", "None") == "None"


def test_nobody_signs_in_with_a_key_or_a_password(deployed: Snapshot) -> None:
    (insights,) = deployed.of_type("Microsoft.Insights/components")
    (publishing,) = deployed.of_type(f"{WEB}/basicPublishingCredentialsPolicies")
    (site,) = deployed.of_type(WEB)
    (vault,) = deployed.of_type("Microsoft.KeyVault/vaults")
    (settings,) = deployed.of_type(f"{WEB}/config")

    assert insights["properties"]["DisableLocalAuth"] is True
    assert publishing["properties"]["allow"] is False
    assert site["identity"]["type"] == "UserAssigned"
    deployment = site["properties"]["functionAppConfig"]["deployment"]["storage"]
    assert deployment["authentication"]["type"] == "UserAssignedIdentity"
    assert vault["properties"]["enableRbacAuthorization"] is True
    assert not re.search("AccountKey|listKeys|SharedAccess", json.dumps(deployed.resources))
    assert "'AzureWebJobsStorage__credential', 'managedidentity'" in settings["properties"]


def test_secure_parameters_go_into_the_vault_and_the_app_settings_alone(deployed: Snapshot) -> None:
    for each in deployed.resources:
        text = json.dumps({name: value for name, value in each.items() if name != "condition"})
        found = re.findall(r"parameters\('(\w+)'\)|variables\('(secrets)'\)", text)
        if each["type"] == "Microsoft.KeyVault/vaults/secrets":
            assert found == [("secrets", "")]
        elif each["type"] == f"{WEB}/config":
            assert found == [("settings", "")]
        else:
            assert found == [], each["name"]


def test_reading_a_secret_is_audited(deployed: Snapshot) -> None:
    (audit,) = deployed.of_type("Microsoft.Insights/diagnosticSettings")

    assert "/Microsoft.KeyVault/vaults/" in audit["id"]
    assert audit["properties"]["logs"] == [{"categoryGroup": "audit", "enabled": True}]


# Scale, logs and alerts.


def test_an_instance_takes_sixteen_requests_at_once(deployed: Snapshot) -> None:
    (site,) = deployed.of_type(WEB)
    scale = site["properties"]["functionAppConfig"]["scaleAndConcurrency"]

    assert scale["triggers"] == {"http": {"perInstanceConcurrency": PER_INSTANCE}}
    assert scale["alwaysReady"] == []


def test_always_ready_instances_are_for_webhooks(tmp_path: Path) -> None:
    (site,) = snapshot(INFRA, tmp_path, alwaysReady=2).of_type(WEB)

    scale = site["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    assert scale["alwaysReady"] == [{"name": "http", "instanceCount": 2}]


def test_logs_have_a_daily_cap_and_an_alert_comes_before_it(deployed: Snapshot) -> None:
    (workspace,) = deployed.of_type("Microsoft.OperationalInsights/workspaces")
    cap = workspace["properties"]["workspaceCapping"]["dailyQuotaGb"]
    alert = deployed.alerts()["logs-near-cap"]

    assert alert["scopes"] == [workspace["id"]]
    assert f"GB > {cap} * 0.8" in alert["criteria"]["allOf"][0]["query"]
    # A day of it, looked at more often than a day has hours to lose.
    assert (alert["overrideQueryTimeRange"], alert["evaluationFrequency"]) == ("P1D", "PT1H")


def test_the_silence_alert_says_when_it_is_the_logs_that_are_silent(deployed: Snapshot) -> None:
    (workspace,) = deployed.of_type("Microsoft.OperationalInsights/workspaces")
    alert = deployed.alerts()["drain-silent"]
    (criterion,) = alert["criteria"]["allOf"]

    # _LogOperation is a table of the workspace, not of the app's telemetry.
    assert alert["scopes"] == [workspace["id"]]
    assert 'Detail contains "OverQuota"' in criterion["query"]
    assert "ingestion has stopped" in criterion["query"]
    assert criterion["dimensions"] == [{"name": "cause", "operator": "Include", "values": ["*"]}]


def test_alerts_are_mailed_where_an_address_is_given(tmp_path: Path, deployed: Snapshot) -> None:
    mailed = snapshot(INFRA, tmp_path, alertEmail="ops@example.com")
    (operators,) = mailed.of_type("Microsoft.Insights/actionGroups")

    assert operators["properties"]["emailReceivers"][0]["emailAddress"] == "ops@example.com"
    assert all(each["actions"]["actionGroups"] == [operators["id"]] for each in mailed.alerts().values())
    assert all(each["actions"]["actionGroups"] == [] for each in deployed.alerts().values())
