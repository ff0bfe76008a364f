"""The checks of infra/. Each takes the Bicep files and yields what is wrong, one line a fault."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.infra import arm
from tests.infra.bicep import Bicep, alternatives, is_expression

PUBLISHED_ROLES = {
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Storage Table Data Reader": "76199698-9eea-4c19-bc75-cec21354c6b6",
}
"""From Microsoft's page "Azure built-in roles"."""

GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def types_and_properties(files: list[Bicep]) -> Iterator[str]:
    """Each resource's type, API version and properties are those of Microsoft's SDK."""
    for file in files:
        for resource in file.resources:
            yield from _resource(file, resource)


def _resource(file: Bicep, resource: Any) -> Iterator[str]:
    where = f"{file.name}: {resource.symbol}"
    sdk = arm.TYPES.get(resource.type)
    if sdk is None:
        yield f"{where}: no SDK of ours knows {resource.type}"
        return
    versions = arm.api_versions(sdk.package)[resource.type.casefold()]
    if resource.api_version not in versions:
        yield f"{where}: API version {resource.api_version}, but the SDK's is {', '.join(versions)}"
    if not resource.existing:
        written = {key: value for key, value in resource.body.items() if key not in arm.IN_THE_URL}
        yield from _model(file, where, written, getattr(arm.models(sdk.package), sdk.sent), "")


def _model(file: Bicep, where: str, value: dict[str, Any], model: type, prefix: str) -> Iterator[str]:
    known = arm.properties(model)
    for key, inner in value.items():
        path = f"{prefix}{key}"
        if path in known:
            yield from _property(file, f"{where}.{key}", inner, known[path])
        elif any(name.startswith(f"{path}.") for name in known):
            # An older SDK flattens `properties`: its wire names have dots.
            for each in alternatives(inner):
                yield from _model(file, f"{where}.{key}", each, model, f"{path}.")
        else:
            yield f"{where}: {model.__name__} has no property {key}"
    if not prefix:
        for name, each in known.items():
            if each.required and not _written(value, name):
                yield f"{where}: {name} is missing"


def _written(value: Any, name: str) -> bool:
    first, _, rest = name.partition(".")
    return first in value and (not rest or is_expression(value[first]) or _written(value[first], rest))


def _property(file: Bicep, where: str, value: Any, known: arm.Property) -> Iterator[str]:
    if known.read_only:
        yield f"{where} is read-only"
    for each in alternatives(value):
        if isinstance(each, str) and (each in file.names or "${" in each):
            continue
        if (known.kind == "list") != isinstance(each, list):
            yield f"{where} is {'' if known.kind == 'list' else 'not '}a list"
            continue
        if known.kind == "map" and isinstance(each, dict):
            continue
        for item in each if known.kind == "list" else [each]:
            yield from _value(file, where, item, known.type)


def _value(file: Bicep, where: str, value: Any, kind: Any) -> Iterator[str]:
    for each in alternatives(value):
        if isinstance(each, str) and (each in file.names or "${" in each):
            continue
        if arm.is_model(kind):
            if isinstance(each, dict):
                yield from _model(file, where, each, kind, "")
            else:
                yield f"{where} is an object: {kind.__name__}"
        elif isinstance(each, dict):
            yield f"{where} is not an object"
        elif (values := arm.values(kind)) and each not in values:
            yield f"{where}: {each!r} is none of {', '.join(sorted(values))}"
        elif wrong := _wrong_scalar(each, str(kind)):
            yield f"{where}: {each!r} is not {wrong}"


def _wrong_scalar(value: Any, annotation: str) -> str | None:
    for name, python in (("bool", bool), ("int", int), ("str", str)):
        if re.search(rf"\b{name}\b", annotation):
            return None if type(value) is python else name
    return None


def reads(files: list[Bicep]) -> Iterator[str]:
    """What is read of a resource's properties is something that the SDK's model has."""
    for file in files:
        for resource in file.resources:
            sdk = arm.TYPES.get(resource.type)
            if sdk is None:
                continue
            for match in re.finditer(rf"\b{resource.symbol}!?\.(properties(?:\.\w+)+)", file.code):
                if not _readable(getattr(arm.models(sdk.package), sdk.read), match[1].split("."), ""):
                    yield f"{file.name}: {sdk.read} has no {match[1]}"


def _readable(model: type, parts: list[str], prefix: str) -> bool:
    known = arm.properties(model)
    path = f"{prefix}{parts[0]}"
    if path in known:
        inner = known[path].type
        return len(parts) == 1 or (arm.is_model(inner) and _readable(inner, parts[1:], ""))
    flattened = any(name.startswith(f"{path}.") for name in known)
    return flattened and len(parts) > 1 and _readable(model, parts[1:], f"{path}.")


def modules(files: list[Bicep]) -> Iterator[str]:
    """A module gets the parameters that it has and needs, and only its outputs are read."""
    by_name = {file.name: file for file in files}
    for file in files:
        for module in file.modules:
            if module.file not in by_name:
                yield f"{file.name}: module {module.symbol}: there is no {module.file}"
                continue
            target = by_name[module.file]
            needed = {name for name, param in target.params.items() if param["default"] is None}
            for name in sorted(module.params.keys() - target.params.keys()):
                yield f"{file.name}: {module.file} has no parameter {name}"
            for name in sorted(needed - module.params.keys()):
                yield f"{file.name}: {module.file} needs the parameter {name}"
            for name in re.findall(rf"\b{module.symbol}\.outputs\.(\w+)", file.code):
                if name not in target.outputs:
                    yield f"{file.name}: {module.file} has no output {name}"


def unused(files: list[Bicep]) -> Iterator[str]:
    """Every parameter, variable, module file and output is used."""
    calls = [(module, file.code) for file in files for module in file.modules]
    for file in files:
        for name in sorted(file.params.keys() | file.variables.keys()):
            if len(re.findall(rf"\b{name}\b", file.code)) < 2:
                yield f"{file.name}: {name} is not used"
        if file.name == "main.bicep":
            continue
        callers = [(module.symbol, code) for module, code in calls if module.file == file.name]
        if not callers:
            yield f"{file.name} is no module of any other"
        for name in file.outputs:
            if not any(re.search(rf"\b{symbol}\.outputs\.{name}\b", code) for symbol, code in callers):
                yield f"{file.name}: nobody reads the output {name}"


def roles(files: list[Bicep]) -> Iterator[str]:
    """Each role's GUID is the one published for the role that the variable names, and each is assigned."""
    published = {_camel(name): guid for name, guid in PUBLISHED_ROLES.items()}
    for file in files:
        named = file.variables.get("roles", {})
        for name, guid in named.items():
            if published.get(name) != guid:
                yield f"{file.name}: {guid} is not the role {name}"
            if f"roles.{name}" not in file.code:
                yield f"{file.name}: the role {name} is assigned to nobody"
        for guid in set(GUID.findall(file.code)) - set(named.values()):
            yield f"{file.name}: {guid} stands outside `roles`"


def _camel(name: str) -> str:
    first, *rest = name.split()
    return first.lower() + "".join(rest)


def secrets(files: list[Bicep]) -> Iterator[str]:
    """A secure parameter goes into the vault or into another secure parameter, and nowhere else."""
    by_name = {file.name: file for file in files}
    for file in files:
        secure = file.secure_params
        for name, value in file.outputs.items():
            if _mentions(value, secure):
                yield f"{file.name}: the output {name} carries a secret"
        for name, value in file.variables.items():
            if _mentions(value, secure):
                yield f"{file.name}: the variable {name} carries a secret"
        for resource in file.resources:
            if resource.type != "Microsoft.KeyVault/vaults/secrets" and _mentions(resource.body, secure):
                yield f"{file.name}: {resource.symbol} is given a secret outside the vault"
        for module in file.modules:
            safe = by_name[module.file].secure_params if module.file in by_name else set()
            for name, value in module.params.items():
                if _mentions(value, secure) and name not in safe:
                    yield f"{file.name}: {module.file} takes the secret {name} as a plain parameter"


def _mentions(value: Any, names: set[str]) -> bool:
    """Does this value hold one of these parameters, other than to ask whether it is empty?"""
    if isinstance(value, str):
        return value in names or any(
            names & set(re.findall(r"\w+", part)) for part in re.findall(r"\$\{([^}]*)\}", value)
        )
    if isinstance(value, list):
        return any(_mentions(each, names) for each in value)
    if is_expression(value) and value.get("function", {}).get("type") == "empty":
        return False
    return isinstance(value, dict) and any(_mentions(each, names) for each in value.values())


def app_settings(files: list[Bicep], parameters: Path) -> tuple[set[str], set[str]]:
    """The names of the settings that the app gets: (plain, secret)."""
    by_name = {file.name: file for file in files}
    given = json.loads(parameters.read_text(encoding="utf-8"))["parameters"]
    app = next(module for module in by_name["main.bicep"].modules if module.file == "app.bicep")
    settings = next(each for each in by_name["app.bicep"].resources if each.body["name"] == "appsettings")
    plain = {*given["settings"]["value"], *_keys(app.params["settings"]), *_keys(settings.body["properties"])}
    return plain, set(by_name["vault.bicep"].outputs["references"])


def secret_settings(files: list[Bicep], parameters: Path) -> Iterator[str]:
    """A secret setting that azd is asked for is stored in the vault under its name and referred to."""
    vault = next(file for file in files if file.name == "vault.bicep")
    given = json.loads(parameters.read_text(encoding="utf-8"))["parameters"]["secrets"]["value"]
    for name in sorted({*given, "TWILIO_AUTH_TOKEN"} | vault.outputs["references"].keys()):
        stored = [each for each in vault.resources if each.body["name"] == name.replace("_", "-")]
        if not stored or f"value: secrets.{name} " not in vault.code:
            yield f"{vault.name}: {name} is not stored"
        elif f"{stored[0].symbol}!." not in vault.code and f"{stored[0].symbol}." not in vault.code:
            yield f"{vault.name}: {name} is not referred to"
        if name not in vault.outputs["references"]:
            yield f"{vault.name}: {name} has no reference"


def azd_parameters(files: list[Bicep], parameters: Path) -> Iterator[str]:
    """What azd fills in is what main.bicep takes; what it does not give has a default."""
    main = next(file for file in files if file.name == "main.bicep")
    given = json.loads(parameters.read_text(encoding="utf-8"))["parameters"]
    needed = {name for name, param in main.params.items() if param["default"] is None}
    for name in sorted(given.keys() - main.params.keys()):
        yield f"{main.name} has no parameter {name}"
    for name in sorted(needed - given.keys()):
        yield f"{parameters.name} lacks {name}"
    for name in ("settings", "secrets"):
        for setting, value in given[name]["value"].items():
            if value != f"${{{setting}}}":
                yield f"{parameters.name}: {setting} is given {value}"


def _keys(value: Any) -> set[str]:
    return {key for each in alternatives(value) if isinstance(each, dict) for key in each}
