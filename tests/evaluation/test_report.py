"""The report page: complete, offline, escaped, the same bytes each time."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capflow.evaluation.gallery import Example, thumbnail, tile
from capflow.evaluation.page.browser import Browser, shared
from capflow.evaluation.page.report import Report, build_report
from capflow.evaluation.page.sayings import Gazed, Sayings
from capflow.evaluation.variety import Variety
from tests.photographs import gradient, saved

NASTY = "<script>alert(\"x\")</script> & '$title' \u2028 \x00 \ud800 http://example.org"
VOID = {"meta", "link", "img", "line", "polyline", "input"}
JPEG = thumbnail(saved(gradient(40, 30), "JPEG"), "1.jpg")
TILE = tile(saved(gradient(400, 300), "JPEG"), "1.jpg")
COUNTED = Variety(1234, 567, 89, 43, 321, [0, 0, 0, 1234], [0, 0, 1200, 400])


def report(caption: str = "a dog runs", reference: str = "The dog is running.") -> Report:
    scored = Example(1, "1.jpg", JPEG, caption, [reference], {"CIDEr": 0.914}, True)
    missing = replace(scored, image_id=2, file_name="2.jpg", thumbnail=None, true=False)
    unscored = Example(3, "3.jpg", scored.thumbnail, caption)
    browser = Browser([replace(scored, thumbnail=TILE), missing], 1234)
    return Report(
        data_set="coco2014",
        split="val",
        pictures=1234,
        notes=["No test captions: the scores are those of val."],
        scores={"Bleu_4": 0.31249, "CIDEr": 0.912, "other": 0.5},
        absent={"METEOR": "Java cannot be started."},
        parameters={
            "seed": 1,
            "train": {"lr": 1e-05, "schedule": {"name": "cosine"}},
            "generate": {"splits": ["val"]},
        },
        steps=[{"step": 10, "train_loss": 5.5, "lr": 0.001}, {"step": 20, "train_loss": 2.25, "lr": 0.0005}],
        epochs=[{"epoch": 1, "step": 20, "train_loss": 4.0, "val_loss": 3.0, "val_CIDEr": 0.4}],
        gallery={"best": [scored], "worst": [missing], "unscored": [unscored]},
        sayings=Sayings(COUNTED, {caption: 668}),
        gazes=[Gazed(caption, JPEG, [(word, JPEG) for word in caption.split()])],
        browser=browser,
    )


class Page(HTMLParser):
    """What a browser would make of the page: its elements with their attributes, and its text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(content)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_page_shows_all_that_the_report_holds() -> None:
    text = Page(build_report(report())).text
    for part in (
        *(
            "coco2014",
            "1,234 scored pictures of the val split",
            "No test captions",
            "Java cannot be started.",
        ),
        *("BLEU-4", "0.312", "CIDEr 0.91", "0.912", "other", "0.500", "✓ true", "✗ not true", "no picture"),
        *("a dog runs", "The dog is running.", "1.jpg", "schedule.name", "cosine", "1e-05", '["val"]'),
        *("What the model says", "567", "the 1,234", "89", "43", "of 321", "3.0", "2.2", "a dog runs668"),
        *("Where the model looks", "the picture", "adogruns"),
        *("Best", "Worst", "Pictures without references", "Loss", "Learning rate", "epoch 1: 0.4"),
    ):
        assert part in text
    assert "Random" not in text


def test_a_training_too_short_for_steps_shows_the_mean_loss_of_epochs() -> None:
    short = replace(report(), steps=[])
    text = Page(build_report(short)).text
    assert "step 20: 4step 20: 3" in text[text.index("Loss") : text.index("CIDEr of val")]


def test_the_same_report_gives_the_same_bytes() -> None:
    assert build_report(report()) == build_report(report())


def test_the_page_loads_nothing() -> None:
    content = build_report(report(NASTY, NASTY))
    page = Page(content)
    for _, attributes in page.elements:
        for key in ("src", "href", "srcset", "poster", "data", "action", "xlink:href"):
            assert (attributes.get(key) or "#").startswith(("#", "data:"))
        assert not any(key.startswith("on") for key in attributes)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"iframe", "object", "embed", "base", "form"}
    style = content[content.index("<style>") : content.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style


def test_no_script_runs_but_ours() -> None:
    content = build_report(report(NASTY, NASTY))
    page = Page(content)
    kinds = [script.get("type") for script in page.all("script")]
    assert kinds == ["application/json", "text/plain", None]  # data is no script
    (script,) = re.findall(r"<script>(.*?)</script>", content, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
    for risky in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch("):
        assert risky not in script


def data(content: str) -> tuple[dict[str, Any], list[str]]:
    """What the script reads."""
    texts = dict(re.findall(r'<script type="\S+" id="(\S+)">(.*?)</script>', content, re.DOTALL))
    return json.loads(texts["pictures-data"]), texts["thumbnails"].split("\n")


def test_the_script_reads_all_captions_as_they_are_and_a_thumbnail_of_each() -> None:
    told, thumbnails = data(build_report(report(NASTY, NASTY)))
    assert told["names"] == ["truth", "CIDEr"]
    first, second = told["pictures"]
    whole = NASTY.replace("\ud800", "?")
    assert (first["said"], first["people"]) == (whole, [whole])
    assert (first["has"], second["has"]) == ([1.0, 0.914], [0.0, 0.914])
    assert [base64.b64decode(small) for small in thumbnails] == [TILE, b""]


def test_some_of_many_pictures_are_said_to_be_some() -> None:
    assert "Of 1,234 pictures 2, drawn at random." in Page(build_report(report())).text


@pytest.mark.parametrize(
    ("caption", "references", "share", "alone"),
    [
        ("a dog on a sofa", ["A dog sleeps.", "The sofa."], 0.75, ["on"]),
        ("Dog, dog!", ["dog"], 1.0, []),
        ("it's a cat", ["It's late"], 1 / 3, ["a", "cat"]),
        ("", ["a dog"], 0.0, []),
        ("собака", ["Собака спит"], 1.0, []),
    ],
)
def test_words_in_common(caption: str, references: list[str], share: float, alone: list[str]) -> None:
    found, missing = shared(caption, references)
    assert found == pytest.approx(share)
    assert missing == alone


def test_each_control_has_its_label() -> None:
    page = Page(build_report(report()))
    controls = [control["id"] for tag in ("input", "select") for control in page.all(tag)]
    assert controls == ["find", "most", "within", "sort", "order"]
    assert {label["for"] for label in page.all("label")} == set(controls)


def test_every_picture_has_an_alternative_text_and_the_page_a_language() -> None:
    page = Page(build_report(report("a cat")))
    # The word stands below its picture.
    assert [image["alt"] for image in page.all("img")] == ["a cat", "", "", "a cat", "a cat"]
    assert [image["aria-label"] for image in page.all("div") if image.get("role") == "img"] == ["a cat"]
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in page.all("svg"))
    assert page.all("html") == [{"lang": "en"}]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    sections = [f"#{section['id']}" for section in page.all("section")]
    assert sections == [link["href"] for link in page.all("a")]


def test_a_caption_without_words_is_said_to_be_one() -> None:
    page = Page(build_report(report(" ")))
    assert all(image["alt"] == "(no words)" for image in page.all("img"))
    assert "(no words)668" in page.text


@given(st.text(st.characters(codec=None), max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_text_is_ever_markup(text: str) -> None:
    plain, odd = report("x", "x"), report(text, text)
    odd = replace(odd, data_set=text, split=text, notes=[text], absent={"METEOR": text})
    odd = replace(odd, parameters={text: {text: text}, "seed": [text]})
    odd = replace(odd, gazes=[Gazed(text, JPEG, [(text, JPEG)])])
    plain = replace(plain, parameters={"x": {"x": "x"}, "seed": ["x"]})
    content = build_report(odd)
    content.encode()
    assert [tag for tag, _ in Page(content).elements] == [
        tag for tag, _ in Page(build_report(plain)).elements
    ]


def test_a_report_of_nothing_is_a_page_without_sections() -> None:
    page = Page(build_report(Report("scenes", "test", 0, [], {}, {}, {}, [], [], {}, Sayings())))
    assert "0 scored pictures" in page.text
    assert not page.all("section")
