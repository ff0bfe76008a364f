"""azd, as far as it decides what reaches Bicep and what `python -m ops` finds, after its own source.

Source: github.com/Azure/azure-dev at ae35809f (1.32.0-beta.1), below cli/azd:
  pkg/environment/environment.go            marshallDotEnv, fixupUnquotedDotenv, LookupEnv
  pkg/environment/local_file_data_store.go  Save, Reload: .azure/NAME/.env and .azure/NAME/config.json
  pkg/config/config.go                      SetSecret: vault://..., the value elsewhere
  pkg/ext/hooks_runner.go                   execHook: the .env's values are a hook's environment; then Reload
  pkg/infra/provisioning/bicep/bicep_provider.go   evalParamEnvSubst, loadParameters (paths A and B),
                                            ensureParameters, armParameterFileValue, mustSetParamAsConfig
  cmd/env.go                                `azd env set`, `set-secret`, `config get`
and of what it builds on: joho/godotenv v1.5.1 (Marshal, extractVarValue, expandEscapes, expandVariables) and
drone/envsubst v1.0.3 (Eval, toDefault).

As a program: `python -m tests.azd env set NAME VALUE [--environment ENV]`, `... env config get PATH ...`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PRINCIPAL = "11111111-1111-1111-1111-111111111111"
SUBSTITUTED = re.compile(r"\$\{(\w+)(?:=([^}]*))?\}")
"""envsubst, of which our parameters use a name and a default. Whatever else stands in braces is refused."""
EXPANDED = re.compile(r"(\\)?(\$)(\()?\{?([A-Z0-9_]+)?\}?")


class ProvisionFails(Exception):
    """`azd provision` ends with this error."""


class EnvironmentBroken(Exception):
    """No command of azd can read the environment any more."""


class Asks(Exception):
    """`azd provision` asks for these parameters."""


# The .env, as joho/godotenv writes and reads it, its faults included.


def marshal(values: Mapping[str, str]) -> str:
    lines = []
    for name, value in values.items():
        if re.fullmatch(r"[+-]?[0-9]+", value):
            # Marshal writes the number alone; fixupUnquotedDotenv puts back what the number has lost.
            number = str(int(value))
            lines.append(f"{name}={value}" if number == value else f'{name}="{value}"')
            continue
        for special in '\\\n\r"!$`':
            escaped = {"\n": "\\n", "\r": "\\r"}.get(special, f"\\{special}")
            value = value.replace(special, escaped)
        lines.append(f'{name}="{value}"')
    return "\n".join(sorted(lines)) + "\n"


def unmarshal(text: str) -> dict[str, str]:
    """Raises EnvironmentBroken where azd cannot read what it wrote itself.

    extractVarValue takes a quote after a backslash for an escaped one, also where the backslash is escaped: a
    value that ends with a backslash swallows what follows. It trims quotes before it unescapes: a value that
    ends with a quote ends with a backslash instead.
    """
    found: dict[str, str] = {}
    rest = text
    while rest.strip():
        name, _, rest = rest.lstrip().partition("=")
        if not rest.startswith('"'):
            raw, _, rest = rest.partition("\n")
            found[name] = EXPANDED.sub(lambda each: _expanded(each, found), raw.strip())
            continue
        end = next((i for i in range(1, len(rest)) if rest[i] == '"' and rest[i - 1] != "\\"), None)
        if end is None:
            raise EnvironmentBroken(f"unterminated quoted value {rest.partition(chr(10))[0]}")
        value, rest = rest[:end].strip('"'), rest[end + 1 :]
        value = re.sub(r"\\.", lambda each: {"\\n": "\n", "\\r": "\r"}.get(each[0], each[0]), value)
        value = re.sub(r"\\([^$])", r"\1", value)
        found[name] = EXPANDED.sub(lambda each: _expanded(each, found), value)
    return found


def _expanded(match: re.Match[str], known: Mapping[str, str]) -> str:
    if match[1] or match[3]:
        return match[0][1:]
    if match[4]:
        return known.get(match[4], "")
    return match[0]


@dataclass(slots=True)
class Azd:
    """One environment in a project's folder. vault: what `azd env set-secret` refers to, by reference."""

    folder: Path
    name: str = "prod"
    vault: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self._env.exists():
            self._env.parent.mkdir(parents=True, exist_ok=True)
            self._save({"AZURE_ENV_NAME": self.name})
            default = {"version": 1, "defaultEnvironment": self.name}
            (self.folder / ".azure" / "config.json").write_text(json.dumps(default), encoding="utf-8")

    @property
    def _env(self) -> Path:
        return self.folder / ".azure" / self.name / ".env"

    @property
    def _config(self) -> Path:
        return self.folder / ".azure" / self.name / "config.json"

    @property
    def _user_vault(self) -> Path:
        """~/.azd/vaults/ID.json in fact: outside the project."""
        return self.folder / "home" / ".azd" / "vaults" / f"{self.name}.json"

    def _save(self, values: Mapping[str, str]) -> None:
        self._env.write_text(marshal(values), encoding="utf-8")

    @property
    def values(self) -> dict[str, str]:
        return unmarshal(self._env.read_text(encoding="utf-8"))

    def set(self, name: str, value: str) -> None:
        """`azd env set`."""
        self._save({**self.values, name: value})

    def set_secret(self, name: str, value: str) -> None:
        """`azd env set-secret`: the value goes to a Key Vault, and the .env refers to it."""
        reference = f"akvs://{uuid.UUID(int=1)}/somebodys-vault/{name.replace('_', '-')}"
        self.vault[reference] = value
        self.set(name, reference)

    def answer(self, parameter: str, value: str, *, secure: bool = False) -> None:
        """What a person types at the prompt for a parameter (mustSetParamAsConfig)."""
        config = self.config
        if secure:
            secrets = json.loads(self._user_vault.read_text("utf-8")) if self._user_vault.exists() else {}
            secrets[parameter] = value
            self._user_vault.parent.mkdir(parents=True, exist_ok=True)
            self._user_vault.write_text(json.dumps(secrets), encoding="utf-8")
            value = f"vault://{uuid.UUID(int=2)}/{parameter}"
        config.setdefault("infra", {}).setdefault("parameters", {})[parameter] = value
        self._config.write_text(json.dumps(config), encoding="utf-8")

    @property
    def config(self) -> dict[str, Any]:
        return dict(json.loads(self._config.read_text("utf-8"))) if self._config.exists() else {}

    def config_get(self, path: str) -> Any:
        """`azd env config get`, with what a vault:// refers to. Raises KeyError where there is nothing."""
        found: Any = self.config
        for part in path.split("."):
            found = found[part]
        if isinstance(found, str) and found.startswith("vault://"):
            found = json.loads(self._user_vault.read_text("utf-8"))[found.rpartition("/")[2]]
        return found

    def program(self, folder: Path) -> str:
        """Put an `azd` for this environment into a folder; the PATH that finds it first."""
        program = folder / "azd"
        lines = (
            "#!/bin/sh",
            f"cd '{self.folder}'",
            f"PYTHONPATH='{ROOT}' exec '{sys.executable}' -m tests.azd \"$@\"",
        )
        program.write_text("\n".join(lines) + "\n", encoding="utf-8")
        program.chmod(0o755)
        return f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"

    def hook(
        self, command: list[str], bin_folder: Path, environ: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a hook with the .env's values over the process's environment. bin_folder: gets an `azd`."""
        return subprocess.run(
            command,
            cwd=ROOT,
            env={**environ, **self.values, "PATH": self.program(bin_folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def parameters(
        self, template: Mapping[str, Any], file: Path, environ: Mapping[str, str]
    ) -> dict[str, Any]:
        """What ARM is given. Raises ProvisionFails, or Asks where a parameter has no value and no default."""
        given = self._load(template["parameters"], file, environ)
        asked, configured = [], {}
        for name, definition in sorted(template["parameters"].items()):
            value = _file_value(definition, given.get(name))
            if value is not None:
                if isinstance(value, str) and _is_secure(definition) and value.startswith("akvs://"):
                    value = self.vault[value]
                configured[name] = value
            elif "defaultValue" not in definition and not definition.get("nullable"):
                try:
                    configured[name] = self.config_get(f"infra.parameters.{name}")
                except KeyError:
                    asked.append(name)
        if asked:
            raise Asks(*asked)
        return configured

    def _load(self, definitions: Mapping[str, Any], file: Path, environ: Mapping[str, str]) -> dict[str, Any]:
        """loadParameters: a text for an object or an array is substituted, then parsed; the rest as JSON."""
        resolved: dict[str, Any] = {}
        for name, parameter in json.loads(file.read_text("utf-8"))["parameters"].items():
            kind = definitions.get(name, {}).get("type", "").lower()
            value = parameter["value"]
            is_whole = kind in ("object", "secureobject", "array") and isinstance(value, str)
            text, unset = self._substituted(value if is_whole else json.dumps(parameter), environ)
            if is_whole and text == "" and unset:
                continue
            if "$(secretOrRandomPassword" in text:
                raise NotImplementedError("cmdsubst.Eval")
            try:
                found = json.loads(text) if is_whole else json.loads(text)["value"]
            except ValueError as exc:
                raise ProvisionFails(f"substituting parameter {name!r}: {exc}") from exc
            if found is None or (found == "" and unset):
                continue
            resolved[name] = found
        return resolved

    def _substituted(self, text: str, environ: Mapping[str, str]) -> tuple[str, bool]:
        """The text, and whether a variable in it is not set anywhere. A value is not looked through again."""
        if re.search(r"\$\{(?!\w+(?:=[^}]*)?\})", text):
            raise NotImplementedError(f"another function of envsubst, in {text}")
        known, unset = {**environ, **self.values}, []

        def of(match: re.Match[str]) -> str:
            if match[1] == "AZURE_PRINCIPAL_ID":
                return PRINCIPAL
            if match[1] not in known:
                unset.append(match[1])
            return known.get(match[1], "") or match[2] or ""

        return SUBSTITUTED.sub(of, text), bool(unset)


def _is_secure(definition: Mapping[str, Any]) -> bool:
    return str(definition["type"]).lower().startswith("secure")


def _file_value(definition: Mapping[str, Any], value: Any) -> Any:
    """armParameterFileValue: text may stand for a number or a truth value; empty text is no value."""
    kind, default = definition["type"].lower(), definition.get("defaultValue")
    if not isinstance(value, str):
        return value
    if kind == "bool":
        return {"true": True, "false": False}.get(value.lower())
    if kind == "int":
        return int(value) if re.fullmatch(r"[+-]?[0-9]+", value) else None
    if kind in ("string", "securestring"):
        return value if value or (isinstance(default, str) and default) else None
    return value


def main() -> None:
    """The commands that hooks and `python -m ops` run."""
    parser = argparse.ArgumentParser(prog="azd")
    commands = (
        parser.add_subparsers(dest="group", required=True).add_parser("env").add_subparsers(dest="command")
    )
    setting = commands.add_parser("set")
    setting.add_argument("name")
    setting.add_argument("value")
    getting = commands.add_parser("config").add_subparsers(dest="what", required=True).add_parser("get")
    getting.add_argument("path")
    for each in (setting, getting):
        each.add_argument("--environment", "-e", default=os.environ.get("AZURE_ENV_NAME", "prod"))
        each.add_argument("--output", "-o", default="json")
    given = parser.parse_args()
    azd = Azd(Path.cwd(), given.environment)
    if given.command == "set":
        azd.set(given.name, given.value)
        return
    try:
        print(json.dumps(azd.config_get(given.path)))
    except KeyError:
        sys.exit(f"ERROR: no value at path '{given.path}': key not found")


if __name__ == "__main__":
    main()
