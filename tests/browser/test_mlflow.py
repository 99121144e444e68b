"""MLflow's own pages: from the table of runs by clicks to what differs between two of them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from capflow.tracking.views import runs_page
from tests.browser.conftest import RATES
from tests.faults.mlflow_server import MlflowServer

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(trained: Path) -> Iterator[str]:
    server = MlflowServer(trained)
    server.start()
    yield server.address
    server.kill()


def table_of_runs(opened: Callable[..., Any], address: str, **size: int) -> Any:
    """The page at the address that ``make ui`` tells, without the assistant, when the runs are there."""
    page = opened(ours=False, **size)
    page.goto(f"{address}/{runs_page('1')}")
    page.get_by_role("button", name="Close", exact=True).first.click()
    page.get_by_role("link", name="looks").wait_for()
    return page


def test_the_address_that_make_ui_tells_shows_what_tells_runs_apart(
    opened: Callable[..., Any], shoot: Callable[[Any, str], None], address: str
) -> None:
    page = table_of_runs(opened, address, width=1500, height=600)
    for column in ("decoder.name", "train.lr", "best_val_CIDEr", "CIDEr", "train_seconds"):
        page.get_by_role("columnheader", name=column).first.wait_for()
    cells = page.get_by_role("gridcell").all_inner_texts()
    assert {*RATES, "lstm", "attention"} <= {cell.strip() for cell in cells}
    shoot(page, "mlflow-runs")


def test_two_runs_are_compared_by_clicks(
    opened: Callable[..., Any], shoot: Callable[[Any, str], None], address: str
) -> None:
    page = opened(ours=False, width=1400, height=1000)
    page.goto(address)
    page.get_by_role("button", name="Model training").click()
    page.get_by_role("button", name="Close", exact=True).click()  # the assistant
    page.get_by_role("link", name="capflow").first.click()
    page.get_by_role("link", name="looks").wait_for()
    page.get_by_role("checkbox", name="Select all runs").check()
    page.get_by_role("button", name="Compare").click()
    rate = page.get_by_role("row", name="train.lr")
    rate.first.wait_for()
    assert sorted(rate.get_by_role("cell").all_inner_texts()) == sorted(RATES)
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    shoot(page, "mlflow-comparison")
    page.get_by_role("link", name="train_loss", exact=True).click()
    page.locator(".scatterlayer .trace path.js-line").nth(1).wait_for(state="attached")
    lines = page.locator(".scatterlayer .trace path.js-line").evaluate_all(
        "all => all.map(one => one.getAttribute('d'))"
    )
    assert len(set(lines)) == 2
    assert all("L" in line or "C" in line for line in lines)  # more than a point each
    shoot(page, "mlflow-losses")


def test_the_samples_stand_beside_their_pictures_and_what_people_say(
    opened: Callable[..., Any], shoot: Callable[[Any, str], None], address: str
) -> None:
    page = table_of_runs(opened, address, width=1400, height=1000)
    page.get_by_role("link", name="looks").click()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("samples.json").first.click()
    for column in ("picture", "caption", "people", "epoch", "file"):
        page.get_by_text(column, exact=True).first.wait_for()
    page.get_by_text(re.compile(r"^scenes_val_\d+\.jpg$")).first.wait_for()
    page.get_by_text(re.compile(r".+ \| .+")).first.click()
    shoot(page, "mlflow-samples")
