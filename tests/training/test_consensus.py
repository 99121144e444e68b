"""What a consensus asks of the training split."""

from pathlib import Path

import numpy as np
import pytest
import torch

from capflow import project
from capflow.errors import CapflowError
from capflow.evaluation.agreement import Agreement
from capflow.evaluation.ngrams import Captions
from capflow.files import write_json, write_text
from capflow.models.inputs import EncodedPixels
from capflow.models.neighbours import Neighbours
from capflow.params import Params
from capflow.training.artifacts import open_batches
from capflow.training.consensus import Consensus, open_consensus
from tests.tiny import CPU, VOCABULARY, captioner, captions, params, pixels

GRID = {"features": "grid", "trainable": True}
MODEL = captioner(3, sharpness=4, decoder={"name": "attention"}, encoder=GRID)
ROWS = np.array([0, 1, 2, 3, 5])
"""Of six pictures, those that have captions."""


def chosen(**generate: object) -> Params:
    """Parameters of a consensus."""
    asked = {"method": "consensus", "neighbours": 2, "batch_size": 2, **generate}
    return params(decoder={"name": "attention"}, encoder=GRID, generate=asked)


@pytest.fixture(autouse=True)
def _artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six training pictures in the working directory, the fifth without a caption."""
    monkeypatch.chdir(tmp_path)
    told, ids = captions()
    write_text(project.VOCAB / "vocab.json", VOCABULARY.to_json())
    told.save(project.VOCAB / "train")
    write_json(project.TENSORS / "train.json", {"ids": np.insert(ids, 4, 99).tolist()})
    np.save(project.TENSORS / "train.npy", pixels(6))


def opened(params: Params) -> Consensus:
    consensus = open_consensus(params, [MODEL])
    assert consensus is not None
    return consensus


@torch.inference_mode()
def test_the_captions_of_the_nearest_captioned_pictures_vote_with_a_weight() -> None:
    told = Captions(*open_batches("train", chosen()).references())
    agreement = Agreement(told)
    train = EncodedPixels(pixels(6), MODEL, CPU)(ROWS).mean(1)
    seen = EncodedPixels(pixels(4, seed=1), MODEL, CPU)(np.arange(4))
    nearest = Neighbours(train).nearest(seen.mean(1), 2)
    assert len(np.unique(nearest)) > 2
    said = np.random.default_rng(0).integers(4, len(VOCABULARY), (4, 3, 5))
    others = agreement.with_pictures(said, nearest)
    assert np.ptp(others) > 0
    for vote in (0.0, 0.5, 3.0):
        found = opened(chosen(neighbours_vote=vote))(said, [seen, -seen])
        np.testing.assert_allclose(found, agreement(said) + vote * others, rtol=0, atol=1e-6)


def test_without_neighbours_no_picture_is_looked_at() -> None:
    np.save(project.TENSORS / "train.npy", pixels(6)[:, :3])  # of another size: reading them would raise
    consensus = opened(chosen(neighbours=0))
    assert consensus.neighbours is None
    assert open_consensus(chosen(method="beam"), [MODEL]) is None


def test_as_many_neighbours_as_there_are_pictures_are_refused() -> None:
    opened(chosen(neighbours=4))
    with pytest.raises(CapflowError, match=r"^generate.neighbours \(5\) should be fewer than the .*\(5\)\.$"):
        open_consensus(chosen(neighbours=5), [MODEL])
