"""Route templates as the real host understands them (ASP.NET Core's attribute routing).

`messages/{id}`, `voice/step/{step?}`, `files/{*path}`, `rows/{number:int}`: literals match in any case, and a
constraint is one of CONSTRAINTS.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from local.host.errors import NotIndexed

CONSTRAINTS: dict[str, re.Pattern[str]] = {
    "int": re.compile(r"[+-]?\d+"),
    "long": re.compile(r"[+-]?\d+"),
    "bool": re.compile(r"true|false", re.IGNORECASE),
    "alpha": re.compile(r"[a-z]+", re.IGNORECASE),
    "guid": re.compile(r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?", re.IGNORECASE),
}
_WITH_ARGUMENT: dict[str, Callable[[str, int], bool]] = {
    "length": lambda value, number: len(value) == number,
    "minlength": lambda value, number: len(value) >= number,
    "maxlength": lambda value, number: len(value) <= number,
    "min": lambda value, number: bool(CONSTRAINTS["int"].fullmatch(value)) and int(value) >= number,
    "max": lambda value, number: bool(CONSTRAINTS["int"].fullmatch(value)) and int(value) <= number,
}
_NUMERIC = {"int", "long", "min", "max"}
_PARAMETER = re.compile(
    r"\{(?P<star>\*{0,2})(?P<name>\w+)(?P<constraints>(?::[^:{}?=]+)*)(?P<optional>\??)\}"
)
_CALL = re.compile(r"(\w+)\((\d+)\)")


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment between two slashes: a literal, or a parameter with a name."""

    literal: str = ""
    name: str = ""
    constraints: tuple[str, ...] = ()
    is_optional: bool = False
    is_catch_all: bool = False

    def accepts(self, value: str) -> bool:
        if not self.name:
            return self.literal.casefold() == value.casefold()
        return bool(value) and all(_satisfies(value, each) for each in self.constraints)

    def overlaps(self, other: "Segment") -> bool:
        if not self.name:
            return other.accepts(self.literal)
        if not other.name:
            return self.accepts(other.literal)
        kinds = [{each.partition("(")[0] for each in side.constraints} for side in (self, other)]
        return not any("alpha" in one and another & _NUMERIC for one, another in (kinds, kinds[::-1]))


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed route template. text: the route prefix and what the app declared."""

    text: str
    segments: tuple[Segment, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Parse a template. Raises NotIndexed naming the segment that this host does not understand."""
        segments = tuple(_segment(part, text) for part in text.strip("/").split("/") if part)
        for each in segments[:-1]:
            if each.is_catch_all or each.is_optional:
                raise NotIndexed(f"route {text!r}: {{{each.name}}} may only stand at the end")
        return cls(text, segments)

    def match(self, path: str) -> dict[str, str] | None:
        """The route parameters, if this template matches the path, decoded as http_request.path does it."""
        values = _split(path)
        found: dict[str, str] = {}
        for number, segment in enumerate(self.segments):
            if segment.is_catch_all:
                rest = "/".join(values[number:])
                return {**found, segment.name: rest} if rest else found
            if number >= len(values):
                return found if segment.is_optional else None
            if not segment.accepts(values[number]):
                return None
            if segment.name:
                found[segment.name] = values[number]
        return found if len(values) <= len(self.segments) else None

    def overlaps(self, other: "Template") -> bool:
        """Whether there is a path that both match."""
        return _overlap(self.segments, other.segments)


def _split(path: str) -> list[str]:
    parts = path.removeprefix("/").split("/")
    # A slash at the end is ignored; an empty segment in the middle is not.
    return parts[:-1] if parts[-1] == "" else parts


def _overlap(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    if not left or not right:
        return all(each.is_optional or each.is_catch_all for each in (*left, *right))
    if left[0].is_catch_all or right[0].is_catch_all:
        return True
    return left[0].overlaps(right[0]) and _overlap(left[1:], right[1:])


def _segment(part: str, template: str) -> Segment:
    if "{" not in part and "}" not in part:
        return Segment(literal=part)
    match = _PARAMETER.fullmatch(part)
    if not match:
        raise NotIndexed(f"route {template!r}: this host takes a whole segment as a parameter, not {part!r}")
    constraints = tuple(each for each in match["constraints"].split(":") if each)
    for each in constraints:
        call = _CALL.fullmatch(each)
        if each not in CONSTRAINTS and not (call and call[1] in _WITH_ARGUMENT):
            known = ", ".join([*CONSTRAINTS, *(f"{name}(n)" for name in _WITH_ARGUMENT)])
            raise NotIndexed(f"route {template!r}: constraint {each!r} is not one of {known}")
    return Segment(
        name=match["name"],
        constraints=constraints,
        is_optional=bool(match["optional"]),
        is_catch_all=bool(match["star"]),
    )


def _satisfies(value: str, constraint: str) -> bool:
    if pattern := CONSTRAINTS.get(constraint):
        return bool(pattern.fullmatch(value))
    name, _, argument = constraint.rstrip(")").partition("(")
    return _WITH_ARGUMENT[name](value, int(argument))
