"""The pages in Chromium, where there is one: what their scripts find, and draw."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from capflow.evaluation.gallery import Example
from capflow.evaluation.page.browser import Before, Browser
from capflow.evaluation.page.report import build_report
from tests.checkout import ROOT
from tests.evaluation.test_report import NASTY, TILE, report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]
LINES = {
    "title": {"text": "Loss"},
    "encoding": {
        "x": {"field": "step", "title": "step", "type": "quantitative"},
        "strokeDash": {"field": "kind"},
    },
    "layer": [
        {"layer": [], "encoding": {"y": {"field": "loss", "type": "quantitative", "title": "nats"}}},
    ],
    "data": {
        "values": [
            {"step": "20", "loss": "2.5", "rev": "HEAD", "kind": "val"},
            {"step": "10", "loss": "3", "rev": "HEAD", "kind": "val"},
            {"step": "20", "loss": "", "rev": "other", "kind": "val"},
            {"step": 10, "loss": 4, "rev": "other", "kind": "val"},
        ]
    },
}
BARS = {"title": "Bars", "data": {"values": [{"word": "dog"}]}}


def shown(page: Path, fragment: str = "") -> str:
    """The elements of a page once its scripts have run."""
    profile = page.parent / "profile"
    command = [
        CHROMIUM or "",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={profile}",
    ]
    done = subprocess.run(
        [*command, "--virtual-time-budget=2000", "--dump-dom", f"{page.as_uri()}{fragment}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    # How it ends is not to be relied upon where there is no desktop.
    assert done.stdout.endswith("</html>\n"), done.stderr
    return done.stdout


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A report of 50 pictures beside another run."""
    captions = ["a dog runs", NASTY, "two hotdogs", "a cat", *(f"picture {number}" for number in range(46))]
    examples = [
        Example(number, f"{number}.jpg", TILE, caption, ["a dog"], {"CIDEr": (number * 7 % 50) / 10})
        for number, caption in enumerate(captions)
    ]
    before = {example.image_id: Before("a dog runs", {"CIDEr": 1.0}) for example in examples}
    told = replace(report(), browser=Browser(examples, 50, "<b>first</b>", before))
    (tmp_path / "page.html").write_text(build_report(told), encoding="utf-8")
    return tmp_path / "page.html"


def files(dom: str) -> list[str]:
    """The pictures that are shown, in their order."""
    found = dom[dom.index('id="found"') : dom.index('id="more"')]
    return re.findall(r'<p class="file">(\S+)</p>', found)


def test_the_best_come_first_and_the_rest_when_asked_for(page: Path) -> None:
    dom = shown(page)
    assert ">50 of 50 pictures</output>" in dom
    assert len(files(dom)) == 40
    assert "<h3>&lt;b&gt;first&lt;/b&gt;</h3>" in dom
    assert not re.search(r'id="more" hidden', dom)
    found = dom[dom.index('id="found"') : dom.index('id="more"')]
    assert found.count("data:image/webp;base64,") == 40


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("find=cat&within=people", []),
        ("find=CAT", ["3.jpg"]),
        ("find=7.jpg", ["7.jpg", "27.jpg", "47.jpg", "17.jpg", "37.jpg"]),
        ("find=7.jpg&sort=CIDEr&order=up", ["37.jpg", "17.jpg", "47.jpg", "27.jpg", "7.jpg"]),
        ("find=alert&sort=file&nonsense=1", ["1.jpg"]),
        ("find=dogs&sort=nonsense", []),
        ("find=dog+runs&most=100&differ=false&within=people", []),
        ("find=two&most=0&differ=true", ["2.jpg"]),
    ],
)
def test_an_address_says_what_to_look_for(page: Path, asked: str, found: list[str]) -> None:
    assert files(shown(page, f"#all-pictures?{asked}")) == found


def test_dvc_s_plots_are_drawn_without_a_network(tmp_path: Path) -> None:
    specs = {"a": LINES, "b": BARS}
    plots = "".join(
        f"<div id=\"{name}\"><script>vegaEmbed('#{name}', {json.dumps(spec)});</script></div>"
        for name, spec in specs.items()
    )
    template = (ROOT / ".dvc/plots.html").read_text(encoding="utf-8")
    (tmp_path / "index.html").write_text(
        template.replace("{plot_divs}", plots).replace("{refresh_tag}", ""), encoding="utf-8"
    )
    dom = shown(tmp_path / "index.html")
    assert 'aria-label="Loss, nats by step: HEAD val from 3 to 2.5; other val from 4 to 4"' in dom
    assert dom.count("<polyline") == 4  # two of them in the legend
    assert "Nothing that can be drawn as lines; these are the numbers." in dom
