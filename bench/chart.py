"""Charts as SVG, by hand: bars against a goal, and lines over logarithmic axes."""

import math
from collections.abc import Mapping, Sequence
from html import escape

INK, GREY, GRID = "#24292f", "#6e7781", "#d0d7de"
GOOD, BAD = "#1a7f37", "#bc4c00"
LINES = ("#0969da", "#1a7f37", "#bc4c00", "#8250df", "#6e7781")
FONT = 'font-family="system-ui, sans-serif"'


def bars(title: str, rows: Sequence[tuple[str, float, bool, str]], *, width: int = 760) -> str:
    """How far each ratio is from its goal. rows: what, share of its goal (1 is the goal), met, label."""
    line, left, right = 26, 330, 130
    height = 64 + line * len(rows)

    def x(share: float) -> float:
        """Logarithmic, from a quarter of the goal to sixteen times."""
        return left + (width - left - right) * (math.log2(min(max(share, 0.25), 16)) + 2) / 6

    parts = [_text(12, 24, title, size=15, weight="600")]
    goal = x(1)
    parts.append(f'<line x1="{goal:.1f}" y1="40" x2="{goal:.1f}" y2="{height - 14}" stroke="{INK}"/>')
    parts.append(_text(goal, 36, "goal", anchor="middle", fill=GREY, size=11))
    for number, (what, share, met, label) in enumerate(rows):
        y = 46 + number * line
        end = x(share)
        parts.append(_text(left - 10, y + 14, what, anchor="end", size=12))
        parts.append(
            f'<rect x="{left}" y="{y}" width="{end - left:.1f}" height="18" rx="2" '
            f'fill="{GOOD if met else BAD}"/>'
        )
        parts.append(_text(end + 6, y + 14, label, size=12, fill=INK))
    return _svg(width, height, title, parts)


def lines(
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    width: int = 760,
    height: int = 360,
) -> str:
    """Lines over two logarithmic axes; each series by its name."""
    points = [point for each in series.values() for point in each]
    low_x, high_x = _decades([point[0] for point in points])
    low_y, high_y = _decades([point[1] for point in points])
    left, right, top, bottom = 76, 190, 44, 46

    def at(point: tuple[float, float]) -> tuple[float, float]:
        across = (math.log10(point[0]) - low_x) / max(high_x - low_x, 1)
        up = (math.log10(max(point[1], 1e-9)) - low_y) / max(high_y - low_y, 1)
        return left + across * (width - left - right), height - bottom - up * (height - top - bottom)

    parts = [_text(12, 24, title, size=15, weight="600")]
    for power in range(low_x, high_x + 1):
        x, _ = at((10.0**power, 10.0**low_y))
        parts.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{height - bottom}" stroke="{GRID}"/>')
        parts.append(_text(x, height - bottom + 16, _power(power), anchor="middle", size=11, fill=GREY))
    for power in range(low_y, high_y + 1):
        _, y = at((10.0**low_x, 10.0**power))
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{width - right}" y2="{y:.1f}" stroke="{GRID}"/>')
        parts.append(_text(left - 8, y + 4, _power(power), anchor="end", size=11, fill=GREY))
    parts.append(_text((left + width - right) / 2, height - 10, x_label, anchor="middle", size=12))
    parts.append(_text(12, 40, y_label, size=11, fill=GREY))
    for number, (name, each) in enumerate(series.items()):
        colour = LINES[number % len(LINES)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(at, each))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = top + 12 + number * 20
        parts.append(
            f'<line x1="{width - right + 14}" y1="{y - 4}" x2="{width - right + 34}" y2="{y - 4}" '
            f'stroke="{colour}" stroke-width="3"/>'
        )
        parts.append(_text(width - right + 40, y, name, size=12))
    return _svg(width, height, title, parts)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    usable = [value for value in values if value > 0]
    return math.floor(math.log10(min(usable))), math.ceil(math.log10(max(usable)))


def _power(power: int) -> str:
    return f"{10**power:,}" if 0 <= power <= 7 else f"{10.0**power:g}"


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 12,
    anchor: str = "start",
    fill: str = INK,
    weight: str = "400",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" {FONT} font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'
    )


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
