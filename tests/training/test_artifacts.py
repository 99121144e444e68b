"""What training reads of data/, and the small tables that it writes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from capflow import project
from capflow.errors import CapflowError
from capflow.files import write_json, write_text
from capflow.models.inputs import AugmentedPixels, EncodedPixels, StoredFeatures
from capflow.training.artifacts import open_batches, open_pictures
from capflow.training.curves import write_curves
from capflow.training.history import History
from tests.tiny import VOCABULARY, captioner, captions, params, pixels

TRAINED = {"encoder": {"trainable": True}}
ROWS = np.arange(3)


@pytest.fixture
def _artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with tensors, two views of features and captions; two pictures have no row."""
    monkeypatch.chdir(tmp_path)
    encoded, ids = captions()
    write_text(project.VOCAB / "vocab.json", VOCABULARY.to_json())
    encoded.save(project.VOCAB / "train")
    write_json(project.TENSORS / "train.json", {"ids": ids[:3].tolist()})
    np.save(project.TENSORS / "train.npy", pixels(3))
    project.FEATURES.mkdir()
    views = np.random.default_rng(0).normal(size=(3, 2, 1, 128)).astype(np.float16)
    np.save(project.FEATURES / "train.npy", views)


@pytest.mark.usefixtures("_artifacts")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, (StoredFeatures, StoredFeatures)),
        (TRAINED, (EncodedPixels, AugmentedPixels)),
        ({"train": {"augment": {"crop": 28, "area": 1.0, "flip": False}}}, (EncodedPixels, AugmentedPixels)),
        ({"train": {"augment": {"crop": 0, "area": 1.0, "flip": True}}}, (EncodedPixels, AugmentedPixels)),
    ],
)
def test_pictures_are_read_where_they_are_stored(
    changes: dict[str, Any], kinds: tuple[type, type], training: bool
) -> None:
    model = captioner(**changes)
    generator = torch.Generator() if training else None
    ids, inputs = open_pictures("train", params(**changes), model, generator)
    assert ids == [10, 20, 30]
    assert type(inputs) is kinds[training]
    with torch.inference_mode():
        assert inputs(ROWS).shape == (3, 1, 128)


@pytest.mark.usefixtures("_artifacts")
def test_only_training_is_random() -> None:
    model, chosen = captioner(), params()
    plain, first, again = (
        open_pictures("train", chosen, model, generator)[1]
        for generator in (None, torch.Generator(), torch.Generator())
    )
    assert torch.equal(plain(ROWS), torch.from_numpy(np.load(project.FEATURES / "train.npy")[:, 0]).float())
    drawn = [first(ROWS) for _ in range(8)]
    assert all(torch.equal(one, again(ROWS)) for one in drawn)
    assert any(not torch.equal(one, plain(ROWS)) for one in drawn)


@pytest.mark.usefixtures("_artifacts")
def test_features_that_do_not_fit_the_tensors_are_named() -> None:
    np.save(project.FEATURES / "train.npy", np.zeros((2, 1, 1, 128), np.float16))
    with pytest.raises(CapflowError, match=r"features/train\.npy: holds .*, not 3 rows"):
        open_pictures("train", params(), captioner())
    (project.FEATURES / "train.npy").unlink()
    with pytest.raises(CapflowError, match=r"features/train\.npy: cannot be mapped"):
        open_pictures("train", params(), captioner())


@pytest.mark.usefixtures("_artifacts")
@pytest.mark.parametrize(("order", "sizes"), [("padded", [4, 2]), ("length", [3, 2, 1])])
def test_batches_are_of_captions_whose_pictures_have_a_row(order: str, sizes: list[int]) -> None:
    batches = open_batches("train", params(train={"batches": order, "batch_size": 3}))
    found = list(batches.epoch(1))
    assert sorted((len(batch.tokens) for batch in found), reverse=True) == sizes
    assert {int(row) for batch in found for row in batch.rows} == {0, 1, 2}


def test_curves_are_tables_of_the_history(tmp_path: Path) -> None:
    history = History(
        steps=[{"step": 2, "train_loss": 2.5, "lr": 1e-05}, {"step": 4, "train_loss": 0.1, "lr": 1e-06}],
        epochs=[{"epoch": 1, "step": 5, "train_loss": 1.25, "val_loss": 1 / 3, "val_CIDEr": 0.0}],
    )
    write_curves(tmp_path, history)
    assert (tmp_path / "train_steps.csv").read_bytes() == b"step,train_loss,lr\n2,2.5,1e-05\n4,0.1,1e-06\n"
    assert (tmp_path / "train_epochs.csv").read_bytes() == (
        b"epoch,step,train_loss,val_loss,val_CIDEr\n1,5,1.25,0.3333333333333333,0.0\n"
    )
