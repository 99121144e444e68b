"""Rows 40 and 41: artifacts that are damaged are refused before the first batch; what fails ends the run."""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from capflow.data import precompute
from capflow.data.annotations import ImageRecord
from capflow.data.captions import EncodedCaptions
from capflow.data.tensors import described, read, read_rows
from capflow.dvcfiles import folder_digest
from capflow.errors import CapflowError
from capflow.files import digest, read_json, write_json, write_text
from tests.checkout import change
from tests.faults.trainings import Kennel, checkpoints, lay_out
from tests.photographs import jpeg
from tests.tiny import VOCABULARY, captions


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


def test_row_40_a_flipped_byte_is_refused_where_dvc_has_the_digest(
    tmp_path: Path, record: Path, stable: Kennel
) -> None:
    lay_out(tmp_path, record)
    md5 = folder_digest(tmp_path / "data/tensors", lambda path: digest(path, "md5"))
    lock = f"stages: {{precompute_tensors: {{outs: [{{path: data/tensors, md5: {md5}}}]}}}}"
    (tmp_path / "dvc.lock").write_text(lock)
    path = tmp_path / "data/tensors/val.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "data/tensors: not as dvc.lock has it on record" in refused(tmp_path, stable)


def flipped(path: Path, size: int, step: int = 1) -> Iterator[bool]:
    """The file with each bit, or each ``step``-th, of its first bytes flipped, one at a time."""
    good = path.read_bytes()
    for bit in range(0, 8 * size, step):
        content = bytearray(good)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        yield True
    path.write_bytes(good)


@pytest.mark.filterwarnings("ignore")  # NumPy's, of types that have got other names
def test_row_40_whatever_bit_of_a_header_is_flipped_is_one_sentence(tmp_path: Path) -> None:
    """NumPy reads headers with Python's parser, which has exceptions of its own."""
    path = tmp_path / "a.npy"
    np.save(path, np.ones((5, 2, 2, 3), np.uint8))
    refusals = 0
    for _ in flipped(path, 128):
        with suppress(CapflowError):
            read_rows(path, np.dtype(np.uint8), 5)
            continue
        refusals += 1
    assert refusals > 600
    encoded, _ids = captions()
    write_text(tmp_path / "vocab.json", VOCABULARY.to_json())
    encoded.save(tmp_path / "train")
    for _ in flipped(tmp_path / "train/offsets.npy", 128, step=5):
        with suppress(CapflowError):
            EncodedCaptions.load(tmp_path / "train")


def test_row_40_whatever_bit_of_the_ids_is_flipped_is_one_sentence_or_another_picture(tmp_path: Path) -> None:
    write_json(tmp_path / "val.json", {"ids": [391895, 522418]})
    np.save(tmp_path / "val.npy", np.ones((2, 2, 2, 3), np.uint8))
    for _ in flipped(tmp_path / "val.json", (tmp_path / "val.json").stat().st_size):
        with suppress(CapflowError):
            assert len({*read(tmp_path, "val").ids.tolist()}) == 2


def test_row_40_ids_that_no_picture_has_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Path
) -> None:
    lay_out(tmp_path, record)
    monkeypatch.chdir(tmp_path)
    ids = read_json(Path("data/tensors/val.json"))["ids"]
    write_json(Path("data/tensors/val.json"), {"ids": [*ids[:-1], 77]})
    with pytest.raises(CapflowError, match=r"val\.json: names 77, which no picture is; delete it"):
        described("val")
    write_json(Path("data/tensors/val.json"), {"ids": [*ids[:-1], ids[0]]})
    with pytest.raises(CapflowError, match=r"val\.json: names a picture twice"):
        described("val")


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
