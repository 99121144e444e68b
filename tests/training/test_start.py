"""Training that goes on from a model."""

from pathlib import Path

import pytest
import torch

from capflow.errors import CapflowError
from capflow.models.captioner import Captioner, save_captioner
from capflow.text.vocabulary import SPECIALS, Vocabulary
from capflow.training.start import take_weights
from tests.tiny import VOCABULARY, captioner

OTHER_WORDS = Vocabulary((*SPECIALS, *(f"word{place}" for place in range(8))), punctuation=False)


def saved(folder: Path, model: Captioner, vocabulary: Vocabulary = VOCABULARY) -> Path:
    save_captioner(folder, model, vocabulary)
    return folder


def test_all_weights_are_taken_whatever_has_none_may_differ(tmp_path: Path) -> None:
    start = captioner(1, decoder={"dropout": 0.5}, encoder={"trainable": True})
    model = captioner(2)
    take_weights(model, VOCABULARY, saved(tmp_path, start), stored=False)
    assert all(torch.equal(start.state_dict()[name], mine) for name, mine in model.state_dict().items())


def test_stored_features_must_be_of_the_encoder_that_comes_along(tmp_path: Path) -> None:
    start, model = captioner(1), captioner(1)
    take_weights(model, VOCABULARY, saved(tmp_path, start), stored=True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(
        CapflowError, match=rf"{tmp_path}: its encoder is not .*{tmp_path.name}/model.safeten"
    ):
        take_weights(model, VOCABULARY, saved(tmp_path, captioner(2)), stored=True)
    assert all(torch.equal(before[name], mine) for name, mine in model.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"decoder": {"hidden": 20}}, "differs from params.yaml in decoder.hidden; set"),
        (
            {"decoder": {"inject": "every"}, "encoder": {"features": "grid"}},
            "encoder.features, decoder.inject",
        ),
    ],
)
def test_a_model_of_another_kind_is_refused(
    tmp_path: Path, changes: dict[str, dict[str, object]], told: str
) -> None:
    folder = saved(tmp_path, captioner(1, **changes))
    with pytest.raises(CapflowError, match=told):
        take_weights(captioner(), VOCABULARY, folder, stored=False)


def test_a_model_of_other_words_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path, captioner(1), OTHER_WORDS)
    with pytest.raises(CapflowError, match="not the same ones"):
        take_weights(captioner(), VOCABULARY, folder, stored=False)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(CapflowError, match=r"nothing/config\.json"):
        take_weights(captioner(), VOCABULARY, tmp_path / "nothing", stored=False)
