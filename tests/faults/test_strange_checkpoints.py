"""What others leave in a folder of checkpoints, and what rots there, keeps nobody from going on."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from capflow.training.checkpoint import Checkpoints
from capflow.training.state import State

TRAINING = "a" * 64


def state(step: int) -> State:
    return State({"step": step}, {"weights": torch.full((5,), float(step))}, {})


def manifest(content: bytes) -> Callable[[Path], object]:
    """A newer checkpoint with a right digest."""
    name = f"00009999.{hashlib.sha256(content).hexdigest()}.json"
    return lambda folder: (folder / name).write_bytes(content)


def file(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text("{}")


def folder(name: str) -> Callable[[Path], object]:
    return lambda parent: (parent / name).mkdir()


STRANGE = {
    "name emptied": lambda parent: (parent / "name.json").write_bytes(b""),
    "name elsewhere": lambda parent: (parent / "name.json").write_text('"../../model"'),
    "name lost": lambda parent: (parent / "name.json").unlink(),
    "no number": file("9x.y.json"),
    "a copy": file("00000003 (1).x.json"),
    "a folder": folder("notes"),
    "a folder for a checkpoint": folder(f"00009999.{TRAINING}.json"),
    "deep": manifest(b"[" * 200_000 + b"]" * 200_000),
    "a list": manifest(b"[]"),
    "nothing": manifest(b"null"),
    "empty": manifest(b"{}"),
}


@pytest.mark.parametrize("leaves", STRANGE.values(), ids=STRANGE)
def test_row_35_whatever_lies_there_training_goes_on(
    leaves: Callable[[Path], object], tmp_path: Path
) -> None:
    before = Checkpoints(tmp_path, TRAINING)
    for step in range(2):
        before.save(state(step))
    leaves(tmp_path)
    again = Checkpoints(tmp_path, TRAINING)
    found = again.newest()
    assert found is not None
    assert found.values == {"step": 1}
    assert len(again.name) == 32
    again.save(state(2))
    last = Checkpoints(tmp_path, TRAINING)
    assert last.name == again.name
    assert (newest := last.newest())
    assert newest.values == {"step": 2}


def test_row_35_a_bad_one_behind_a_good_one_does_not_keep_the_next_from_being_saved(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, TRAINING)
    content = b"[" * 200_000 + b"]" * 200_000
    (tmp_path / f"00000001.{hashlib.sha256(content).hexdigest()}.json").write_bytes(content)
    checkpoints.save(state(1))
    assert checkpoints.newest() is not None
