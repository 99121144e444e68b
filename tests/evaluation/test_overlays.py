"""Pictures clear where a model looked."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from capflow.data.resize import Fit, resize
from capflow.evaluation.overlays import View, fogged, gazed
from capflow.evaluation.showing import draw_words
from tests.photographs import gradient


@pytest.mark.parametrize("shade", [0, 255])
def test_the_place_with_the_most_weight_is_as_it_was_and_others_are_in_fog(shade: int) -> None:
    picture = Image.new("RGB", (90, 90), (shade, shade, shade))
    shown = np.asarray(fogged(picture, [[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.0, 0.4]])).astype(float)
    clear = (shown - 128) / (shade - 128)
    assert clear[80:, 80:].min() >= 0.98
    assert 0.3 < clear[45, 5].mean() < 0.5
    assert clear[:20].max() < 0.25
    assert clear.min() >= 0.1


def test_a_look_at_everything_leaves_the_picture_as_it_is() -> None:
    picture = gradient(64, 64)
    assert fogged(picture, np.full((4, 4), 1 / 16)).tobytes() == picture.tobytes()


@pytest.mark.parametrize("fit", ["crop", "squash"])
@pytest.mark.parametrize(("width", "height"), [(120, 80), (50, 90), (64, 64)])
def test_what_is_drawn_is_what_the_model_sees(fit: Fit, width: int, height: int) -> None:
    pixels = np.array(gradient(width, height))
    seen = resize(pixels, 32, fit)[4:28, 4:28].numpy().astype(int)
    drawn = np.asarray(View(fit, 24 / 32)(pixels, 24)).astype(int)
    assert np.abs(drawn - seen)[1:-1, 1:-1].max() <= 8


def test_each_word_has_its_picture() -> None:
    pixels, view = np.asarray(gradient(60, 40)), View("crop", 1.0)
    maps = np.eye(4).reshape(4, 2, 2)
    content = draw_words(pixels, view, ["a", "red", "ball", "rolls"], maps)
    assert content == draw_words(pixels, view, ["a", "red", "ball", "rolls"], maps)
    assert Image.open(io.BytesIO(content)).width == 28 + 5 * (320 + 28)
    report = gazed(pixels, view, ["a", "red", "ball", "rolls"], maps)
    assert report.caption == "a red ball rolls"
    whole, *words = map(corners, (report.thumbnail, *(picture for _, picture in report.words)))
    assert [int(np.abs(word - whole).argmin()) for word in words] == [0, 1, 2, 3]


def corners(jpeg: bytes) -> NDArray[np.float64]:
    """The red near its four corners, row by row."""
    return np.asarray(Image.open(io.BytesIO(jpeg))).astype(float)[20:101:80, 20:101:80, 0].flatten()


def test_a_caption_without_words_is_the_picture_alone() -> None:
    content = draw_words(np.asarray(gradient()), View("squash", 1.0), [], [])
    assert Image.open(io.BytesIO(content)).width == 28 + 320 + 28
