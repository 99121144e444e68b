"""Karpathy's split of COCO: from every form that it is published in."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from capflow.data.sources import karpathy
from capflow.data.sources.coco import CocoSource
from capflow.errors import CapflowError
from tests.faults.server import Server
from tests.tiny_coco import HOME, spec


def karpathy_json(**changes: str) -> dict[str, Any]:
    splits = {1: "train", 2: "train", 3: "restval", 4: "train", 101: "restval", 102: "val", 103: "test"}
    return {"images": [{"cocoid": number, "split": split} for number, split in splits.items()]} | changes


@pytest.mark.parametrize("form", ["path", "zip", "address"])
@pytest.mark.usefixtures("checkout")
def test_karpathy_split(mirror: Server, form: str) -> None:
    named = "splits.zip" if form == "zip" else "dataset_coco.json"
    if form == "zip":
        with zipfile.ZipFile(HOME / named, "w") as archive:
            archive.writestr("dataset_coco.json", json.dumps(karpathy_json()))
    else:
        folder = mirror.root if form == "address" else HOME
        (folder / named).write_text(json.dumps(karpathy_json()), encoding="utf-8")
    named = f"{mirror.url}/{named}" if form == "address" else str(HOME / named)
    source = CocoSource(spec(mirror, split="karpathy", karpathy=named), HOME)
    splits = source.annotations()
    ids = {split: [image["id"] for image in part.images] for split, part in splits.items()}
    assert ids == {"train": [1, 2, 3, 4, 101], "val": [102], "test": [103]}
    assert len(splits["test"].annotations) == 2
    assert source.pack("train", splits["train"], Path("train.zip")) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": [{"cocoid": 1, "split": "train"}]}, "there is no picture 2"),
        ({"images": [{"cocoid": 1, "split": "dev"}]}, r"images\[0\]: .*'split': 'dev'"),
        ({"images": [3]}, r"images\[0\]"),
        (
            {"images": [{"cocoid": 1, "split": "train"}, {"cocoid": 1, "split": "test"}]},
            r"images\[1\]: picture 1 is in train, too",
        ),
        ([], "no list `images`"),
    ],
)
@pytest.mark.usefixtures("checkout")
def test_bad_karpathy_files_are_named(mirror: Server, content: Any, message: str) -> None:
    (HOME / "k.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CapflowError, match=r"k\.json: .*" + message):
        CocoSource(spec(mirror, split="karpathy", karpathy=str(HOME / "k.json")), HOME).annotations()


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("my.json", rf"/my\.json: `karpathy` of the data set names a file that is not below {HOME}; move it"),
        (f"{HOME}/../my.json", r"sources/my\.json: `karpathy` .* is not below"),
        (f"{HOME}/my.json", r"/my\.json: there is no such file; correct `karpathy`"),
    ],
)
@pytest.mark.usefixtures("checkout")
def test_a_karpathy_file_is_where_a_change_is_noticed(mirror: Server, named: str, message: str) -> None:
    with pytest.raises(CapflowError, match=message):
        CocoSource(spec(mirror, split="karpathy", karpathy=named), HOME).annotations()


def karpathy_lists(root: Path) -> None:
    """The same split as three lists."""
    places = {"train": ["train2014"] * 4 + ["val2014"], "val": ["val2014"], "test": ["val2014"]}
    ids = {"train": [1, 2, 3, 4, 101], "val": [102], "test": [103]}
    for split, folders in places.items():
        names = [
            f"{folder}/COCO_{folder}_{number:012}.jpg"
            for folder, number in zip(folders, ids[split], strict=True)
        ]
        content = json.dumps([{"image": name, "caption": "a picture"} for name in names])
        (root / f"coco_karpathy_{split}.json").write_text(content, encoding="utf-8")


@pytest.mark.usefixtures("checkout")
def test_karpathy_split_from_mirrors_in_order(mirror: Server, caplog: pytest.LogCaptureFixture) -> None:
    karpathy_lists(mirror.root)
    lists = [{"path": f"coco_karpathy_{split}.json"} for split in ("train", "val", "test")]
    empty = {"base": f"{mirror.url}/elsewhere", "files": [{"path": "dataset_coco.json"}]}
    partial = {"base": mirror.url, "files": [*lists[:2], {"path": "coco_karpathy_gone.json"}]}
    mirrors = [empty, partial, {"base": mirror.url, "files": lists}]
    splits = CocoSource(spec(mirror, split="karpathy", karpathy_mirrors=mirrors), HOME).annotations()
    assert [len(splits[split].images) for split in ("train", "val", "test")] == [5, 1, 1]
    assert "elsewhere: the server has no dataset_coco.json" in caplog.text
    with pytest.raises(CapflowError, match=r"coco2014/dataset_coco\.json: Karpathy's split is neither there"):
        CocoSource(spec(mirror, split="karpathy", karpathy_mirrors=[empty]), HOME).annotations()
    (HOME / "dataset_coco.json").write_text(json.dumps(karpathy_json()), encoding="utf-8")
    local = CocoSource(spec(mirror, split="karpathy", karpathy_mirrors=[]), HOME).annotations()
    assert local["val"].images == splits["val"].images


@pytest.mark.usefixtures("checkout")
def test_whole_karpathy_split_comes_from_the_official_archives(
    mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(karpathy, "COUNTS", {"train": 5, "val": 1, "test": 1})
    (mirror.root / "zips").mkdir()
    for split in ("train2014", "val2014"):
        with zipfile.ZipFile(mirror.root / f"zips/{split}.zip", "w") as archive:
            for picture in (mirror.root / split).iterdir():
                archive.write(picture, f"{split}/{picture.name}")
    (HOME / "dataset_coco.json").write_text(json.dumps(karpathy_json()), encoding="utf-8")
    source = CocoSource(spec(mirror, split="karpathy"), HOME)
    train = source.annotations()["train"]
    assert source.pack("train", train, Path("train.zip")) == []
    with zipfile.ZipFile("train.zip") as archive:
        assert archive.namelist() == [image["file_name"] for image in train.images]
    assert not any(path.startswith("/train2014") for path in mirror.paths())
    monkeypatch.setattr(karpathy, "COUNTS", {"train": 4, "val": 2, "test": 1})
    with pytest.raises(CapflowError, match=r"the splits have .* pictures instead of"):
        source.annotations()
