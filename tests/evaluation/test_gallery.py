"""Which examples the report shows, and how small; the grid of `capflow show`."""

import io
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from capflow.data.annotations import ImageRecord
from capflow.data.pictures import Pixels
from capflow.errors import CapflowError
from capflow.evaluation import examples
from capflow.evaluation.examples import Album
from capflow.evaluation.gallery import choose_examples, sample, thumbnail, tile
from capflow.evaluation.grid import draw_grid
from tests.evaluation.test_report import NASTY
from tests.photographs import exif, gradient, saved


def test_a_thumbnail_is_small_upright_and_the_same_each_time() -> None:
    content = saved(gradient(600, 300), "JPEG", exif=exif(6))
    small = thumbnail(content, "photo.jpg")
    assert small == thumbnail(content, "photo.jpg")
    picture = Image.open(io.BytesIO(small))
    assert (picture.format, picture.size) == ("JPEG", (128, 256))
    assert Image.open(io.BytesIO(thumbnail(saved(gradient(40, 30), "JPEG"), "small.jpg"))).size == (40, 30)


def test_a_tile_is_a_smaller_webp_and_the_same_each_time() -> None:
    content = saved(gradient(600, 300), "JPEG", exif=exif(6))
    small = tile(content, "photo.jpg")
    assert small == tile(content, "photo.jpg")
    picture = Image.open(io.BytesIO(small))
    assert (picture.format, picture.size) == ("WEBP", (80, 160))


def test_of_many_pictures_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "MOST", 3)
    records: dict[int, ImageRecord] = {n: {"id": n, "file_name": f"{n}.jpg"} for n in range(9)}
    album = Album({}, records, {}, dict.fromkeys(records, "a dog"), {})
    drawn = [example.image_id for example in album.tiles(list(records), seed=0)]
    assert drawn == sorted(set(drawn))
    assert len(drawn) == 3
    assert drawn != [example.image_id for example in album.tiles(list(records), seed=1)]
    assert [example.image_id for example in album.tiles([5, 2], seed=0)] == [5, 2]


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
