"""bench/stats.py, results.py, report.py and chart.py: the numbers are what they say they are."""

import json
import xml.etree.ElementTree as ET
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench import chart, report
from bench.results import Findings, Goal, Row, Side
from bench.stats import Spread, percentile, ratios

NUMBERS = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=50)


@given(NUMBERS)
def test_a_spread_holds_its_median(values: list[float]) -> None:
    spread = Spread.of(values)
    assert min(values) <= spread.low <= spread.median <= spread.high <= max(values)


def test_nothing_measured_is_an_error_and_not_a_zero() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(1, 201)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99)) == (100.0, 198.0, 7.0)


def test_a_ratio_is_taken_round_by_round() -> None:
    """A machine that is ten times slower in one round slows both sides of it."""
    assert ratios([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == Spread(2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [(Goal(2.0), 2.0, True), (Goal(2.0), 2.01, False), (Goal(0.7, at_least=True), 0.69, False)],
)
def test_a_goal_is_met_or_not(goal: Goal, value: float, met: bool) -> None:
    assert goal.met(value) is met


def found() -> Findings:
    findings = Findings()
    for number, key in enumerate(report.KEYS, 1):
        ours, peer = Side("ours", [1.0, 2.0, 4.0]), Side("<a peer>", [2.0, 2.0, 2.0])
        ratio = Spread(float(number), 0.5, 20.0)
        findings.add(Row(f"row {key}", "ms", ours, peer, key=key, ratio=ratio, goal=Goal(5), note="why"))
    return findings


def test_results_json_holds_the_named_keys_and_no_others(tmp_path: Path) -> None:
    report.write(found(), tmp_path, quick=True)
    values = json.loads((tmp_path / "results.json").read_text())
    assert list(values) == list(report.KEYS)
    assert values["webhook_p50_ratio"] == 3.0


def test_what_was_not_measured_is_not_written(tmp_path: Path) -> None:
    findings = found()
    del findings.values["tick_ratio"]
    with pytest.raises(ValueError, match="tick_ratio"):
        report.write(findings, tmp_path, quick=False)
    assert list(tmp_path.iterdir()) == []


def test_the_report_says_where_and_with_what_and_which_goals_are_missed(tmp_path: Path) -> None:
    report.write(found(), tmp_path, quick=True)
    text = (tmp_path / "RESULTS.md").read_text()
    assert "a quick run" in text
    assert "twilio 9." in text
    assert "Azurite 3." in text
    assert (text.count("| yes |"), text.count("| **no** |")) == (5, len(report.KEYS) - 5)
    ET.parse(tmp_path / "results.svg")  # noqa: S314  we wrote it


def test_the_table_shows_every_row() -> None:
    console = Console(width=200, file=StringIO())
    report.show(found(), console)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert all(f"row {key}" in text for key in report.KEYS)


def words(svg: str) -> str:
    return " ".join(ET.fromstring(svg).itertext())  # noqa: S314  we wrote it


def test_a_chart_says_what_it_shows_whatever_it_is_called() -> None:
    found = words(chart.bars("<&>", [('"x"', 0.0001, False, "<"), ("y", 1e9, True, "&")]))
    assert all(each in found for each in ("<&>", '"x": <', "y: &", "goal"))


def test_a_bar_that_misses_its_goal_ends_before_it() -> None:
    svg = chart.bars("t", [("missed", 0.5, False, ""), ("met", 4, True, "")])
    found = ET.fromstring(svg)  # noqa: S314
    rects = [each for each in found.iter() if each.get("class") == "rect reactive tooltip-trigger"]
    met, missed = (float(each.get("width", "0")) for each in rects)
    assert met == pytest.approx(missed * 4)  # from a quarter: two octaves to 1, four to 4
