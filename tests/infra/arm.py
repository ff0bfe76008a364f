"""What Azure Resource Manager accepts, as Microsoft's own SDKs know it.

The versions in requirements-dev.txt decide which API version that is: a resource in infra/ must use the same.
"""

import importlib
import re
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

IN_THE_URL = {"name", "parent", "scope", "dependsOn"}
"""What Bicep writes beside the body of a request."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """Where a resource type is described: an SDK package, the model sent, and the model read back."""

    package: str
    sent: str
    read: str


_AUTHORIZATION = "azure.mgmt.authorization.v2022_04_01"
_IDENTITY = "azure.mgmt.msi.v2024_11_30"
_INSIGHTS = "azure.mgmt.applicationinsights.v2020_02_02"
_STORAGE = "Microsoft.Storage/storageAccounts"
TYPES = {
    "Microsoft.Authorization/roleAssignments": Sdk(
        _AUTHORIZATION, "RoleAssignmentCreateParameters", "RoleAssignment"
    ),
    "Microsoft.Insights/actionGroups": Sdk(
        "azure.mgmt.monitor", "ActionGroupResource", "ActionGroupResource"
    ),
    "Microsoft.Insights/components": Sdk(
        _INSIGHTS, "ApplicationInsightsComponent", "ApplicationInsightsComponent"
    ),
    "Microsoft.Insights/scheduledQueryRules": Sdk(
        "azure.mgmt.monitor", "ScheduledQueryRuleResource", "ScheduledQueryRuleResource"
    ),
    "Microsoft.KeyVault/vaults": Sdk("azure.mgmt.keyvault", "VaultCreateOrUpdateParameters", "Vault"),
    "Microsoft.KeyVault/vaults/secrets": Sdk(
        "azure.mgmt.keyvault", "SecretCreateOrUpdateParameters", "Secret"
    ),
    "Microsoft.ManagedIdentity/userAssignedIdentities": Sdk(_IDENTITY, "Identity", "Identity"),
    "Microsoft.OperationalInsights/workspaces": Sdk("azure.mgmt.loganalytics", "Workspace", "Workspace"),
    "Microsoft.Resources/resourceGroups": Sdk(
        "azure.mgmt.resource.resources", "ResourceGroup", "ResourceGroup"
    ),
    _STORAGE: Sdk("azure.mgmt.storage", "StorageAccountCreateParameters", "StorageAccount"),
    f"{_STORAGE}/blobServices/containers": Sdk("azure.mgmt.storage", "BlobContainer", "BlobContainer"),
    f"{_STORAGE}/queueServices/queues": Sdk("azure.mgmt.storage", "StorageQueue", "StorageQueue"),
    f"{_STORAGE}/tableServices/tables": Sdk("azure.mgmt.storage", "Table", "Table"),
    "Microsoft.Web/serverfarms": Sdk("azure.mgmt.web", "AppServicePlan", "AppServicePlan"),
    "Microsoft.Web/sites": Sdk("azure.mgmt.web", "Site", "Site"),
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": Sdk(
        "azure.mgmt.web", "CsmPublishingCredentialsPoliciesEntity", "CsmPublishingCredentialsPoliciesEntity"
    ),
    "Microsoft.Web/sites/config": Sdk("azure.mgmt.web", "StringDictionary", "StringDictionary"),
}


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a body. kind: scalar, list or map. type: a model, an enumeration, or an annotation."""

    kind: str
    type: Any
    read_only: bool
    required: bool


@cache
def api_versions(package: str) -> dict[str, set[str]]:
    """Resource type in lower case -> the API versions that the SDK creates it with, from its PUT requests."""
    found: dict[str, set[str]] = {}
    folder = Path(str(importlib.import_module(package).__file__)).parent / "operations"
    for path in folder.glob("*.py"):
        for request in path.read_text(encoding="utf-8").split("\ndef build_")[1:]:
            url = re.search(r'"(/[^"]*)"', request)
            version = re.search(r'"api-version", "([0-9-]+)"', request)
            if url and version and 'method="PUT"' in request:
                found.setdefault(_type_of(url[1]), set()).add(version[1])
    return found


def _type_of(url: str) -> str:
    if "/providers/" not in url:
        return "microsoft.resources/resourcegroups" if "/resourcegroups/" in url.casefold() else url
    namespace, *rest = url.rpartition("/providers/")[2].split("/")
    return "/".join([namespace, *rest[::2]]).casefold()


def models(package: str) -> ModuleType:
    return importlib.import_module(f"{package}.models")


@cache
def properties(model: type) -> dict[str, Property]:
    """Wire name -> property, for both of the styles in which Microsoft generates its SDKs."""
    if hasattr(model, "_attribute_map"):
        return _of_attribute_map(model)
    found: dict[str, Property] = {}
    for owner in reversed(model.__mro__):
        for attribute, field in vars(owner).items():
            if hasattr(field, "_rest_name_input"):
                annotation = str(owner.__annotations__[attribute])
                read_only = field._visibility == ["read"]
                found[field._rest_name_input or attribute] = Property(
                    _kind(annotation, "list[", "dict["),
                    _named(model, re.search(r"_models\.(\w+)", annotation), annotation),
                    read_only,
                    not (read_only or "Optional" in annotation or "None" in annotation),
                )
    return found


def _of_attribute_map(model: Any) -> dict[str, Property]:
    found: dict[str, Property] = {}
    for attribute, each in model._attribute_map.items():
        rules = model._validation.get(attribute, {})
        found[each["key"]] = Property(
            _kind(each["type"], "[", "{"),
            _named(model, re.search(r"(\w+)", each["type"]), each["type"]),
            rules.get("readonly", False),
            rules.get("required", False),
        )
    return found


def _kind(annotation: str, a_list: str, a_map: str) -> str:
    return "list" if a_list in annotation else "map" if a_map in annotation else "scalar"


def _named(model: type, match: re.Match[str] | None, annotation: str) -> Any:
    module = importlib.import_module(model.__module__.rpartition(".")[0])
    return getattr(module, match[1] if match else "", annotation)


def is_model(found: Any) -> bool:
    return isinstance(found, type) and not issubclass(found, Enum)


def values(found: Any) -> set[str]:
    """The values of an enumeration; none of anything else."""
    if isinstance(found, type) and issubclass(found, Enum):
        return {str(each.value) for each in found}
    return set()
