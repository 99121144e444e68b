"""The page of ``capflow demo``: a picture goes in, captions come out, with the keyboard alone, too."""

import io
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.conftest import RATES
from tests.checkout import environment
from tests.faults.mlflow_server import free_port

pytestmark = pytest.mark.browser
RUN = f"run looks: attention, learning rate {RATES[0]}, CIDEr "
OWN = f"data/model: lstm, learning rate {RATES[1]}, CIDEr "


@pytest.fixture(scope="module")
def address(trained: Path) -> Iterator[str]:
    """Of the page that is served in the checkout."""
    port = free_port()
    # NiceGUI behaves in another way where it sees a test.
    variables = {name: value for name, value in environment().items() if name != "PYTEST_CURRENT_TEST"}
    command = [str(Path(sys.executable).with_name("capflow")), "demo", "--port", str(port)]
    with (trained.parent / "demo.txt").open("w+") as told:
        served = subprocess.Popen(command, cwd=trained, env=variables, stdout=told, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 120
        while "Open http" not in Path(told.name).read_text():
            assert served.poll() is None, Path(told.name).read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/"
        served.send_signal(signal.SIGINT)
        assert served.wait(60) in {0, 130}
        assert "Traceback" not in Path(told.name).read_text()


@pytest.fixture
def scene(trained: Path, tmp_path: Path) -> Path:
    """A generated scene."""
    with zipfile.ZipFile(trained / "data/images/test.zip") as pictures:
        content = pictures.read(pictures.namelist()[0])
    Image.open(io.BytesIO(content)).save(tmp_path / "scene.png")
    return tmp_path / "scene.png"


def choose(page: Any, picture: Path) -> None:
    page.locator("input[type=file]").set_input_files(picture)


def captions(page: Any) -> list[str]:
    page.get_by_role("heading", name="Where the model looked").wait_for(timeout=60_000)
    return list(page.locator(".told span").all_inner_texts())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_is_captioned_and_its_words_are_shown(
    opened: Callable[..., Any], shoot: Callable[[Any, str], None], address: str, scene: Path, scheme: str
) -> None:
    page = opened(scheme, height=1150)
    page.goto(address)
    page.get_by_label("Model").click()
    assert page.get_by_role("option", name=OWN).inner_text().endswith(" on test")
    page.get_by_role("option", name=RUN).click()
    assert page.get_by_text("This model knows generated scenes").is_visible()
    choose(page, scene)
    best, *others = captions(page)
    assert page.locator(".caption span").inner_text() == best
    assert 1 <= len(others) < 5
    status = page.get_by_role("status")  # for screen readers; others see the caption once
    assert status.inner_text() == f"Caption of scene.png: {best}"
    assert status.bounding_box()["width"] <= 1
    assert page.locator(".told img").get_attribute("alt") == best
    words = page.locator(".words li")
    assert words.all_inner_texts() == best.split()
    assert (
        words.locator("img").first.get_attribute("alt")
        == f"Where the model looked as it said {best.split()[0]}"
    )
    assert page.locator(".words img").evaluate_all("all => all.every(one => one.naturalWidth > 0)")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 150) is (scheme == "dark")
    shoot(page, f"demo-{scheme}")


def test_the_keyboard_is_enough(
    opened: Callable[..., Any], address: str, scene: Path, shoot: Callable[[Any, str], None]
) -> None:
    page = opened()
    page.goto(address)
    page.get_by_label("Model").wait_for()
    page.keyboard.press("Tab")
    assert page.get_by_label("Model").evaluate("one => one === document.activeElement")
    page.keyboard.press("Tab")
    button = page.get_by_role("button", name="Choose a picture")
    assert button.evaluate("one => one === document.activeElement")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(scene)
    first = captions(page)
    assert page.get_by_text("There is nothing to show here").is_visible()  # data/model is an lstm
    shoot(page, "demo-lstm")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.get_by_role("option", name=RUN).wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator(".words li").first.wait_for()
    assert captions(page) != first


def test_what_is_no_picture_is_one_sentence(
    opened: Callable[..., Any], address: str, scene: Path, tmp_path: Path
) -> None:
    page = opened()
    page.goto(address)
    (tmp_path / "<b>words.jpg").write_text("no picture")
    for _ in range(5):
        choose(page, scene)
        captions(page)
        assert page.get_by_role("alert").inner_text() == ""
        choose(page, tmp_path / "<b>words.jpg")
        page.get_by_role("alert").filter(has_text="cannot be read").wait_for()
        told = page.get_by_role("alert").inner_text()
        assert told.startswith("<b>words.jpg: cannot be read as a picture (")
        assert page.locator(".told").count() == 0


def test_it_fits_a_small_screen(opened: Callable[..., Any], address: str, scene: Path) -> None:
    page = opened(width=360, height=700)
    page.goto(address)
    choose(page, scene)
    captions(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
