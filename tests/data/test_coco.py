import json
import logging
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from capflow.data.annotations import ImageRecord
from capflow.data.sources import Missing
from capflow.data.sources.coco import CocoSource, CocoSpec
from capflow.data.sources.remote import Remote, RemoteFile
from capflow.errors import CapflowError
from capflow.files import digest
from tests.faults.server import HTML, Fault, Server
from tests.photographs import jpeg
from tests.tiny_coco import HOME, spec, split_json

ZIP = "annotations/annotations_trainval2014.zip"


@pytest.mark.usefixtures("checkout")
def test_official_splits(mirror: Server) -> None:
    splits = CocoSource(spec(mirror), HOME).annotations()
    assert [len(splits[split].images) for split in ("train", "val", "test")] == [4, 3, 2]
    assert splits["train"].captions_of()[1] == ["Picture 1,\nseen 1 times.", "Picture 1,\nseen 2 times."]
    assert splits["test"].annotations == []
    assert splits["val"].info["year"] == 2014


@pytest.mark.usefixtures("checkout")
def test_subset(mirror: Server) -> None:
    splits = CocoSource(spec(mirror, max_images=2, captions="first"), HOME).annotations()
    assert [image["id"] for image in splits["train"].images] == [1, 2]
    assert [record["id"] for record in splits["train"].annotations] == [11, 21]


@pytest.mark.parametrize("form", ["member", "zip"])
@pytest.mark.usefixtures("checkout")
def test_test_split_from_an_archive(mirror: Server, form: str) -> None:
    info = mirror.root / "annotations/image_info_test2014.json"
    archive = mirror.root / (ZIP if form == "member" else "annotations/image_info_test2014.zip")
    with zipfile.ZipFile(archive, "a") as members:
        members.write(info, "annotations/image_info_test2014.json")
    info.unlink()
    assert len(CocoSource(spec(mirror), HOME).annotations()["test"].images) == 2


@pytest.mark.usefixtures("checkout")
def test_without_test_split(mirror: Server, caplog: pytest.LogCaptureFixture) -> None:
    (mirror.root / "annotations/image_info_test2014.json").unlink()
    assert CocoSource(spec(mirror), HOME).annotations()["test"].images == []
    assert "the test split is empty" in caplog.text


@pytest.mark.usefixtures("checkout")
def test_single_pictures_are_packed_once(mirror: Server) -> None:
    source = CocoSource(spec(mirror), HOME)
    train = source.annotations()["train"]
    assert source.pack("train", train, Path("a.zip")) == []
    asked = len(mirror.asked)
    assert source.pack("train", train, Path("b.zip")) == []
    assert len(mirror.asked) == asked
    assert Path("a.zip").read_bytes() == Path("b.zip").read_bytes()
    with zipfile.ZipFile("a.zip") as archive:
        assert archive.namelist() == [image["file_name"] for image in train.images]
        assert archive.read(train.images[2]["file_name"]) == jpeg(3)


@pytest.mark.usefixtures("checkout")
def test_missing_pictures_have_a_reason(mirror: Server) -> None:
    source = CocoSource(spec(mirror), HOME)
    val = source.annotations()["val"]
    first, second, third = (image["file_name"] for image in val.images)
    (mirror.root / "val2014" / first).unlink()
    mirror.faults[f"/val2014/{third}"] = [HTML] * 9
    missing = source.pack("val", val, Path("val.zip"))
    assert missing == [Missing(first, "HTTP 404 Not Found"), Missing(third, "it is an HTML page")]
    with zipfile.ZipFile("val.zip") as archive:
        assert archive.namelist() == [second]


def whole(mirror: Server, **changes: Any) -> CocoSource:
    """A source whose catalogue says that three pictures are all of val."""
    entry = spec(mirror, **changes).model_dump()
    entry["splits"]["val"]["images"] = 3
    return CocoSource(CocoSpec.model_validate(entry), HOME)


def zip_val(mirror: Server) -> Path:
    path = mirror.root / "zips/val2014.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for picture in sorted((mirror.root / "val2014").iterdir())[:2]:
            archive.write(picture, f"val2014/{picture.name}")
    return path


@pytest.mark.usefixtures("checkout")
def test_whole_split_is_the_official_archive(mirror: Server, caplog: pytest.LogCaptureFixture) -> None:
    path, source = zip_val(mirror), whole(mirror)
    val = source.annotations()["val"]
    missing = source.pack("val", val, Path("val.zip"))
    assert [picture.file_name for picture in missing] == [val.images[2]["file_name"]]
    assert Path("val.zip").read_bytes() == path.read_bytes()
    assert not any(asked.startswith("/val2014") for asked in mirror.paths())
    assert "the mirror's own file" in caplog.text


@pytest.mark.usefixtures("checkout")
def test_whole_split_without_an_archive(mirror: Server) -> None:
    source = whole(mirror)
    assert source.pack("val", source.annotations()["val"], Path("val.zip")) == []


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.usefixtures("checkout")
def test_known_size_needs_the_known_digest(mirror: Server, mirrored: bool) -> None:
    archive = mirror.root / ZIP
    known = {"path": ZIP, "size": archive.stat().st_size, "md5": digest(archive, "md5")}
    server = {"mirror": mirror.url} if mirrored else own(mirror)
    assert CocoSource(spec(mirror, **server | {"archives": [known]}), HOME).annotations()["train"].images
    shutil.rmtree(".capflow")
    wrong = known | {"md5": "0" * 32}
    with pytest.raises(CapflowError, match=r"its MD5 is .* instead of 0000"):
        CocoSource(spec(mirror, **server | {"archives": [wrong]}), HOME).annotations()


def own(mirror: Server) -> dict[str, Any]:
    """A catalogue whose COCO is the tiny one, not a mirror of the other."""
    entry = spec(mirror, mirror=None, base=mirror.url, archives=[{"path": ZIP}]).model_dump()
    for split, images in (("train", 4), ("val", 3), ("test", 2)):
        entry["splits"][split]["images"] = images
    return entry


@pytest.mark.usefixtures("checkout")
def test_only_a_mirror_may_be_without_test_pictures(mirror: Server) -> None:
    info, entry = mirror.root / "annotations/image_info_test2014.json", own(mirror)
    assert len(CocoSource(CocoSpec.model_validate(entry), HOME).annotations()["test"].images) == 2
    shutil.rmtree(".capflow")
    info.write_text('{"images": []}', encoding="utf-8")
    assert CocoSource(spec(mirror), HOME).annotations()["test"].images == []
    with pytest.raises(CapflowError, match=r"test2014\.json: has 0 pictures instead of 2; correct"):
        CocoSource(CocoSpec.model_validate(entry), HOME).annotations()
    shutil.rmtree(".capflow")
    info.unlink()
    with pytest.raises(CapflowError, match=r"has no annotations/image_info_test2014\.json"):
        CocoSource(CocoSpec.model_validate(entry), HOME).annotations()


@pytest.mark.usefixtures("checkout")
def test_only_a_mirror_may_differ(mirror: Server, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CapflowError, match=r"bytes are announced instead of 252,872,794"):
        CocoSource(spec(mirror, mirror=None, base=mirror.url), HOME).annotations()
    assert not list(Path(".capflow").rglob("*.zip"))
    with caplog.at_level(logging.WARNING):
        CocoSource(spec(mirror), HOME).annotations()
    assert caplog.text.count("the mirror's own file") == 1


@pytest.mark.usefixtures("checkout")
def test_damaged_archive_is_refused(mirror: Server) -> None:
    content = (mirror.root / ZIP).read_bytes()
    (mirror.root / ZIP).write_bytes(content[: len(content) // 2])
    with pytest.raises(CapflowError, match="not a sound ZIP archive"):
        CocoSource(spec(mirror), HOME).annotations()


@pytest.mark.usefixtures("checkout")
def test_a_mirror_without_coco(mirror: Server) -> None:
    (mirror.root / ZIP).unlink()
    with pytest.raises(CapflowError, match=r"has no annotations/captions_train2014\.json"):
        CocoSource(spec(mirror), HOME).annotations()


@pytest.mark.usefixtures("checkout")
def test_addresses_are_below_the_base(mirror: Server) -> None:
    source = CocoSource(spec(mirror), HOME)
    train = source.annotations()["train"]
    train.images[0]["coco_url"] = "http://elsewhere.example/secret/train2014/x.jpg"
    assert source.pack("train", train, Path("train.zip")) == []
    bad: ImageRecord = {"id": 9, "file_name": "x.jpg", "coco_url": "file:///x.jpg"}
    with pytest.raises(CapflowError, match="picture 9: `coco_url`"):
        source.pack("train", type(train)([bad], []), Path("train.zip"))


@pytest.mark.usefixtures("checkout")
def test_a_mirror_that_becomes_another_data_set(mirror: Server, caplog: pytest.LogCaptureFixture) -> None:
    source = CocoSource(spec(mirror), HOME)
    source.pack("val", source.annotations()["val"], Path("val.zip"))
    picture = mirror.root / "val2014/COCO_val2014_000000000102.jpg"
    picture.write_bytes(jpeg(9))
    for name in ("train2014", "val2014"):
        changed = split_json(name, 1 if name == "train2014" else 101, captions=True) | {"licenses": []}
        (mirror.root / f"annotations/captions_{name}.json").write_text(json.dumps(changed), encoding="utf-8")
    (mirror.root / ZIP).unlink()
    mirror.etag = '"2"'
    again = CocoSource(spec(mirror), HOME)
    assert again.pack("val", again.annotations()["val"], Path("val.zip")) == []
    with zipfile.ZipFile("val.zip") as archive:
        assert archive.read(picture.name) == jpeg(9)
    mirror.always = Fault(status=503)
    away = Remote(mirror.url, mirror=True).get(RemoteFile(path="annotations/captions_val2014.json"))
    assert away
    assert "licenses" in away.read_text(encoding="utf-8")
    assert "what it sent before is used" in caplog.text
