"""Training that goes on from a model."""

from pathlib import Path
from typing import Any

import pytest
import torch

from capflow import project
from capflow.errors import CapflowError
from capflow.models.captioner import Captioner, save_captioner
from capflow.text.vocabulary import SPECIALS, Vocabulary
from capflow.training.start import take_weights
from tests.tiny import SIDE, VOCABULARY, captioner

OTHER_WORDS = Vocabulary((*SPECIALS, *(f"word{place}" for place in range(8))), punctuation=False)
GRID = {"features": "grid"}


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save(model: Captioner, vocabulary: Vocabulary = VOCABULARY) -> None:
    save_captioner(project.WEIGHTS / "first", model, vocabulary)


def start(model: Captioner, *, stored: bool = False) -> None:
    take_weights(model, VOCABULARY, "first", stored=stored)


def test_all_weights_are_taken_whatever_has_none_may_differ() -> None:
    first = captioner(1, decoder={"dropout": 0.5, "heads": 4, "attention": 7}, encoder={"trainable": True})
    save(first)
    model = captioner(2)
    start(model)
    assert all(torch.equal(first.state_dict()[name], mine) for name, mine in model.state_dict().items())


def test_a_pretrained_encoder_stays_one() -> None:
    save(captioner(1, encoder={"weights": "some.pth", "trainable": True}))
    model = captioner(2, encoder={"weights": "none", "trainable": True})
    start(model)
    assert model.encoder.pretrained


def test_stored_features_may_be_of_an_encoder_that_was_trained() -> None:
    first = captioner(1, encoder={"trainable": True})
    with torch.no_grad():
        first.train().encoder(torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8))
    save(first)
    model = captioner(2)
    kept = {name: value for name, value in first.encoder.state_dict().items() if "num_batches" not in name}
    model.encoder.load_state_dict(kept, strict=False)
    start(model, stored=True)


def test_stored_features_must_be_of_the_encoder_that_comes_along() -> None:
    save(captioner(2))
    model = captioner(1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CapflowError, match=r"its encoder is not .*`encoder.weights: first/model.safeten"):
        start(model, stored=True)
    assert all(torch.equal(before[name], mine) for name, mine in model.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"decoder": {"hidden": 20}}, r"`decoder\.\S+` are \[64, 12\], and \[80, 12\] there \(sizes"),
        (
            {"decoder": {"inject": "every"}, "encoder": GRID},
            "`encoder.features` is pooled, and grid there; `decoder.inject` is first, and every there",
        ),
        ({"tensors": {"fit": "squash"}}, "`tensors.fit` is crop, and squash there"),
    ],
)
def test_a_model_of_another_kind_is_refused(changes: dict[str, Any], told: str) -> None:
    save(captioner(1, **changes))
    with pytest.raises(CapflowError, match=told):
        start(captioner())


@pytest.mark.parametrize("decoder", ["lstm", "transformer"])
def test_a_grid_of_another_size_is_refused_where_weights_depend_on_it(decoder: str) -> None:
    shape = {"name": decoder, "embedding": 16}
    save(captioner(1, crop=28, encoder=GRID, decoder=shape, tensors={"size": 48}))
    with pytest.raises(CapflowError, match=r"data/weights/first: .*`tensors.size` or `train.augment.crop`"):
        start(captioner(encoder=GRID, decoder=shape, tensors={"size": 48}))


def test_transformers_of_other_heads_are_refused() -> None:
    shape = {"name": "transformer", "embedding": 16, "batch_norm": True}
    save(captioner(1, encoder=GRID, decoder=shape | {"heads": 4}))
    with pytest.raises(CapflowError, match=r"`decoder\.heads` is 2, and 4 there"):
        start(captioner(encoder=GRID, decoder=shape | {"heads": 2}))


def test_a_model_of_other_words_is_refused() -> None:
    save(captioner(1), OTHER_WORDS)
    with pytest.raises(CapflowError, match="not the same ones"):
        start(captioner())


@pytest.mark.parametrize("file", [True, False])
def test_what_is_no_model_folder_is_named(file: bool) -> None:
    project.WEIGHTS.mkdir(parents=True)
    if file:
        (project.WEIGHTS / "first").write_text("an encoder's weights")
    with pytest.raises(CapflowError, match=r"data/weights/first: is no model folder; put one there \(`cp -r"):
        start(captioner())
