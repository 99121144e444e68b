"""MLflow's own pages: from the table of runs by clicks to what differs between two of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import RATES
from tests.faults.mlflow_server import MlflowServer

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(trained: Path) -> Iterator[str]:
    server = MlflowServer(trained)
    server.start()
    yield server.address
    server.kill()


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
    shoot(page, "mlflow-runs")
    page.get_by_role("button", name="Compare").click()
    rate = page.get_by_role("row", name="train.lr")
    rate.first.wait_for()
    assert sorted(rate.get_by_role("cell").all_inner_texts()) == sorted(RATES)
    shoot(page, "mlflow-comparison")
    page.get_by_role("link", name="train_loss", exact=True).click()
    page.locator(".scatterlayer .trace path.js-line").nth(1).wait_for(state="attached")
    lines = page.locator(".scatterlayer .trace path.js-line").evaluate_all(
        "all => all.map(one => one.getAttribute('d'))"
    )
    assert len(set(lines)) == 2
    assert all("L" in line or "C" in line for line in lines)  # more than a point each
    shoot(page, "mlflow-losses")
