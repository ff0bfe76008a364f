"""Charts as SVG, by pygal: bars against a goal, and lines over logarithmic axes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pygal
from pygal.style import Style

GOOD, BAD = "#1a7f37", "#bc4c00"
_STYLE = Style(
    background="#ffffff",
    plot_background="#ffffff",
    foreground="#24292f",
    foreground_strong="#24292f",
    foreground_subtle="#d0d7de",
    guide_stroke_color="#d0d7de",
    major_guide_stroke_color="#6e7781",
    guide_stroke_dasharray="2,2",
    major_guide_stroke_dasharray="none",
    colors=("#0969da", "#1a7f37", "#bc4c00", "#8250df", "#6e7781"),
    opacity=1,
    font_family="system-ui, sans-serif",
    title_font_size=15,
    label_font_size=11,
    major_label_font_size=11,
    legend_font_size=12,
    value_font_size=11,
    stroke_width=2,
)
_COMMON: dict[str, Any] = {"style": _STYLE, "logarithmic": True, "js": (), "no_prefix": True, "width": 860}
SHARES = (0.25, 0.5, 1, 2, 4, 8, 16)


def bars(title: str, rows: Sequence[tuple[str, float, bool, str]]) -> str:
    """How far each ratio is from its goal. rows: what, share of its goal (1 is the goal), met, label."""
    chart = pygal.HorizontalBar(
        **_COMMON,
        title=title,
        height=90 + 30 * len(rows),
        range=(SHARES[0], SHARES[-1]),
        y_labels=[{"value": each, "label": "goal" if each == 1 else f"{each:g}"} for each in SHARES],
        y_labels_major=[1],
        zero=SHARES[0],
        show_legend=False,
        truncate_label=-1,
        spacing=6,
    )
    listed = list(reversed(rows))  # the first one on top
    chart.x_labels = [f"{what}: {label}" for what, _, _, label in listed]
    chart.add("", [{"value": _within(share), "color": GOOD if met else BAD} for _, share, met, _ in listed])
    return str(chart.render(is_unicode=True))


def lines(
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
) -> str:
    """Lines over two logarithmic axes; each series by its name. What is not above nothing is not shown."""
    shown = {name: [(x, y) for x, y in each if x > 0 and y > 0] for name, each in series.items()}
    across, up = ([point[axis] for each in shown.values() for point in each] for axis in (0, 1))
    chart = pygal.XY(
        **_COMMON,
        title=title,
        height=400,
        x_title=x_label,
        y_title=y_label,
        x_labels=_decades(across),
        y_labels=_decades(up),
        xrange=(_decades(across)[0], _decades(across)[-1]),
        range=(_decades(up)[0], _decades(up)[-1]),
        x_value_formatter=_number,
        value_formatter=_number,
        legend_at_bottom=True,
        dots_size=3,
    )
    for name, each in shown.items():
        chart.add(name, each)
    return str(chart.render(is_unicode=True))


def _decades(values: Sequence[float]) -> list[float]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]


def _within(share: float) -> float:
    return min(max(share, SHARES[0]), SHARES[-1])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
