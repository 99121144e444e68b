"""What is kept: rot in the download store, and damage that only a decoder sees; rows 23 and 24."""

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from capflow import project
from capflow.data import annotations, download, manifest
from capflow.data.dataset import open_source
from capflow.data.download import fetch, obtain
from capflow.data.headers import cut_fault, picture_fault
from capflow.data.sources import Source
from capflow.errors import CapflowError
from capflow.files import digest, read_json
from capflow.params import DataParams
from stages import download_images
from tests.checkout import ROOT
from tests.faults.server import Fault, Server
from tests.faults.store import request
from tests.photographs import KINDS, flip, flipped, refused

NAMES = [f"COCO_val2014_{number:012}.jpg" for number in (101, 102, 103)]
WHOLE = KINDS["baseline"]
SCAN = range(WHOLE.index(b"\xff\xda") + 14, len(WHOLE) - 2)
# Of the flips of one bit within the scan, one that a decoder notices and one that only a digest does.
SEEN = next(place for place in SCAN if refused(flipped(WHOLE, place)))
UNSEEN = next(place for place in SCAN if not refused(flipped(WHOLE, place)))


@pytest.fixture
def coco(checkout: Path, mirror: Server) -> Source:
    """The tiny COCO, the first picture of whose val is a photograph."""
    name = Path("data/sources/coco2014/dataset.yaml")
    text = (ROOT / name).read_text(encoding="utf-8").replace("mirror: null", f"mirror: {mirror.url}")
    (checkout / name).write_text(text, encoding="utf-8")
    (mirror.root / "val2014" / NAMES[0]).write_bytes(WHOLE)
    return open_source(DataParams(name="coco2014", root="data/photos", max_missing=0.0))


def stored(name: str) -> Path:
    (path,) = project.downloads().rglob(name)
    return path


def entry(path: Path) -> manifest.Entry:
    return manifest.read(project.downloads())[path.relative_to(project.downloads()).as_posix()]


def test_row_24_what_rots_in_the_store_is_fetched_again(
    coco: Source, mirror: Server, caplog: pytest.LogCaptureFixture
) -> None:
    val = coco.annotations()["val"]
    assert coco.pack("val", val, Path("before.zip")) == []
    path, asked = stored(NAMES[0]), len(mirror.asked)
    flip(path, UNSEEN)
    assert coco.pack("val", val, Path("after.zip")) == []
    assert Path("after.zip").read_bytes() == Path("before.zip").read_bytes()
    assert mirror.paths()[asked:] == [f"/val2014/{NAMES[0]}"]
    assert (path.read_bytes(), entry(path).state) == (WHOLE, "done")
    assert f"{NAMES[0]}: removed: it has rotted in the store: its SHA-256 is" in caplog.text


@pytest.mark.parametrize("damage", ["cut", "unreadable"])
def test_row_23_a_picture_that_is_cut_or_cannot_be_read_is_fetched_again(
    coco: Source, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    val = coco.annotations()["val"]
    assert coco.pack("val", val, Path("before.zip")) == []
    path = stored(NAMES[0])
    if damage == "cut":
        path.write_bytes(WHOLE[:-200])
    else:
        bad_sector(path, monkeypatch)
    assert coco.pack("val", val, Path("after.zip")) == []
    assert Path("after.zip").read_bytes() == Path("before.zip").read_bytes()


def bad_sector(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file that is there now be one that the disk cannot read."""
    read, number = Path.read_bytes, path.stat().st_ino

    def reading(self: Path) -> bytes:
        if self.exists() and self.stat().st_ino == number:
            raise OSError(5, "Input/output error")
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", reading)
    os.link(path, path.with_name("taken"))  # so that no other file gets the number


def test_row_24_what_was_damaged_on_its_way_is_fetched_again(coco: Source, mirror: Server) -> None:
    mirror.faults[f"/val2014/{NAMES[0]}"] = [Fault(body=flipped(WHOLE, SEEN))]
    assert coco.pack("val", coco.annotations()["val"], Path("val.zip")) == []
    assert stored(NAMES[0]).read_bytes() == WHOLE


@pytest.mark.parametrize(("limit", "fails"), [(0.3, True), (0.34, False)])
def test_row_24_damage_on_the_server_is_named_and_counted(
    coco: Source, mirror: Server, limit: float, fails: bool
) -> None:
    damaged = flipped(WHOLE, SEEN)
    assert not picture_fault(damaged)
    assert not cut_fault(damaged)
    (mirror.root / "val2014" / NAMES[0]).write_bytes(damaged)
    parameters = (ROOT / "params.yaml").read_text(encoding="utf-8")
    changed = parameters.replace("name: scenes", "name: coco2014").replace(": 0.001 ", f": {limit} ")
    Path("params.yaml").write_text(changed, encoding="utf-8")
    for split, part in coco.annotations().items():
        annotations.write(project.ANNOTATIONS / f"{split}.json", part)
    if fails:
        with pytest.raises(CapflowError, match=r"missing\.csv: 1 of 3 pictures of val are missing"):
            download_images.main()
    else:
        download_images.main()
    (row,) = project.MISSING.read_text(encoding="utf-8").splitlines()[1:]
    assert row.startswith(f"val,{NAMES[0]},")
    assert read_json(project.METRICS / "pictures.json")["val"] == {"wanted": 3, "packed": 2, "missing": 1}
    assert mirror.paths().count(f"/val2014/{NAMES[0]}") == 2
    with zipfile.ZipFile(project.IMAGES / "val.zip") as archive:
        assert archive.namelist() == NAMES[1:]
    recorded = next(e for path, e in manifest.read(project.downloads()).items() if path.endswith(NAMES[0]))
    assert (recorded.state, recorded.reason) == ("failed", row.split(",", 2)[2])
    assert not list(project.downloads().rglob(NAMES[0]))


def test_row_24_an_archive_that_rots_in_the_store_is_fetched_again(server: Server) -> None:
    wanted = request(f"{server.url}/0.bin")
    assert obtain(wanted, "first") is None
    whole = digest(wanted.target)
    flip(wanted.target, 5000)
    assert obtain(wanted, "again") is None
    assert (digest(wanted.target), len(server.asked)) == (whole, 2)
    flip(wanted.target, 5000)
    server.always = Fault(status=404)
    failure = obtain(wanted, "gone")
    assert failure
    assert (failure.absent, wanted.target.exists(), entry(wanted.target).state) == (True, False, "missing")


def test_row_24_an_official_archive_is_compared_before_it_is_linked(coco: Source, mirror: Server) -> None:
    name = "zips/val2014.zip"
    catalogue = Path("data/sources/coco2014/dataset.yaml")
    whole = catalogue.read_text(encoding="utf-8").replace("images: 40504", "images: 3")
    catalogue.write_text(whole, encoding="utf-8")
    (mirror.root / name).parent.mkdir()
    with zipfile.ZipFile(mirror.root / name, "w") as archive:
        for picture in NAMES:
            archive.write(mirror.root / "val2014" / picture, picture)
    val = coco.annotations()["val"]
    for run in ("first", "again"):
        source = open_source(DataParams(name="coco2014", root="data/photos", max_missing=0.0))
        assert source.pack("val", val, Path(f"{run}.zip")) == []
        assert Path(f"{run}.zip").read_bytes() == (mirror.root / name).read_bytes()
        flip(stored("val2014.zip"), 5000)
    assert mirror.paths().count(f"/{name}") == 3  # the mirror confirms it, and then sends it again


def test_row_24_what_another_process_has_mended_stays(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds the same rot, and is first to have the store for itself."""
    wanted = request(f"{server.url}/0.bin")
    assert obtain(wanted, "first") is None
    flip(wanted.target, 5000)
    asked, discard, others = len(server.asked), download.discard, [None]

    def late(*suspects: Any) -> None:
        if others:
            others.pop()
            assert obtain(wanted, "the other process") is None
        discard(*suspects)

    monkeypatch.setattr(download, "discard", late)
    assert obtain(wanted, "ours") is None
    assert (len(server.asked), entry(wanted.target).state) == (asked + 1, "done")
    assert digest(wanted.target) == digest(server.root / "0.bin")


def test_row_24_a_picture_that_another_process_has_mended_stays(
    coco: Source, mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    val = coco.annotations()["val"]
    assert coco.pack("val", val, Path("before.zip")) == []
    path, asked = stored(NAMES[0]), len(mirror.asked)
    flip(path, UNSEEN)
    discard, others = download.discard, [None]

    def late(*suspects: Any) -> None:
        if others:
            others.pop()
            assert coco.pack("val", val, Path("other.zip")) == []
        discard(*suspects)

    monkeypatch.setattr("capflow.data.sources.singly.discard", late)
    assert coco.pack("val", val, Path("after.zip")) == []
    assert mirror.paths()[asked:] == [f"/val2014/{NAMES[0]}"]
    assert path.read_bytes() == WHOLE


def test_row_24_a_server_that_confirms_a_rotten_file_sends_it_again(server: Server) -> None:
    wanted = request(f"{server.url}/0.bin", edition=None)
    assert obtain(wanted, "first") is None
    whole = digest(wanted.target)
    flip(wanted.target, 5000)
    assert fetch([wanted], "its beginning is wrong") == []
    assert (digest(wanted.target), len(server.asked)) == (whole, 3)
