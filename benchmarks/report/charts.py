"""Lines on axes, as inline SVG whose colours are the page's: ink is `currentColor`, and each arm's
a variable of the style sheet, so that a chart is legible on light and on dark.

Nobody's text is in a chart: names are in the page's legends, where they are escaped.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from benchmarks.report.numbers import short

COLOURS = 8  # of arms, in style.css
INK, LINE = "#010203", "#040506"  # stand-ins that no colour of matplotlib's own equals
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
MARKERS = "osD^vPX*"
SIZE = (6.8, 3.4)  # inches of 72 units
POINTS = 150  # of a line: no screen shows more
WIDE = 20.0  # a ratio of the largest to the least beyond which an axis is logarithmic
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gan-versus",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.labelpad": 10,  # room for the larger letters of a narrow page
    "axes.edgecolor": LINE,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
}


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        series: whose colour, dash and marker it has.
        points: with markers.
    """

    x: Sequence[float]
    y: Sequence[float]
    series: int
    points: bool = False


def colour(series: int) -> str:
    """A stand-in that the page's variable for a series takes the place of."""
    return f"#0a0b{series % COLOURS:02x}"


def draw(
    name: str,
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    limits: tuple[float, float] | None = None,
    floor: float | None = None,
    size: tuple[float, float] = SIZE,
) -> Markup:
    """An SVG of lines, for a screen reader one picture: what surrounds it says of what.

    Args:
        name: what tells its ids from those of other charts on the page.
        limits: of y; by default what the lines need, on a logarithmic axis if that is much.
        floor: where to draw a horizontal dotted line.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        for line in lines:
            _draw_line(axes, line)
        _set_axes(axes, [*lines], limits, floor)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return inline(buffer.getvalue(), name)


def _draw_line(axes: Axes, line: Line) -> None:
    x, y = thinned(np.asarray(line.x, float), np.asarray(line.y, float))
    axes.plot(
        x,
        y,
        color=colour(line.series),
        linestyle=DASHES[line.series % len(DASHES)],
        marker=MARKERS[line.series % len(MARKERS)] if line.points or len(x) == 1 else "",
    )


def _set_axes(
    axes: Axes, lines: Sequence[Line], limits: tuple[float, float] | None, floor: float | None
) -> None:
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)
    values = np.concatenate([np.asarray(line.y, float) for line in lines])
    values = values[np.isfinite(values)]
    if limits:
        axes.set_ylim(*limits)
    elif values.size and values.min() > 0 and values.max() / values.min() > WIDE:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    if floor is not None:
        axes.axhline(floor, color=INK, linestyle=":", linewidth=1)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A line of at most POINTS points: means of as many neighbours as that takes."""
    group = -(-len(x) // POINTS)
    if group <= 1:
        return x, y
    starts = np.arange(0, len(x), group)
    counts = np.diff(np.append(starts, len(x)))
    return np.add.reduceat(x, starts) / counts, np.add.reduceat(y, starts) / counts


def inline(svg: str, name: str) -> Markup:
    """An SVG file as a part of a page: without its prologue, its ids its own, its colours ours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>|<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"| ?font-family: [^;]*;', "", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = svg.replace(INK, "currentColor").replace(LINE, "var(--line)")
    for series in range(COLOURS):
        svg = svg.replace(colour(series), f"var(--s{series})")
    svg = re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', r'<svg \1 aria-hidden="true">', svg)
    return Markup(re.sub(r">\s+<", "><", svg).strip())
