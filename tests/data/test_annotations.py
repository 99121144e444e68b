import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from capflow.data import annotations
from capflow.data.annotations import Annotations, CaptionRecord, ImageRecord
from capflow.errors import CapflowError
from capflow.files import read_json
from capflow.text.clean import one_line
from tests.tiny_coco import changed

texts = st.text(st.characters(exclude_categories=[]), min_size=1).filter(one_line)


@st.composite
def splits(draw: st.DrawFn) -> Annotations:
    ids = draw(st.lists(st.integers(0, 10**9), unique=True, min_size=1, max_size=8))
    owners = draw(st.lists(st.sampled_from(ids), max_size=12))
    return Annotations(
        [ImageRecord(id=number, file_name=f"{number}.jpg") for number in ids],
        [CaptionRecord(id=n, image_id=owner, caption=draw(texts)) for n, owner in enumerate(owners)],
    )


@given(split=splits())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reads_what_it_wrote(tmp_path: Path, split: Annotations) -> None:
    annotations.write(tmp_path / "x.json", split)
    assert annotations.read(tmp_path / "x.json") == split


@given(split=splits())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pictures_alone_are_those_of_the_whole(tmp_path: Path, split: Annotations) -> None:
    split.images[0]["scene"] = {"caption": "of a scene"}
    annotations.write(tmp_path / "x.json", split)
    assert annotations.read_images(tmp_path / "x.json") == split.images
    assert read_json(tmp_path / "x.json", forget=["image_id"])["annotations"] == [None] * len(
        split.annotations
    )


def test_pictures_alone_are_checked(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"images": [{"id": 1, "file_name": "a/b.jpg"}], "annotations": []}')
    with pytest.raises(CapflowError, match=r"x.json: images\[0\]: `file_name`"):
        annotations.read_images(tmp_path / "x.json")


@given(split=splits(), fewer=st.integers(1, 8), more=st.integers(0, 8))
def test_subsets_are_nested_and_closed(split: Annotations, fewer: int, more: int) -> None:
    small, large = split.first(fewer), split.first(fewer + more)
    ids = {image["id"] for image in small.images}
    assert len(ids) == min(fewer, len(split.images))
    assert ids <= {image["id"] for image in large.images}
    assert small.annotations == [c for c in split.annotations if c["image_id"] in ids]


@given(split=splits())
def test_one_caption_each_is_the_first(split: Annotations) -> None:
    single = split.one_caption_each().captions_of()
    assert single == {number: captions[:1] for number, captions in split.captions_of().items()}


def test_pycocotools_loads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = changed(["annotations", 0, "caption"], "One\nline and\u2028another")
    annotations.write(tmp_path / "x.json", annotations.parse(content, "good"))
    coco = COCO(tmp_path / "x.json")
    assert coco.imgs[7]["license"] == 3
    assert [record["caption"] for record in coco.imgToAnns[5]] == ["One\nline and\u2028another", "two"]
    annotations.write(tmp_path / "x.json", Annotations([ImageRecord(id=1, file_name="a.jpg")], []))
    assert COCO(tmp_path / "x.json").getImgIds() == [1]


BAD = [
    (["images", 1, "id"], 7, r"images\[1\]: `id` 7 is taken"),
    (["images", 1, "id"], "5", r"images\[1\]: `id` is '5'"),
    (["images", 1, "id"], float("nan"), r"images\[1\]: `id` is nan"),
    (["images", 1, "id"], True, r"images\[1\]: `id` is True"),
    (["images", 1], 3, r"images\[1\]: it is 3"),
    (["images", 0, "file_name"], "../../a.jpg", r"images\[0\]: `file_name` is '\.\./\.\./a\.jpg'"),
    (["images", 0, "file_name"], "..", r"images\[0\]: `file_name`"),
    (["images", 0, "file_name"], "a\n.jpg", r"images\[0\]: `file_name`"),
    (["images", 0, "file_name"], "b.jpg", r"images\[1\]: `file_name` 'b\.jpg' is taken"),
    (["images", 0, "file_name"], None, r"images\[0\]: `file_name` is None"),
    (["images", 0, "width"], -1, r"images\[0\]: `width` is -1"),
    (["images", 0, "coco_url"], 4, r"images\[0\]: `coco_url` is 4"),
    (["annotations", 2, "id"], 1, r"annotations\[2\]: `id` 1 is taken"),
    (["annotations", 2, "image_id"], 8, r"annotations\[2\]: `image_id` is 8"),
    (["annotations", 2, "image_id"], [8], r"annotations\[2\]: `image_id` is \[8\]"),
    (["annotations", 2, "caption"], " \n", r"annotations\[2\]: `caption` is ' \\n'"),
    (["annotations", 2, "caption"], None, r"annotations\[2\]: `caption` is None"),
    (["annotations"], {}, "`annotations` is not a list"),
    (["images"], None, "no list `images`"),
]


@pytest.mark.parametrize(("place", "value", "message"), BAD)
def test_names_the_record_that_is_wrong(tmp_path: Path, place: list[Any], value: Any, message: str) -> None:
    (tmp_path / "x.json").write_text(json.dumps(changed(place, value)), encoding="utf-8")
    with pytest.raises(CapflowError, match=r"x\.json: .*" + message):
        annotations.read(tmp_path / "x.json")


@given(
    content=st.recursive(st.none() | st.integers() | st.text(), st.lists)
    | st.dictionaries(
        st.sampled_from(["images", "annotations", "info"]),
        st.lists(
            st.dictionaries(
                st.sampled_from(["id", "file_name", "image_id", "caption"]), st.integers() | st.text()
            )
        ),
    )
)
def test_anything_else_is_one_clear_error(content: Any) -> None:
    try:
        annotations.parse(content, "some file")
        message = "some file: fine"
    except CapflowError as error:
        message = str(error)
    assert message.startswith("some file: ")


def test_a_picture_in_two_splits_is_found() -> None:
    def split(*names: str) -> Annotations:
        images: list[ImageRecord] = [{"id": place, "file_name": name} for place, name in enumerate(names)]
        return Annotations(images, [])

    apart = {"train": split("a.jpg", "b.jpg"), "val": split("c.jpg"), "test": split()}
    assert annotations.shared_picture(apart) is None  # type: ignore[arg-type]
    mixed = apart | {"test": split("d.jpg", "b.jpg")}
    assert annotations.shared_picture(mixed) == ("b.jpg", "train", "test")  # type: ignore[arg-type]
