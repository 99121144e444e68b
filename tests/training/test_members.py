"""Which models caption whole splits together, and what each sees."""

from pathlib import Path

import numpy as np
import pytest
import torch

from capflow import project
from capflow.errors import CapflowError
from capflow.files import write_json
from capflow.models.captioner import Captioner, save_captioner
from capflow.models.inputs import EncodedPixels, StoredFeatures
from capflow.training.members import open_models, open_views
from tests.tiny import CPU, VOCABULARY, captioner, params, pixels

ROWS = np.arange(3)


@pytest.fixture
def _artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with tensors, features, and a model."""
    monkeypatch.chdir(tmp_path)
    write_json(project.TENSORS / "val.json", {"ids": [1, 2, 3]})
    np.save(project.TENSORS / "val.npy", pixels(3))
    project.FEATURES.mkdir()
    np.save(project.FEATURES / "val.npy", np.ones((3, 1, 1, 128), np.float16))
    save_captioner(project.MODEL, captioner(), VOCABULARY)


def beside(name: str, model: Captioner) -> None:
    save_captioner(project.ENSEMBLE / name, model, VOCABULARY)


def twin(decoder: str = "lstm", features: str = "pooled") -> Captioner:
    """A model with the encoder weights of the first and another decoder."""
    model = captioner(7, decoder={"name": decoder}, encoder={"features": features})
    model.encoder.load_state_dict(captioner().encoder.state_dict())
    return model


@pytest.mark.usefixtures("_artifacts")
def test_those_with_the_first_model_s_encoder_share_its_features(tmp_path: Path) -> None:
    beside("twin", twin("transformer"))
    beside("other", captioner(8))
    save_captioner(tmp_path / "elsewhere", twin(features="grid"), VOCABULARY)
    chosen = params(generate={"models": ["twin", "other", str(tmp_path / "elsewhere")]})
    models, vocabulary = open_models(chosen, CPU)
    assert vocabulary == VOCABULARY
    ids, views = open_views("val", chosen, models)
    assert ids == [1, 2, 3]
    kinds = [type(view) for view in views.inputs]
    assert kinds == [StoredFeatures, StoredFeatures, EncodedPixels, EncodedPixels]
    with torch.inference_mode():
        seen = views(ROWS)
        assert seen[1] is seen[0]
        assert torch.equal(seen[2], models[2].encode(torch.from_numpy(pixels(3))))
        assert seen[3].shape[1] > 1


@pytest.mark.usefixtures("_artifacts")
def test_trained_encoders_see_the_tensors_once_if_they_are_the_same() -> None:
    model = captioner(encoder={"trainable": True})
    save_captioner(project.MODEL, model, VOCABULARY)
    beside("same", model)
    beside("other", captioner(1, encoder={"trainable": True}))
    later = captioner(2, encoder={"weights": "other/model.safetensors"})
    later.encoder.load_state_dict(captioner(1).encoder.state_dict())
    beside("later", later)
    chosen = params(generate={"models": ["same", "other", "later"]}, encoder={"trainable": True})
    models, _ = open_models(chosen, CPU)
    first, same, other, successor = open_views("val", chosen, models)[1].inputs
    assert same is first
    assert successor is other
    assert isinstance(first, EncodedPixels)
    assert isinstance(other, EncodedPixels)
    assert (first.model, other.model) == (models[0], models[2])


@pytest.mark.usefixtures("_artifacts")
def test_a_model_that_is_not_there_or_sees_pictures_of_another_size_is_named() -> None:
    beside("large", captioner(tensors={"size": 48}))
    for name, message in (
        (
            "large",
            r"data/ensemble/large: this model is for pictures of size 48 with fit crop, and .* size 32",
        ),
        ("none", r"data/ensemble/none: there is no such folder"),
    ):
        with pytest.raises(CapflowError, match=message):
            open_models(params(generate={"models": [name]}), CPU)
