"""infra/ without Azure: each check passes on ours, and names the fault of a Bicep that breaks it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lark.exceptions import UnexpectedInput

from tests.infra import checks
from tests.infra.bicep import Bicep, read, read_all

ROOT = Path(__file__).parent.parent.parent
INFRA = ROOT / "infra"
PARAMETERS = INFRA / "main.parameters.json"

Check = Callable[[list[Bicep]], Iterator[str]]
CHECKS: list[Check] = [
    checks.types_and_properties,
    checks.reads,
    checks.modules,
    checks.unused,
    checks.roles,
    checks.secrets,
    lambda files: checks.azd_parameters(files, PARAMETERS),
    lambda files: checks.secret_settings(files, PARAMETERS),
]


@pytest.fixture(scope="module")
def ours() -> list[Bicep]:
    return read_all(INFRA)


def broken(folder: Path, file: str, old: str, new: str) -> list[Bicep]:
    """Our Bicep with one text replaced."""
    shutil.copytree(INFRA, folder / "infra")
    path = folder / "infra" / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, f"{file} no longer has {old!r}: give this case a new one"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return read_all(folder / "infra")


def faults(files: list[Bicep]) -> list[str]:
    return [fault for check in CHECKS for fault in check(files)]


def test_our_bicep_passes_every_check(ours: list[Bicep]) -> None:
    assert faults(ours) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("app.bicep", "Microsoft.Web/serverfarms@", "Microsoft.Web/farms@", "no SDK of ours knows"),
        ("app.bicep", "serverfarms@2025-05-01", "serverfarms@2031-05-01", "API version 2031-05-01"),
        ("app.bicep", "httpsOnly:", "httpOnly:", "SiteProperties has no property httpOnly"),
        ("app.bicep", "instanceMemoryMB:", "memory:", "FunctionsScaleAndConcurrency has no property memory"),
        ("app.bicep", "instanceCount:", "count:", "FunctionsAlwaysReadyConfig has no property count"),
        ("app.bicep", "httpsOnly: true", "httpsOnly: 'true'", "httpsOnly: 'true' is not bool"),
        ("app.bicep", "type: 'UserAssigned'\n", "type: 'Assigned'\n", "'Assigned' is none of"),
        ("app.bicep", "  sku: { name: 'FC1', tier: 'FlexConsumption' }", "  sku: 'FC1'", "is an object"),
        ("app.bicep", ".defaultHostName}", ".hostName}", "Site has no properties.hostName"),
        ("storage.bicep", "primaryEndpoints.blob}", "endpoints.blob}", "has no properties.endpoints.blob"),
        ("storage.bicep", "kind: 'StorageV2'", "tags: {}", "kind is missing"),
        ("vault.bicep", "tenantId: tenant().tenantId\n", "", "tenantId is missing"),
        ("vault.bicep", "softDeleteRetentionInDays: 7", "vaultUri: {}", "vaultUri is not an object"),
        ("monitoring.bicep", "windowSize: rule", "window: rule", "has no property window"),
        ("monitoring.bicep", "scopes: [insights.id]", "scopes: 'x'", "scopes is a list"),
        ("monitoring.bicep", "location: location\n  kind: 'web'", "kind: 'web'", "location is missing"),
        (
            "monitoring.bicep",
            "DisableLocalAuth: true",
            "ConnectionString: 'x'",
            "ConnectionString is read-only",
        ),
        ("monitoring.bicep", "properties.ConnectionString", "properties.connection", "has no properties"),
        ("main.bicep", "{ name: replace(name, '-', '') }", "{}", "needs the parameter name"),
        ("main.bicep", "alwaysReady: alwaysReady\n", "warm: alwaysReady\n", "has no parameter warm"),
        ("main.bicep", "app.outputs.name", "app.outputs.title", "has no output title"),
        ("main.bicep", "'vault.bicep'", "'safe.bicep'", "there is no safe.bicep"),
        ("main.bicep", "param twilioFromNumber string", "param number string", "has no parameter twilioFrom"),
        (
            "main.bicep",
            "\n@description('Account SID",
            "\nparam extra string\n@description('Account SID",
            "extra",
        ),
        ("storage.bicep", "output name", "output id string = account.id\noutput name", "nobody reads"),
        ("access.bicep", "storageTableDataReader: '7", "storageTableDataReader: '8", "is not the role"),
        (
            "access.bicep",
            "storageTableDataReader:",
            "storageTableReader:",
            "is not the role storageTableReader",
        ),
        (
            "access.bicep",
            "roles.storageQueueDataContributor, roles.storageTableDataReader]",
            "]",
            "assigned to nobody",
        ),
        (
            "access.bicep",
            "[roles.storageBlobDataOwner, ",
            "['8e3af657-a8ff-443c-a75c-2fe8c4bcb635', roles.storageBlobDataOwner, ",
            "stands outside `roles`",
        ),
        ("main.bicep", "{ TWILIO_AUTH_TOKEN: twilioAuthToken }", "{}", "twilioAuthToken is not used"),
        (
            "main.bicep",
            "TWILIO_ACCOUNT_SID: twilioAccountSid\n",
            "TWILIO_ACCOUNT_SID: twilioAccountSid\n      TWILIO_AUTH_TOKEN: twilioAuthToken\n",
            "app.bicep takes the secret settings as a plain parameter",
        ),
        ("main.bicep", "string = group.name", "string = twilioAuthToken", "carries a secret"),
        ("main.bicep", "string = group.name", "string = '${twilioAuthToken}x'", "carries a secret"),
        ("vault.bicep", "@secure()\n", "", "takes the secret secrets as a plain parameter"),
        (
            "vault.bicep",
            "value: secrets.ERASURE_KEY",
            "value: secrets.TWILIO_API_SECRET",
            "ERASURE_KEY is not",
        ),
        ("vault.bicep", "  ERASURE_KEY: empty", "  ERASURE_CODE: empty", "ERASURE_KEY has no reference"),
        (
            "vault.bicep",
            "location: location\n",
            "location: location\n  tags: { token: secrets.TWILIO_AUTH_TOKEN }\n",
            "vault is given a secret outside the vault",
        ),
    ],
)
def test_a_broken_bicep_is_named(tmp_path: Path, file: str, old: str, new: str, fault: str) -> None:
    found = faults(broken(tmp_path, file, old, new))

    assert any(fault in each for each in found), found


@pytest.mark.parametrize("text", ["param x string = 'y", "resource x = {}", "var x = [for y in z: {]"])
def test_text_that_is_not_bicep_does_not_parse(tmp_path: Path, text: str) -> None:
    path = tmp_path / "main.bicep"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(UnexpectedInput):
        read(path)


def test_a_setting_filled_from_another_variable_is_noticed(tmp_path: Path, ours: list[Bicep]) -> None:
    parameters = tmp_path / "main.parameters.json"
    text = PARAMETERS.read_text(encoding="utf-8")
    parameters.write_text(text.replace("${TIME_ZONE}", "${TIMEZONE}"), encoding="utf-8")

    assert list(checks.azd_parameters(ours, parameters)) == [
        "main.parameters.json: TIME_ZONE is given ${TIMEZONE}"
    ]


def test_the_storage_account_has_no_keys_and_shows_no_blob(ours: list[Bicep]) -> None:
    storage = next(file for file in ours if file.name == "storage.bicep")
    (account,) = (each for each in storage.resources if each.type == "Microsoft.Storage/storageAccounts")

    assert account.body["properties"]["allowSharedKeyAccess"] is False
    assert account.body["properties"]["allowBlobPublicAccess"] is False
