"""What a consensus asks of the training split."""

from pathlib import Path

import numpy as np
import pytest
import torch

from capflow import project
from capflow.evaluation.agreement import Agreement
from capflow.evaluation.expectation import Expectation
from capflow.evaluation.ngrams import Captions
from capflow.files import write_json, write_text
from capflow.models.inputs import EncodedPixels
from capflow.models.lookalikes import Lookalikes, whole
from capflow.params import Params
from capflow.training.artifacts import open_batches
from capflow.training.consensus import open_consensus
from tests.tiny import CPU, VOCABULARY, captioner, captions, params, pixels

GRID: dict[str, object] = {"features": "grid", "trainable": True}
MODEL = captioner(3, sharpness=4, decoder={"name": "attention"}, encoder=GRID)
ROWS = np.array([0, 1, 2, 3, 5])
"""Of six pictures, those that have captions."""


def chosen(encoder: dict[str, object] = GRID, **generate: object) -> Params:
    """Parameters of a consensus."""
    asked = {"method": "consensus", "lookalikes": 1.0, "batch_size": 2, **generate}
    return params(decoder={"name": "attention"}, encoder=encoder, generate=asked)


def known() -> Captions:
    """The training captions; pictures that have none are not counted."""
    words, lengths, rows = open_batches("train", chosen()).references()
    return Captions(words, lengths, np.searchsorted(ROWS, rows))


@pytest.fixture(autouse=True)
def _artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six training pictures in the working directory, the fifth without a caption."""
    monkeypatch.chdir(tmp_path)
    told, ids = captions()
    write_text(project.VOCAB / "vocab.json", VOCABULARY.to_json())
    told.save(project.VOCAB / "train")
    write_json(project.TENSORS / "train.json", {"ids": np.insert(ids, 4, 99).tolist()})
    np.save(project.TENSORS / "train.npy", pixels(6))


@torch.inference_mode()
@pytest.mark.parametrize("stored", [False, True])
def test_captions_of_pictures_that_look_alike_vote_with_a_weight(stored: bool) -> None:
    encoder = GRID | {"trainable": not stored}
    model = captioner(3, sharpness=4, decoder={"name": "attention"}, encoder=encoder)
    told = known()
    train = EncodedPixels(pixels(6), model, CPU)(np.arange(6))
    if stored:
        train = train.half().float()
        project.FEATURES.mkdir()
        np.save(project.FEATURES / "train.npy", train.half()[:, None].numpy())
    another = captioner(5, sharpness=4, decoder={"name": "attention"}, encoder=encoder)
    also = EncodedPixels(pixels(6), another, CPU)(np.arange(6))
    seen, beside = (EncodedPixels(pixels(4, seed=1), each, CPU)(np.arange(4)) for each in (model, another))
    both = Lookalikes(whole([train[ROWS], also[ROWS]])).weights(whole([seen, beside]))
    alone = Lookalikes(whole([train[ROWS]])).weights(whole([seen]))
    said = np.random.default_rng(0).integers(4, len(VOCABULARY), (4, 3, 5))
    for models, views, weights in ([model, another], [seen, beside], both), ([model], [seen], alone):
        expected = Expectation(told)(said, weights)
        assert np.ptp(expected) > 0
        for vote in (0.5, 3.0):
            consensus = open_consensus(chosen(encoder, lookalikes=vote), models)
            assert consensus is not None
            np.testing.assert_allclose(
                consensus(said, 2, views),
                Agreement(told)(said, 2) + vote * expected,
                rtol=0,
                atol=1e-4,
            )


def test_where_nobody_asks_no_picture_is_looked_at() -> None:
    np.save(project.TENSORS / "train.npy", pixels(6)[:, :3])  # of another size: reading them would raise
    said = np.full((2, 2, 3), 5)
    consensus = open_consensus(chosen(lookalikes=0.0), [MODEL])
    assert consensus is not None
    told = known()
    np.testing.assert_array_equal(consensus(said, 2, []), Agreement(told)(said, 2))
    assert open_consensus(chosen(method="beam"), [MODEL]) is None
