"""Annotations and tables of captions: each wrong record is named, and no caption changes its picture."""

import json
import unicodedata
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from capflow.data import annotations
from capflow.data.captions import TokenisedCaptions, tokenise_all
from capflow.data.sources.flickr8k import Flickr8kSpec, FlickrSource
from capflow.data.sources.folder import FolderSource, FolderSpec
from capflow.data.sources.photos import read_table
from capflow.errors import CapflowError
from capflow.evaluation import ptb
from capflow.evaluation.scores import CiderScorer
from tests.tiny_coco import GOOD, changed

OUTSIDE = [
    "../../x.jpg",
    "/x.jpg",
    "a/x.jpg",
    "..",
    "C:\\x.jpg",
    "c:x.jpg",
    "a\\x.jpg",
    "x\n.jpg",
    "é" * 120,
    ".x.jpg.part",
]


def refusal(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(CapflowError) as caught:
        annotations.read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", OUTSIDE)
def test_row_21_file_names_with_a_path(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.json"
    sentence = refusal(path, json.dumps(changed(["images", 1, "file_name"], name)))
    assert sentence.startswith(f"{path}: images[1]: `file_name` is ")


@pytest.mark.parametrize("name", ["../../x.jpg", "/x.jpg", "a/../../x.jpg", "C:\\x.jpg"])
@pytest.mark.parametrize("kind", ["folder", "flickr8k"])
def test_row_21_tables_with_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "captions.csv").write_text(f"image,caption\nb.jpg,fine\n{name},a dog\n")
    with pytest.raises(CapflowError, match=r"captions\.csv:3: '.*x\.jpg' is no"):
        source(kind).annotations()


def source(kind: str) -> FolderSource | FlickrSource:
    common: dict[str, Any] = {"captions": "all", "max_images": None}
    if kind == "flickr8k":
        return FlickrSource(Flickr8kSpec(kind="flickr8k", **common), Path())
    shares: Any = {"val": 0.1, "test": 0.1}
    return FolderSource(
        FolderSpec(kind="folder", table="captions.csv", shares=shares, seed=1, **common), Path()
    )


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (["images", 1, "id"], float("nan"), "images[1]: `id` is nan"),
        (["images", 1, "id"], None, "images[1]: `id` is None"),
        (["images", 1, "id"], True, "images[1]: `id` is True"),
        (["images", 1, "id"], 2**63, "images[1]: `id` is 9223372036854775808"),
        (["images", 1, "id"], 7, "images[1]: `id` 7 is taken"),
        (["images", 1, "license"], float("inf"), "images[1]: `license` is inf"),
        (["images", 1, "scene"], {"x": [1, float("nan")]}, "images[1]: `scene` is"),
        (["info", "year"], float("nan"), "info: `year` is nan"),
        (["annotations", 2, "id"], 1, "annotations[2]: `id` 1 is taken"),
        (["annotations", 2, "id"], None, "annotations[2]: `id` is None"),
        (["annotations", 2, "image_id"], 8, "annotations[2]: `image_id` is 8"),
        (["annotations", 2, "image_id"], 5.0, "annotations[2]: `image_id` is 5.0"),
        (["annotations", 2, "image_id"], True, "annotations[2]: `image_id` is True"),
        (["annotations", 2, "caption"], "\u2028\x00\t ", "annotations[2]: `caption` is"),
        (["annotations", 2, "caption"], "\u200b \u200d\ufeff", "annotations[2]: `caption` is"),
        (["annotations", 2, "caption"], 3, "annotations[2]: `caption` is 3"),
        (["annotations", 2, "caption"], ["x"] * 10**5, "annotations[2]: `caption` is"),
    ],
)
def test_row_22_records_are_named(tmp_path: Path, place: list[Any], value: Any, problem: str) -> None:
    sentence = refusal(tmp_path / "x.json", json.dumps(changed(place, value)))
    assert sentence.startswith(f"{tmp_path / 'x.json'}: {problem}")
    assert len(sentence) < 500


@pytest.mark.parametrize(
    "content",
    ["", "{", "<html>", '{"images": [1, 2', b"\xff\xfe{", "[" * 10**5, "9" * 5000, '"\\', "null"],
)
def test_row_22_what_is_not_json_is_named(tmp_path: Path, content: str | bytes) -> None:
    sentence = refusal(tmp_path / "x.json", content)
    assert sentence.startswith(f"{tmp_path / 'x.json'}: not ")


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ('"image_id": 5', '"image_id": 5, "image_id": 7', "'image_id' occurs twice in {'"),
        ('"annotations": [', '"annotations": [], "annotations": [', "'annotations' occurs twice in {'"),
    ],
)
def test_row_22_a_key_that_occurs_twice_is_named(tmp_path: Path, before: str, after: str, key: str) -> None:
    whole = json.dumps(GOOD)
    assert before in whole
    sentence = refusal(tmp_path / "x.json", whole.replace(before, after, 1))
    assert sentence.startswith(f"{tmp_path / 'x.json'}: not valid JSON ({key}")


def test_row_22_a_line_of_a_table_that_shows_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "captions.csv").write_text("image,caption\na.jpg,fine\nb.jpg,\u200b\u200d\n")
    with pytest.raises(CapflowError, match=r"captions\.csv:3: the caption of b\.jpg is empty"):
        read_table(tmp_path / "captions.csv")


# All that can end a line somewhere, or is odd in another way; and what is meant.
ODD = [
    "\n",
    "\r\n",
    "\r",
    "\v",
    "\f",
    "\x1c",
    "\x1d",
    "\x1e",
    "\x85",
    "\u2028",
    "\u2029",
    "\t",
    "  ",
    "\x00",
    "\x7f",
]
MEANT = ["🐻", "👩\u200d🚒", "é", "e\u0301", "犬", "नमस्ते", "\u200b", "\ufeff"]


def odd_captions() -> annotations.Annotations:
    """Pictures with two captions each: the id of the picture between odd characters, and between none."""
    numbers = list(enumerate([*ODD, *MEANT], start=100))
    content = {
        "images": [{"id": number, "file_name": f"{number}.jpg"} for number, _ in numbers],
        "annotations": [
            {"id": 2 * number + which, "image_id": number, "caption": f"a{odd}p{number} dog{odd}"}
            for number, odd in numbers
            for which in (0, 1)
        ],
    }
    return annotations.parse(content, "odd")


def each(captions: TokenisedCaptions) -> Iterator[tuple[int, list[str]]]:
    """The image id and the words of each caption."""
    words = iter(captions.tokens)
    for image, length in zip(captions.images, captions.lengths, strict=True):
        yield image, list(islice(words, length))


def test_row_22_a_caption_never_shifts_to_another_picture(tmp_path: Path) -> None:
    annotations.write(tmp_path / "x.json", odd_captions())
    split = annotations.read(tmp_path / "x.json")
    assert split == odd_captions()  # kept raw
    words = tokenise_all(split, punctuation=False)
    assert words.images == [record["image_id"] for record in split.annotations]
    assert not any(unicodedata.category(letter) in {"Cc", "Zl"} for letter in "".join(words.tokens))
    for image, tokens in each(words):
        assert any(f"p{image}" in token for token in tokens)
    for image, captions in ptb.tokenise(split.captions_of()).items():
        assert len(captions) == 2
        assert all(f"p{image}" in caption for caption in captions)


def test_row_22_what_is_meant_stays() -> None:
    words = dict(each(tokenise_all(odd_captions(), punctuation=True)))
    for number, odd in enumerate(MEANT, start=100 + len(ODD)):
        assert odd in "".join(words[number])


def test_row_22_pictures_without_captions_are_kept_and_not_scored(tmp_path: Path) -> None:
    content = changed(["annotations"], GOOD["annotations"][:2])
    (tmp_path / "x.json").write_text(json.dumps(content))
    split = annotations.read(tmp_path / "x.json")
    assert split.captions_of() == {7: [], 5: ["one", "two"]}
    assert tokenise_all(split, punctuation=False).images == [5, 5]
    assert CiderScorer(split.captions_of())({7: "said", 5: "one"}) >= 0


def test_lone_surrogates_survive(tmp_path: Path) -> None:
    split = annotations.parse(changed(["annotations", 0, "caption"], "a \ud800 dog"), "x")
    annotations.write(tmp_path / "x.json", split)
    assert annotations.read(tmp_path / "x.json") == split
