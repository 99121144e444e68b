"""Charts: within their frames, with round ticks, of what is finite."""

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capflow.evaluation.page.charts import Series, bar_chart, line_chart, points


def test_points_leave_out_what_is_absent_or_not_finite() -> None:
    rows: list[dict[str, float]] = [
        {"step": 1, "lr": 0.5},
        {"step": 2},
        {"step": 3, "lr": float("nan")},
        {"step": 4, "lr": 0.25},
    ]
    assert points(rows, "step", "lr") == [(1, 0.5), (4, 0.25)]


finite = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda value: round(value, 9))


@given(st.lists(finite, min_size=1, max_size=600))
@settings(max_examples=60, deadline=None)
def test_a_chart_stays_within_its_frame(values: list[float]) -> None:
    series = Series("a < b", [(step, value) for step, value in enumerate(values, 1)])
    figure = ET.fromstring(line_chart("R&D", "step", [Series("none", []), series]))
    drawing = figure.find("svg")
    assert drawing is not None
    _, _, width, height = (float(part) for part in drawing.attrib["viewBox"].split())
    path = [pair.split(",") for pair in drawing.find("polyline").attrib["points"].split()]  # type: ignore[union-attr]
    assert 1 <= len(path) <= 200
    assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in path)
    assert 2 <= len(drawing.findall("line")) <= 8
    assert len(drawing.findall("circle")) == (len(values) if len(values) <= 40 else 0)


def test_a_chart_has_round_ticks() -> None:
    chart = line_chart("Loss", "step", [Series("train", [(100, 0.83), (1400, 0.1)])])
    labels = re.findall(r">([\d.,]+)</text>", chart)
    assert labels == ["0", "0.2", "0.4", "0.6", "0.8", "1", "0", "500", "1,000"]
    assert 'aria-label="Loss by step: train from 0.83 to 0.1"' in chart


def test_no_points_no_chart() -> None:
    assert line_chart("Loss", "step", [Series("train", [])]) == ""
    assert bar_chart("Length", "words", [Series("train", [])]) == ""


@given(st.lists(st.lists(st.integers(0, 10_000), min_size=1, max_size=60), min_size=1, max_size=2))
@settings(max_examples=60, deadline=None)
def test_bars_stand_on_zero_beside_each_other(heights: list[list[int]]) -> None:
    series = [Series(f"{len(part)} < 61", list(enumerate(part))) for part in heights]
    drawing = ET.fromstring(bar_chart("R&D", "words", series)).find("svg")
    assert drawing is not None
    _, _, width, height = (float(part) for part in drawing.attrib["viewBox"].split())
    floor = max(float(line.attrib["y1"]) for line in drawing.findall("line"))
    keys = ("x", "width", "y", "height")
    bars = [tuple(float(bar.attrib[key]) for key in keys) for bar in drawing.findall("rect")]
    assert len(bars) == sum(map(np.count_nonzero, heights))
    for x, wide, y, high in bars:
        assert y + high == pytest.approx(floor, abs=0.11)
        assert x >= 0
        assert x + wide <= width
        assert 0 <= y <= height
    ordered = sorted(bars)
    assert all(one[0] + one[1] <= other[0] + 0.15 for one, other in pairwise(ordered))


def test_a_bar_tells_its_number_and_the_chart_its_peaks() -> None:
    chart = bar_chart("Length", "words", [Series("ours", [(3, 75), (4, 25)]), Series("theirs", [(9, 50)])])
    assert "<title>3 words: 75</title>" in chart
    assert 'aria-label="Length by words: ours most often 3, 75; theirs most often 9, 50"' in chart
    heights = [float(height) for height in re.findall(r'<rect [^>]* height="([\d.]+)"', chart)]
    assert heights[0] == pytest.approx(3 * heights[1], abs=0.2)
