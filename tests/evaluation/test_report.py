"""The report page: complete, offline, escaped, the same bytes each time; charts, gallery and grid."""

import io
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from capflow.data.pictures import Pixels
from capflow.errors import CapflowError
from capflow.evaluation.charts import Series, line_chart, points
from capflow.evaluation.gallery import Example, choose_examples, sample, thumbnail
from capflow.evaluation.grid import draw_grid
from capflow.evaluation.report import Report, build_report

NASTY = "<script>alert(\"x\")</script> & '$title' \u2028 \x00 \ud800 http://example.org"
VOID = {"meta", "link", "img", "line", "polyline"}


def jpeg(width: int = 40, height: int = 30, **options: Any) -> bytes:
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows * 255 // height, columns * 255 // width, rows * 0], -1).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def report(caption: str = "a dog runs", reference: str = "The dog is running.") -> Report:
    scored = Example(1, "1.jpg", thumbnail(jpeg(), "1.jpg"), caption, [reference], {"CIDEr": 0.914}, True)
    missing = replace(scored, image_id=2, file_name="2.jpg", thumbnail=None, true=False)
    unscored = Example(3, "3.jpg", scored.thumbnail, caption)
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
        *("Best", "Worst", "Pictures without references", "Loss", "Learning rate", "epoch 1: 0.4"),
    ):
        assert part in text
    assert "Random" not in text


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
    assert not tags & {"script", "iframe", "object", "embed", "base", "form"}
    style = content[content.index("<style>") : content.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_every_picture_has_an_alternative_text_and_the_page_a_language() -> None:
    page = Page(build_report(report("a cat")))
    assert [image["alt"] for image in page.all("img")] == ["a cat", "a cat"]
    assert [image["aria-label"] for image in page.all("div") if image.get("role") == "img"] == ["a cat"]
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in page.all("svg"))
    assert page.all("html") == [{"lang": "en"}]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert [f"#{name}" for name in ids] == [link["href"] for link in page.all("a")]


def test_a_caption_without_words_is_said_to_be_one() -> None:
    assert all(image["alt"] == "(no words)" for image in Page(build_report(report(" "))).all("img"))


@given(st.text(st.characters(codec=None), max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_text_is_ever_markup(text: str) -> None:
    plain, odd = report("x", "x"), report(text, text)
    odd = replace(odd, data_set=text, split=text, notes=[text], absent={"METEOR": text})
    odd = replace(odd, parameters={text: {text: text}, "seed": [text]})
    plain = replace(plain, parameters={"x": {"x": "x"}, "seed": ["x"]})
    content = build_report(odd)
    content.encode()
    assert [tag for tag, _ in Page(content).elements] == [
        tag for tag, _ in Page(build_report(plain)).elements
    ]


def test_a_report_of_nothing_is_a_page_without_sections() -> None:
    page = Page(build_report(Report("scenes", "test", 0, [], {}, {}, {}, [], [], {})))
    assert "0 scored pictures" in page.text
    assert not page.all("section")


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


def test_a_thumbnail_is_small_upright_and_the_same_each_time() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = jpeg(600, 300, exif=exif)
    small = thumbnail(content, "photo.jpg")
    assert small == thumbnail(content, "photo.jpg")
    picture = Image.open(io.BytesIO(small))
    assert (picture.format, picture.size) == ("JPEG", (128, 256))
    assert Image.open(io.BytesIO(thumbnail(jpeg(), "small.jpg"))).size == (40, 30)


def test_a_thumbnail_of_what_is_no_picture_is_refused_by_name() -> None:
    with pytest.raises(CapflowError, match=r"broken\.jpg: cannot be read as a picture"):
        thumbnail(b"no picture", "broken.jpg")


def test_examples_are_the_extremes_and_a_sample() -> None:
    chosen = choose_examples({1: 0.5, 2: 0.9, 3: 0.5, 4: 0.0, 5: 0.7}, 2, seed=0)
    assert chosen["best"] == [2, 5]
    assert chosen["worst"] == [4, 1]
    assert len(set(chosen["random"])) == 2


@given(
    st.dictionaries(st.integers(0, 99), st.sampled_from([0.0, 0.5, 1.0])),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_the_choice_depends_on_scores_and_seed_alone(
    scores: Mapping[int, float], each: int, seed: int
) -> None:
    chosen = choose_examples(scores, each, seed)
    assert chosen == choose_examples(dict(reversed(scores.items())), each, seed)  # type: ignore[call-overload]
    assert not set(chosen["best"]) & set(chosen["worst"])
    assert chosen["random"] == sample(scores.keys(), each, seed)
    assert len(chosen["best"]) == len(chosen["random"]) == min(each, len(scores))


def solid(width: int, height: int, colour: tuple[int, int, int]) -> Pixels:
    return np.full((height, width, 3), colour, np.uint8)


def drawn(pictures: list[tuple[Pixels, list[str]]], columns: int) -> Pixels:
    content = draw_grid(pictures, columns)
    assert content == draw_grid(pictures, columns)
    return np.asarray(Image.open(io.BytesIO(content)))


def box(sheet: Pixels, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero((sheet == colour).all(-1))
    return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1


@pytest.mark.parametrize(
    "caption", ["a dog", "W" * 200, "a long caption " * 20, "", NASTY, "ein Füllhorn, ёлка"]
)
def test_captions_never_touch_a_neighbour(caption: str) -> None:
    red, green, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    pictures = [
        (solid(64, 64, red), [caption] * 3),
        (solid(640, 320, green), ["short"]),
        (solid(20, 40, blue), [caption]),
    ]
    sheet = drawn(pictures, 2)
    ink = sheet.max(-1) < 128
    for top, bottom, left, right in (box(sheet, colour) for colour in (red, green, blue)):
        assert max(bottom - top, right - left) == 320
        assert not ink[top:bottom, left:right].any()
    gutter = box(sheet, green)[2]
    assert not ink[:, gutter - 28 : gutter].any()
    assert box(sheet, blue)[0] >= box(sheet, red)[1] + 28
    assert not ink[:, -28:].any()
    assert not ink[-20:].any()


def test_captions_wrap_at_32_characters() -> None:
    one, two = (drawn([(solid(8, 8, (255, 0, 0)), ["n" * count])], 1) for count in (32, 33))
    assert two.shape[0] - one.shape[0] == 23


def test_a_grid_is_no_wider_than_its_pictures() -> None:
    picture = (solid(8, 8, (255, 0, 0)), ["a dog"])
    assert drawn([picture], 4).shape == drawn([picture], 1).shape
