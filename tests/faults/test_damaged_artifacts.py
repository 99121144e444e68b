"""Rows 40 and 41: artifacts that are damaged are refused before the first batch; what fails ends the run."""

import functools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from capflow.data import precompute
from capflow.data.annotations import ImageRecord
from tests.checkout import change
from tests.faults.trainings import Kennel, checkpoints, lay_out
from tests.photographs import jpeg


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"descr") + 10] ^= 1
    path.write_bytes(content)


def shrink(path: Path) -> None:
    np.save(path, np.load(path)[:, ::2, ::2])


def lose_a_row(path: Path) -> None:
    np.save(path, np.load(path)[:-1])


def retype(path: Path) -> None:
    np.save(path, np.load(path).astype(np.float32))


DAMAGE = [cut, flip, shrink, lose_a_row, retype, Path.unlink]


def refused(folder: Path, stable: Kennel) -> str:
    """What a training says that does not begin."""
    assert stable.exit_code(stable.start(folder)) == 1
    said = (folder / "stderr.txt").read_text()
    assert "Traceback" not in said
    assert checkpoints(folder) == []
    return said


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("damages", DAMAGE)
def test_row_40_damaged_tensors_are_refused(
    damages: Callable[[Path], None], split: str, tmp_path: Path, record: Path, stable: Kennel
) -> None:
    lay_out(tmp_path, record)
    damages(tmp_path / f"data/tensors/{split}.npy")
    assert f"data/tensors/{split}.npy: " in refused(tmp_path, stable)


@pytest.mark.parametrize("damages", DAMAGE)
def test_row_40_damaged_features_are_refused(
    damages: Callable[[Path], None], tmp_path: Path, record: Path, stable: Kennel
) -> None:
    lay_out(tmp_path, record)
    changes = {"encoder": {"trainable": False}, "train": {"augment": {"crop": 0, "area": 1.0, "flip": False}}}
    change(tmp_path, {"params.yaml": changes})
    for split in ("train", "val"):
        np.save(tmp_path / f"data/features/{split}.npy", np.zeros((5, 1, 2, 128), np.float16))
    damages(tmp_path / "data/features/val.npy")
    assert "data/features/val.npy: " in refused(tmp_path, stable)


def test_row_41_a_loader_that_fails_ends_the_work_with_its_error(tmp_path: Path) -> None:
    """Other pictures are being decoded meanwhile; nobody waits for all of them."""
    read: list[int] = []

    def content(number: int) -> bytes:
        read.append(number)
        time.sleep(0.02)
        if number == 20:
            raise MemoryError("no memory for a picture")
        return jpeg(number % 256)

    images: list[ImageRecord] = [{"id": number, "file_name": f"{number}.jpg"} for number in range(2000)]
    pictures = {image["file_name"]: functools.partial(content, image["id"]) for image in images}
    with pytest.raises(MemoryError, match="no memory for a picture"):
        precompute.write(tmp_path, "train", pictures, images, 8, "crop", lambda items, _: items)
    assert len(read) < 200
    assert list(tmp_path.iterdir()) == []
