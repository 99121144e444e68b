"""The generated data set: its scenes, its pictures, and how they are packed."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO

from capflow.data import annotations
from capflow.data.annotations import ImageRecord
from capflow.data.scenes.layout import Item
from capflow.data.scenes.render import render, render_jpeg
from capflow.data.scenes.world import PAIRS, UNSEEN, UNSEEN_EVERY, Scene, draw_scene, scene_of
from capflow.data.sources.scenes import ScenesSource, ScenesSpec
from capflow.errors import CapflowError
from capflow.params import SPLITS, Split
from capflow.sections import load_yaml
from tests.checkout import ROOT

scenes = st.builds(
    draw_scene,
    st.integers(0, 2**31 - 1),
    st.sampled_from(SPLITS),
    st.integers(0, 999_999),
)


def spec(**changes: object) -> ScenesSpec:
    given = {"kind": "scenes", "captions": "all", "seed": 3, "train": 12, "val": 3, "test": 11, "size": 64}
    return ScenesSpec.model_validate(given | changes)


def box(items: tuple[Item, ...]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what the items cover."""
    return (
        min(item.x - item.extent / 2 for item in items),
        min(item.y - item.extent / 2 for item in items),
        max(item.x + item.extent / 2 for item in items),
        max(item.y + item.extent / 2 for item in items),
    )


@given(scenes)
def test_scene_survives_json(scene: Scene) -> None:
    image: ImageRecord = {
        "id": 1,
        "file_name": "a.jpg",
        "scene": json.loads(json.dumps(scene.model_dump(mode="json"))),
    }
    assert scene_of(image) == scene


@given(scenes)
def test_objects_lie_apart_and_inside(scene: Scene) -> None:
    items = [item for group in scene.groups for item in group.items]
    for number, item in enumerate(items):
        left, top, right, bottom = box((item,))
        assert min(left, top) > 0
        assert max(right, bottom) < 1
        for other in items[:number]:
            distance = max(abs(item.x - other.x), abs(item.y - other.y))
            assert distance > (item.extent + other.extent) / 2 + 0.029


@given(scenes.filter(lambda scene: len(scene.groups) == 2))
def test_exactly_one_relation_holds(scene: Scene) -> None:
    first, second = (box(group.items) for group in scene.groups)
    true = {
        "left of": first[2] < second[0],
        "right of": second[2] < first[0],
        "above": first[3] < second[1],
        "below": second[3] < first[1],
    }
    assert [relation for relation, holds in true.items() if holds] == [scene.relation]


@pytest.mark.parametrize("split", SPLITS)
def test_unseen_pairs_are_in_test_alone(split: Split) -> None:
    drawn = [draw_scene(1, split, index) for index in range(400)]
    assert sum(scene.unseen for scene in drawn) == (400 // UNSEEN_EVERY if split == "test" else 0)


def test_training_shows_every_other_pair() -> None:
    drawn = [draw_scene(1, "train", index) for index in range(400)]
    assert {group.pair for scene in drawn for group in scene.groups} == set(PAIRS) - UNSEEN


def test_every_coloured_shape_is_drawn_in_its_colour_and_place() -> None:
    reds, blues = (
        Scene.model_validate(
            {
                "groups": [
                    {
                        "shape": "square",
                        "colour": colour,
                        "size": "large",
                        "items": [{"x": 0.3, "y": 0.6, "extent": 0.32}],
                    }
                ],
                "relation": None,
                "seed": 5,
            }
        )
        for colour in ("red", "blue")
    )
    red, blue = render(reds, 100).astype(int), render(blues, 100).astype(int)
    different = np.abs(red - blue).max(2) > 60
    rows, columns = np.nonzero(different)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (44, 76, 14, 46)
    assert (red[different] @ (1, 0, -1) > 90).all()


@given(scenes, st.sampled_from((32, 96)))
@settings(max_examples=30)
def test_rendering_repeats_itself(scene: Scene, side: int) -> None:
    pixels = render(scene, side)
    assert pixels.shape == (side, side, 3)
    assert np.array_equal(pixels, render(scene, side))
    decoded = np.asarray(Image.open(io.BytesIO(render_jpeg(scene, side))).convert("RGB")).astype(int)
    assert np.abs(decoded - pixels).mean() < 8


def test_annotations_are_coco_captions(tmp_path: Path) -> None:
    splits = ScenesSource(spec()).annotations()
    assert {split: len(part.images) for split, part in splits.items()} == {"train": 12, "val": 3, "test": 11}
    ids: list[int] = []
    for split, part in splits.items():
        path = tmp_path / f"{split}.json"
        annotations.write(path, part)
        assert annotations.read(path) == part
        coco = COCO(path)
        assert all(len(coco.imgToAnns[image]) == 5 for image in coco.imgs)
        assert part.images[2]["file_name"] == f"scenes_{split}_000002.jpg"
        ids += [image["id"] for image in part.images]
    assert len(set(ids)) == len(ids)


def test_captions_are_five_different_ones() -> None:
    for part in ScenesSource(spec()).annotations().values():
        for texts in part.captions_of().values():
            assert len({text.lower().removesuffix(".") for text in texts}) == 5


def test_first_caption_alone() -> None:
    every = ScenesSource(spec()).annotations()["train"]
    first = ScenesSource(spec(captions="first")).annotations()["train"]
    assert first == every.one_caption_each()


def test_more_pictures_leave_the_earlier_ones_as_they_were() -> None:
    few, many = (ScenesSource(spec(train=number)).annotations()["train"] for number in (4, 9))
    assert many.first(4) == few


def test_another_seed_gives_other_scenes() -> None:
    one, other = (ScenesSource(spec(seed=seed)).annotations()["val"] for seed in (1, 2))
    assert one.images != other.images


def test_pack_is_the_same_archive_each_time(tmp_path: Path) -> None:
    source = ScenesSource(spec())
    part = source.annotations()["train"]
    targets = [tmp_path / "a.zip", tmp_path / "b.zip"]
    assert [source.pack("train", part, target) for target in targets] == [[], []]
    assert targets[0].read_bytes() == targets[1].read_bytes()
    with zipfile.ZipFile(targets[0]) as archive:
        assert archive.namelist() == [image["file_name"] for image in part.images]
        assert all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())
        for image in part.images:
            assert archive.read(image["file_name"]) == render_jpeg(scene_of(image), 64)


def test_a_record_without_a_scene_is_refused() -> None:
    with pytest.raises(CapflowError, match=r"x\.jpg: its record has no `scene`"):
        scene_of({"id": 1, "file_name": "x.jpg"})


def test_a_wrong_scene_is_refused() -> None:
    facts = draw_scene(1, "train", 0).model_dump(mode="json")
    facts["groups"][0]["shape"] = "oval"
    with pytest.raises(CapflowError, match=r"x\.jpg: `groups\.0\.shape` is 'oval'"):
        scene_of({"id": 1, "file_name": "x.jpg", "scene": facts})


def test_two_groups_that_captions_cannot_tell_apart_are_refused() -> None:
    facts = draw_scene(1, "train", 0).model_dump(mode="json")
    facts["groups"] = [facts["groups"][0]] * 2
    with pytest.raises(CapflowError, match="neither one group nor two different groups"):
        scene_of({"id": 1, "file_name": "x.jpg", "scene": facts})


@pytest.mark.parametrize(("key", "value"), [("train", 0), ("size", 8), ("captions", "some"), ("colours", 3)])
def test_wrong_entries_of_the_catalogue_are_refused(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(json.dumps(spec().model_dump() | {key: value}))
    with pytest.raises(CapflowError, match=f"dataset.yaml: .*`{key}`"):
        load_yaml(path, ScenesSpec)


def test_the_default_entry_is_sound() -> None:
    entry = load_yaml(ROOT / "data/sources/scenes/dataset.yaml", ScenesSpec)
    assert (entry.train, entry.val, entry.test, entry.size) == (6000, 400, 800, 96)
