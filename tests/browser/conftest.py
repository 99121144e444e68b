"""A browser, and a small checkout with two trainings for it to look at."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.checkout import ROOT, SMALL, make_checkout, run

RATES = ("0.001", "0.003")
"""The learning rates of the trainings: the second is that of params.yaml."""

# What so small a model says has no end, and there is a picture for each word.
_PARAMS = {
    **SMALL["params.yaml"],
    "decoder": {**SMALL["params.yaml"]["decoder"], "name": "lstm"},
    "generate": {"batch_size": 8, "max_length": 10},
}
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# No name is resolved: whoever asks for another machine does not get it.
_ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser of the machine."""
    driver = pytest.importorskip("playwright.sync_api", reason="Playwright is missing: make test-browser")
    if _CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens pages; at the end none may have asked another machine, nor ours have had an error."""
    contexts: list[Any] = []
    asked: list[str] = []
    errors: list[str] = []

    def opened(scheme: str = "light", *, ours: bool = True, **size: int) -> Any:
        viewport = {"width": 1200, "height": 900} | size
        context = chromium.new_context(color_scheme=scheme, viewport=viewport)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        if ours:
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [url for url in asked if urlsplit(url).hostname not in {None, "127.0.0.1"}] == []
    assert errors == []


@pytest.fixture
def shoot(tmp_path: Path) -> Callable[[Any, str], None]:
    """Takes a screenshot; with CAPFLOW_SCREENSHOTS in the environment, for docs/screenshots."""
    folder = ROOT / "docs/screenshots" if os.environ.get("CAPFLOW_SCREENSHOTS") else tmp_path
    folder.mkdir(exist_ok=True)

    def shoot(page: Any, name: str) -> None:
        page.wait_for_timeout(400)  # menus fade, charts draw their last line
        page.screenshot(path=folder / f"{name}.png")
        assert (folder / f"{name}.png").stat().st_size < 300_000

    return shoot


@pytest.fixture(scope="session")
def trained(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose pipeline ran with ``lstm``, and an experiment with ``attention``: both in MLflow."""
    folder = tmp_path_factory.mktemp("capflow")
    make_checkout(folder, {**SMALL, "params.yaml": _PARAMS})
    changes = ("-S", f"train.lr={RATES[0]}", "-S", "decoder.name=attention")
    run(folder, "dvc", "exp", "run", "--temp", "--name", "looks", *changes)
    return folder
