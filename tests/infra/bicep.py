"""Bicep files as pycep reads them, and the parts of them that the checks look at.

pycep does not tell a literal string from a name, so `names` says what a file declares.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycep import BicepParser

PARSER = BicepParser()


@dataclass(frozen=True, slots=True)
class Resource:
    symbol: str
    type: str
    api_version: str
    existing: bool
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Module:
    symbol: str
    file: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bicep:
    """One file. `code` is its text without comments."""

    path: Path
    code: str
    tree: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def params(self) -> dict[str, dict[str, Any]]:
        return dict(self.tree.get("parameters", {}))

    @property
    def secure_params(self) -> set[str]:
        return {
            name
            for name, param in self.params.items()
            if any(decorator["type"] == "secure" for decorator in param["decorators"])
        }

    @property
    def variables(self) -> dict[str, Any]:
        return {name: variable["value"] for name, variable in self.tree.get("variables", {}).items()}

    @property
    def outputs(self) -> dict[str, Any]:
        return {name: output["value"] for name, output in self.tree.get("outputs", {}).items()}

    @property
    def resources(self) -> list[Resource]:
        return [
            Resource(symbol, each["type"], each["api_version"], each["existing"], body(each["config"]))
            for symbol, each in self.tree.get("resources", {}).items()
        ]

    @property
    def modules(self) -> list[Module]:
        return [
            Module(symbol, each["detail"]["path"], body(each["config"]).get("params", {}))
            for symbol, each in self.tree.get("modules", {}).items()
        ]

    @property
    def names(self) -> set[str]:
        loops = set(re.findall(r"\[for (\w+) in", self.code))
        declared = {"parameters", "variables", "resources", "modules"} & self.tree.keys()
        return loops.union(*(self.tree[kind] for kind in declared))


def read(path: Path) -> Bicep:
    """Raises lark's UnexpectedInput where the text is not Bicep."""
    text = path.read_text(encoding="utf-8")
    return Bicep(path, re.sub(r"(?m)(^|\s)//.*$|^#.*$", "", text), dict(PARSER.parse(text=text)))


def read_all(folder: Path) -> list[Bicep]:
    return [read(path) for path in sorted(folder.glob("*.bicep"))]


def body(config: Any) -> dict[str, Any]:
    """The object behind a condition or a loop."""
    while config.keys() >= {"config"} and config.keys() <= {"config", "condition", "loop_type"}:
        config = config["config"]
    return dict(config)


def is_expression(value: Any) -> bool:
    """Is this object an operator or a function call of pycep's tree, rather than an object of the text?"""
    return (
        isinstance(value, dict)
        and len(value) == 1
        and any(isinstance(value.get(key), dict) and "type" in value[key] for key in ("operator", "function"))
    )


def alternatives(value: Any) -> Iterator[Any]:
    """What an expression may come to, as far as it is written out: `a ? {...} : []` gives both."""
    if not is_expression(value):
        yield value
        return
    (call,) = value.values()
    if call["type"] == "property_accessor":
        return
    for key, part in call.get("operands", call.get("parameters", {})).items():
        if key != "condition" and (isinstance(part, list) or (isinstance(part, dict) and part)):
            yield from alternatives(part)
