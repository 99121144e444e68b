"""The report that the pipeline wrote, opened as a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser


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
