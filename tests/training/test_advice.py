"""What captions of other pictures ask of the training split."""

from pathlib import Path

import numpy as np
import pytest
import torch

from capflow import project
from capflow.evaluation.agreement import Agreement
from capflow.evaluation.expectation import Expectation
from capflow.evaluation.ngrams import Captions
from capflow.files import write_json, write_text
from capflow.models.captioning import Advice
from capflow.models.inputs import EncodedPixels
from capflow.models.lookalikes import Lookalikes, whole
from capflow.params import Params
from capflow.training.advice import open_advice
from capflow.training.artifacts import open_batches
from tests.tiny import CPU, VOCABULARY, captioner, captions, params, pixels

GRID: dict[str, object] = {"features": "grid", "trainable": True}
MODEL = captioner(3, sharpness=4, decoder={"name": "attention"}, encoder=GRID)
ROWS = np.array([0, 1, 2, 3, 5])
"""Of six pictures, those that have captions."""


def chosen(encoder: dict[str, object] = GRID, **generate: object) -> Params:
    """Parameters of a consensus, unless told otherwise."""
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
            agree = open_advice(chosen(encoder, lookalikes=vote), models, len(VOCABULARY)).agree
            assert agree is not None
            np.testing.assert_allclose(agree(said, 0, views), vote * expected, rtol=0, atol=1e-4)
            np.testing.assert_allclose(
                agree(said, 2, views),
                Agreement(told)(said, 2) + vote * expected,
                rtol=0,
                atol=1e-4,
            )


def test_where_nobody_asks_no_picture_is_looked_at() -> None:
    np.save(project.TENSORS / "train.npy", pixels(6)[:, :3])  # of another size: reading them would raise
    said = np.full((2, 2, 3), 5)
    advice = open_advice(chosen(lookalikes=0.0), [MODEL], len(VOCABULARY))
    assert advice.agree is not None
    told = known()
    np.testing.assert_array_equal(advice.agree(said, 2, []), Agreement(told)(said, 2))
    for unasked in chosen(method="beam"), chosen(method="sample", hints=2.0):
        assert open_advice(unasked, [MODEL], len(VOCABULARY)) == Advice()


@torch.inference_mode()
@pytest.mark.parametrize("method", ["beam", "consensus"])
def test_hints_are_what_is_expected_of_words(method: str) -> None:
    """They do not add up with votes for those that look alike, which have a weight of their own."""
    told, seen = known(), EncodedPixels(pixels(4, seed=1), MODEL, CPU)(np.arange(4))
    train = EncodedPixels(pixels(6), MODEL, CPU)(ROWS)
    weights = Lookalikes(whole([train])).weights(whole([seen]))
    wanted = Expectation(told).words(weights, len(VOCABULARY))
    assert np.ptp(wanted) > 0
    advice = open_advice(chosen(method=method, lookalikes=0.0, hints=3.0), [MODEL], len(VOCABULARY))
    assert advice.hint is not None
    np.testing.assert_allclose(advice.hint([seen]), 3 * wanted, rtol=0, atol=1e-4)
    assert (advice.agree is not None) == (method == "consensus")
    if advice.agree is not None:
        said = np.random.default_rng(0).integers(4, len(VOCABULARY), (4, 3, 5))
        np.testing.assert_array_equal(advice.agree(said, 2, [seen]), Agreement(told)(said, 2))
