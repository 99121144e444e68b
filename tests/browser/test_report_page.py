"""The report that the pipeline wrote, opened as a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.checkout import run

pytestmark = pytest.mark.browser
LINES = """all => all.map(one => {
    const range = document.createRange();
    range.selectNodeContents(one);
    return new Set([...range.getClientRects()].map(box => Math.round(box.top))).size;
})"""
"""On how many lines the text of an element stands."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_from_the_disk_alone(
    opened: Callable[..., Any], shoot: Callable[[Any, str], None], trained: Path, scheme: str
) -> None:
    page, asked = opened(scheme), []
    page.on("request", lambda request: asked.append(request.url))
    report = (trained / "metrics/report/index.html").as_uri()
    page.goto(report)
    assert page.get_by_role("heading", level=1).count() == 1
    pictures = page.locator("img.picture")
    assert pictures.count() > 10
    assert pictures.evaluate_all("all => all.every(one => one.naturalWidth > 0)")
    assert page.locator("svg polyline").count() >= 3
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [url for url in asked if not url.startswith("data:")] == [report]
    shoot(page, f"report-{scheme}")


def test_two_runs_on_a_small_screen_and_by_the_keyboard(
    opened: Callable[..., Any], shoot: Callable[[Any, str], None], trained: Path
) -> None:
    run(trained, "capflow", "report", "--against", "looks")
    page = opened(width=390, height=844)
    page.goto((trained / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    numbers = page.locator("td.number")
    assert numbers.count() > 20
    assert numbers.evaluate_all(LINES) == [1] * numbers.count()
    assert page.get_by_role("columnheader").evaluate_all(LINES) == [1] * 7
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.get_by_label("With the words").evaluate("one => one === document.activeElement"):
            break
    page.keyboard.type("nosuchword")
    page.get_by_text("0 of 20 pictures").wait_for()
    shoot(page, "report-small")
