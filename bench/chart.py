"""The chart as SVG, by pygal: bars over a logarithmic axis, against a goal."""

from collections.abc import Sequence
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


def _within(share: float) -> float:
    return min(max(share, SHARES[0]), SHARES[-1])
