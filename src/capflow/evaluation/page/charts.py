"""Small charts as SVG that takes its colours and its font from the page around it.

The page's CSS styles the classes ``grid``, ``series-0`` and ``series-1``, so a chart is as legible in the
dark as in the light, which a picture drawn beforehand is not.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from statistics import fmean
from typing import NamedTuple

Point = tuple[float, float]

_WIDTH, _HEIGHT = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 392, 10, 186
# More points than this are drawn as their means: a long training logs tens of thousands.
_MOST_POINTS = 200
# Fewer than this get a dot each, which shows where an epoch ended and, under the pointer, its value.
_FEW_POINTS = 40


class Series(NamedTuple):
    """One line of a chart, or its bars of one colour, and their name."""

    name: str
    points: Sequence[Point]


class _Axis(NamedTuple):
    """The numbers at an axis and where on the drawing they go."""

    ticks: list[float]
    low: float
    high: float
    start: int
    end: int

    def __call__(self, value: float) -> str:
        share = (value - self.low) / (self.high - self.low)
        return f"{self.start + share * (self.end - self.start):.1f}"


def points(rows: Sequence[Mapping[str, float]], x: str, y: str) -> list[Point]:
    """Two columns of a table, without the rows where either is absent or is not finite."""
    pairs = ((row.get(x, math.nan), row.get(y, math.nan)) for row in rows)
    return [pair for pair in pairs if all(map(math.isfinite, pair))]


def line_chart(title: str, x_name: str, series: Sequence[Series]) -> str:
    """Draw lines from the origin on; both axes show zero.

    Args:
        title: what is drawn, above the chart.
        x_name: what is counted along x, in whole numbers.
        series: at most two lines.

    Returns:
        A ``figure`` with a legend and the SVG, which says its gist in an ``aria-label``; nothing when there
        are no points.
    """
    drawn = [line for line in series if line.points]
    if not drawn:
        return ""
    x_values, y_values = zip(*(point for line in drawn for point in line.points), strict=True)
    x = _whole_axis(max(1.0, *x_values))
    y = _axis(min(0.0, *y_values), max(0.0, *y_values))
    lines = "".join(_line(line, number, x, y, x_name) for number, line in enumerate(drawn))
    gist = f"{title} by {x_name}: {'; '.join(map(_course, drawn))}"
    return _figure(title, drawn, gist, _grid(x, y, x_name) + lines)


def bar_chart(title: str, x_name: str, series: Sequence[Series]) -> str:
    """Draw how often whole numbers occur, the bars of all series beside each other.

    Args:
        title: what is drawn, above the chart.
        x_name: what the numbers count.
        series: at most two; points with x of whole numbers from 0 and y of 0 or more.

    Returns:
        As :func:`line_chart`.
    """
    drawn = [bars for bars in series if bars.points]
    if not drawn:
        return ""
    last = max(x for bars in drawn for x, _ in bars.points)
    x = _whole_axis(max(1.0, last))._replace(low=-0.5, high=max(1.0, last) + 0.5)
    y = _axis(0.0, max(y for bars in drawn for _, y in bars.points))
    bars = "".join(_bars(drawn, number, x, y, x_name) for number in range(len(drawn)))
    gist = f"{title} by {x_name}: {'; '.join(map(_peak, drawn))}"
    return _figure(title, drawn, gist, _grid(x, y, x_name) + bars)


def _figure(title: str, series: Sequence[Series], gist: str, drawing: str) -> str:
    return (
        f'<figure class="chart"><figcaption><h3>{escape(title)}</h3>{_legend(series)}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(gist)}">'
        f"{drawing}</svg></figure>\n"
    )


def _legend(lines: Sequence[Series]) -> str:
    if len(lines) == 1:
        return ""
    names = (f'<li class="series-{number}">{escape(line.name)}</li>' for number, line in enumerate(lines))
    return f'<ul aria-hidden="true">{"".join(names)}</ul>'


def _course(line: Series) -> str:
    return f"{line.name} from {_number(line.points[0][1])} to {_number(line.points[-1][1])}"


def _peak(bars: Series) -> str:
    x, y = max(bars.points, key=lambda point: point[1])
    return f"{bars.name} most often {_number(x)}, {_number(y)}"


def _axis(low: float, high: float) -> _Axis:
    """The y axis: about five steps of 1, 2 or 5 times a power of ten, from a tick to a tick."""
    step = _round_step((high - low) / 5 or 0.2)
    first, last = math.floor(low / step), max(math.ceil(high / step), 1)
    ticks = [number * step for number in range(first, last + 1)]
    return _Axis(ticks, ticks[0], ticks[-1], _BOTTOM, _TOP)


def _whole_axis(high: float) -> _Axis:
    """The x axis: whole numbers from zero to the last point."""
    step = max(1, round(_round_step(high / 5)))
    return _Axis([float(tick) for tick in range(0, int(high) + 1, step)], 0, high, _LEFT, _RIGHT)


def _round_step(least: float) -> float:
    power: float = 10 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _grid(x: _Axis, y: _Axis, x_name: str) -> str:
    rows = "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y(tick)}" y2="{y(tick)}"/>'
        f'<text x="{_LEFT - 8}" y="{y(tick)}" dy="4" text-anchor="end">{_number(tick)}</text>'
        for tick in y.ticks
    )
    columns = "".join(
        f'<text x="{x(tick)}" y="{_BOTTOM + 18}" text-anchor="middle">{_number(tick)}</text>'
        for tick in x.ticks
    )
    middle = (_LEFT + _RIGHT) // 2
    return f'{rows}{columns}<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x_name)}</text>'


def _line(line: Series, number: int, x: _Axis, y: _Axis, x_name: str) -> str:
    path = " ".join(f"{x(a)},{y(b)}" for a, b in _thinned(line.points))
    drawn = f'<polyline class="series-{number}" points="{path}"/>'
    if len(line.points) > _FEW_POINTS:
        return drawn
    return drawn + "".join(
        f'<circle class="series-{number}" cx="{x(a)}" cy="{y(b)}" r="3">'
        f"<title>{escape(f'{x_name} {_number(a)}: {_number(b)}')}</title></circle>"
        for a, b in line.points
    )


def _bars(series: Sequence[Series], number: int, x: _Axis, y: _Axis, x_name: str) -> str:
    """The bars of one series; those of all of them fill four fifths of the room of a number."""
    share = 0.8 / len(series)
    wide = share * (x.end - x.start) / (x.high - x.low)
    return "".join(
        f'<rect class="series-{number}" x="{x(a - 0.4 + number * share)}" y="{y(b)}" '
        f'width="{wide:.1f}" height="{_BOTTOM - float(y(b)):.1f}">'
        f"<title>{escape(f'{_number(a)} {x_name}: {_number(b)}')}</title></rect>"
        for a, b in series[number].points
        if b
    )


def _thinned(line: Sequence[Point]) -> Sequence[Point]:
    """The means of equally many neighbours, few enough to draw."""
    size = math.ceil(len(line) / _MOST_POINTS)
    if size == 1:
        return line
    groups = (line[start : start + size] for start in range(0, len(line), size))
    return [(fmean(a for a, _ in group), fmean(b for _, b in group)) for group in groups]


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
