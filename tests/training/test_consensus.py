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
from capflow.models.inputs import EncodedPixels, Views
from capflow.models.neighbours import Neighbours
from capflow.params import Params
from capflow.processes import Processes
from capflow.training.artifacts import open_batches
from capflow.training.consensus import Consensus, look, open_consensus
from tests.tiny import CPU, VOCABULARY, captioner, captions, params, pixels

GRID: dict[str, object] = {"features": "grid", "trainable": True}
MODEL = captioner(3, sharpness=4, decoder={"name": "attention"}, encoder=GRID)
ROWS = np.array([0, 1, 2, 3, 5])
"""Of six pictures, those that have captions."""


def chosen(encoder: dict[str, object] = GRID, **generate: object) -> Params:
    """Parameters of a consensus."""
    asked = {"method": "consensus", "neighbours": 2, "batch_size": 2, **generate}
    return params(decoder={"name": "attention"}, encoder=encoder, generate=asked)


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
@pytest.mark.parametrize("stored", [False, True])
def test_the_captions_of_the_nearest_captioned_pictures_vote_with_a_weight(stored: bool) -> None:
    encoder = GRID | {"trainable": not stored}
    model = captioner(3, sharpness=4, decoder={"name": "attention"}, encoder=encoder)
    told = Captions(*open_batches("train", chosen()).references())
    agreement = Agreement(told)
    train = EncodedPixels(pixels(6), model, CPU)(np.arange(6))
    if stored:
        train = train.half().float()
        project.FEATURES.mkdir()
        np.save(project.FEATURES / "train.npy", train.half()[:, None].numpy())
    seen = EncodedPixels(pixels(4, seed=1), model, CPU)(np.arange(4))
    nearest = Neighbours(train[ROWS].mean(1)).nearest(seen.mean(1), 2)
    assert len(np.unique(nearest)) > 2
    said = np.random.default_rng(0).integers(4, len(VOCABULARY), (4, 3, 5))
    others = agreement.with_pictures(said, nearest)
    assert np.ptp(others) > 0
    another = captioner(5, decoder={"name": "attention"}, encoder=encoder)
    for vote in (0.0, 0.5, 3.0):
        consensus = open_consensus(chosen(encoder, neighbours_vote=vote), [model, another])
        assert consensus is not None
        np.testing.assert_allclose(
            consensus(said, [seen, -seen]), agreement(said) + vote * others, rtol=0, atol=1e-6
        )


class _Part(Processes):
    """One of several processes, whose sums are added by hand."""

    def largest(self, number: int) -> int:
        return number

    def add(self, *tensors: torch.Tensor) -> None:
        pass


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_process_looks_at_pictures_that_no_other_looks_at(count: int) -> None:
    views, rows = Views(EncodedPixels(pixels(6), MODEL, CPU)), np.arange(5)
    parts = [torch.zeros(5, MODEL.encoder.channels) for _ in range(count)]
    for rank, part in enumerate(parts):
        look(part, views, rows, 2, _Part(rank, count))
    alone = torch.zeros(5, MODEL.encoder.channels)
    look(alone, views, rows, 2)
    assert torch.equal(torch.stack(parts).sum(0), alone)
    assert (torch.stack(parts).any(2).sum(0) == 1).all()


def test_without_neighbours_no_picture_is_looked_at() -> None:
    np.save(project.TENSORS / "train.npy", pixels(6)[:, :3])  # of another size: reading them would raise
    consensus = opened(chosen(neighbours=0))
    assert consensus.neighbours is None
    assert open_consensus(chosen(method="beam"), [MODEL]) is None


def test_more_neighbours_than_there_are_other_pictures_are_refused() -> None:
    said, seen = np.full((6, 2, 3), 5), EncodedPixels(pixels(6), MODEL, CPU)(np.arange(6))
    opened(chosen(neighbours=4))(said, [seen])
    with pytest.raises(CapflowError, match=r"^generate.neighbours \(5\): a picture has 4 training pictures"):
        opened(chosen(neighbours=5))(said, [seen])
