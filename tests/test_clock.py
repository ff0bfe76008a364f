"""A test does not know what day it is: it has a time of its own or the machine's, and never both."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MACHINE = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.localtime"}
_A_DATE = re.compile(r"(19|20)\d\d-?[01]\d-?[0-3]\d")


def own_times(node: ast.AST) -> Iterator[str]:
    """What in the code stands for one moment, whenever it runs: NOW, and a date that is written out."""
    for each in ast.walk(node):
        if ast.unparse(each) in {"NOW", "clock.NOW"}:
            yield "NOW"
        elif isinstance(each, ast.Call) and re.search(r"(date|datetime)\((19|20)\d\d,", ast.unparse(each)):
            yield ast.unparse(each)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str) and _A_DATE.search(each.value):
            yield each.value


def machine_times(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and ast.unparse(each.func) in MACHINE:
            yield ast.unparse(each)


def problems(code: str) -> list[str]:
    """Functions with both times; and NOW that is another than tests/clock.py's."""
    found = []
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own, machine = set(own_times(node)), set(machine_times(node))
            if own and machine:
                found.append(f"{node.name} has {', '.join(sorted(own))} beside {', '.join(sorted(machine))}")
        elif re.match(r"NOW = (?!clock\.NOW\b|NOW\b)", ast.unparse(node)):
            found.append(f"{ast.unparse(node)}: take that of tests/clock.py")
    return found


def test_no_test_has_a_time_of_its_own_beside_the_machines() -> None:
    modules = [path for path in TESTS.rglob("*.py") if path.name != "clock.py"]
    assert len(modules) > 100
    found = {str(path.relative_to(TESTS)): problems(path.read_text(encoding="utf-8")) for path in modules}
    assert {name: each for name, each in found.items() if each} == {}


@pytest.mark.parametrize(
    "code",
    [
        "def test() -> None:\n    assert NOW < datetime.now(UTC)",
        "async def test() -> None:\n    await tick(clock.NOW)\n    assert time.time()",
        "def test() -> None:\n    made(datetime(2026, 11, 23, tzinfo=UTC), datetime.now(UTC))",
        "def test() -> None:\n    made('2026-11-23T12:00:00Z', datetime.now(UTC))",
        "NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)",
    ],
)
def test_the_rule_sees(code: str) -> None:
    assert len(problems(code)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "def one() -> None:\n    assert NOW\n\ndef two() -> None:\n    assert datetime.now(UTC)",
        "NOW = clock.NOW.replace(hour=9)",
        "def test() -> None:\n    call('+12025550101', datetime.now(UTC), 'SM2026')",
    ],
)
def test_the_rule_allows(code: str) -> None:
    assert problems(code) == []
