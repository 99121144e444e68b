"""What is packed: damage in foreign archives is found and left out, and nobody waits for what is no file."""

import os
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from capflow import project
from capflow.data import annotations, archives, tensors
from capflow.data.annotations import Annotations, ImageRecord
from capflow.data.dataset import open_source
from capflow.data.sources import Missing
from capflow.errors import CapflowError
from capflow.files import read_json
from capflow.params import DataParams
from stages import precompute_tensors
from tests.checkout import ROOT
from tests.photographs import KINDS, flip, jpeg

WHOLE = KINDS["baseline"]


@contextmanager
def no_file(path: Path, kind: str) -> Iterator[None]:
    """Something at ``path`` that a reader waits for; of a pipe for two seconds, so that the test ends."""
    with ExitStack() as stack:
        if kind == "pipe":
            os.mkfifo(path)
            waker = threading.Timer(2, lambda: os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK)))
            waker.start()
            stack.callback(waker.cancel)
        elif kind == "device":
            path.symlink_to("/dev/null")
        else:
            stack.enter_context(socket.socket(socket.AF_UNIX)).bind(os.path.relpath(path))
        yield


@pytest.mark.parametrize("data_set", ["folder", "flickr8k"])
@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
def test_what_is_no_file_is_named_and_nobody_waits(checkout: Path, data_set: str, kind: str) -> None:
    photos = checkout / "data/photos"
    photos.mkdir(parents=True)
    (photos / "a.jpg").write_bytes(jpeg(1))
    part = Annotations([{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}], [])
    with no_file(photos / "b.jpg", kind):
        source = open_source(DataParams(name=data_set, root="data/photos", max_missing=0.0))
        missing = source.pack("train", part, Path("train.zip"))
    reason = f"{photos / 'b.jpg'}: a folder, pipe, socket or device, not a file; replace or remove it."
    assert missing == [Missing("b.jpg", reason)]


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty pictures a split in foreign archives: the first of train is truncated, the second flipped."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes(
        (ROOT / "params.yaml").read_bytes().replace(b"max_missing: 0.001", b"max_missing: 0.05")
    )
    for split in ("train", "val", "test"):
        images: list[ImageRecord] = [{"id": n, "file_name": f"{n}.jpg"} for n in range(20)]
        annotations.write(project.ANNOTATIONS / f"{split}.json", Annotations(images, []))
        contents = {f"{n}.jpg": jpeg(n) for n in range(20)}
        if split == "train":
            contents["0.jpg"] = WHOLE[:-200]
        path = project.IMAGES / f"{split}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        if split == "train":
            flip(path, path.read_bytes().index(contents["1.jpg"]) + len(contents["1.jpg"]) - 20)
    return tmp_path


@pytest.mark.usefixtures("packed")
def test_row_23_damaged_pictures_are_reported_counted_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    precompute_tensors.main()
    assert tensors.read(project.TENSORS, "train").ids.tolist() == list(range(2, 20))
    assert [image["id"] for image in tensors.described("train").images] == list(range(2, 20))
    assert read_json(project.METRICS / "tensors.json") == {"damaged": {"train": 2, "val": 0, "test": 0}}
    assert "left out: 0.jpg: cannot be read as a picture" in caplog.text
    assert f"left out: {project.IMAGES / 'train.zip'}: member 1.jpg is damaged" in caplog.text
    rows = project.DAMAGED.read_text(encoding="utf-8").splitlines()
    assert [row[:12] for row in rows] == ["split,file_n", "train,0.jpg,", "train,1.jpg,"]


@pytest.mark.usefixtures("packed")
def test_row_23_a_threshold_decides() -> None:
    path = Path("params.yaml")
    path.write_text(path.read_text().replace("max_missing: 0.05", "max_missing: 0.03"))
    with pytest.raises(CapflowError, match=r"damaged\.csv: 2 of 60 pictures cannot be read.*0\.03"):
        precompute_tensors.main()


def test_row_24_every_flip_is_found_where_there_is_a_digest(tmp_path: Path) -> None:
    """In the archive of a split each picture has one, the ZIP's."""
    path = tmp_path / "x.zip"
    archives.pack(path, ["a.jpg"], lambda _: WHOLE)
    start = path.read_bytes().index(WHOLE)
    for place in range(start, start + len(WHOLE), 97):
        flip(path, place)
        with archives.pictures_in(path) as held, pytest.raises(CapflowError, match=r"a\.jpg is damaged"):
            held["a.jpg"]()
        flip(path, place)
