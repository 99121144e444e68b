"""Training that goes on from a model instead of from random weights."""

from pathlib import Path

import torch

from capflow.errors import CapflowError
from capflow.models.captioner import Captioner, load_captioner, same_weights
from capflow.text.vocabulary import Vocabulary

# What may differ between a model and the one that it becomes: it has no weights.
_FREE = {
    "encoder": {"weights", "trainable", "mirrored", "crops"},
    "decoder": {"dropout", "doubly_stochastic"},
}


def take_weights(model: Captioner, vocabulary: Vocabulary, folder: Path, *, stored: bool) -> None:
    """Give a model the weights of another one.

    Args:
        model: has the encoder's first weights; its decoder's are replaced, and the encoder's, too.
        vocabulary: its words.
        folder: the other model.
        stored: whether features were computed before, with the encoder's first weights.

    Raises:
        CapflowError: the folder holds no model, or one of other words or another kind, or, where features
            are stored, with another encoder.
    """
    other, words = load_captioner(folder, torch.device("cpu"))
    if words != vocabulary:
        raise CapflowError(
            f"{folder}: knows {len(words)} words, and data/vocab has {len(vocabulary)}, not the same ones; "
            "take a model that was trained with this vocabulary, or set `train.start: none`."
        )
    if differing := _differences(model, other):
        raise CapflowError(
            f"{folder}: differs from params.yaml in {', '.join(differing)}; set these as they are in its "
            "config.json, or set `train.start: none`."
        )
    if stored and not same_weights(model.encoder, other.encoder):
        raise CapflowError(
            f"{folder}: its encoder is not the one that data/features was computed with; set "
            f"`encoder.weights: {folder.name}/model.safetensors`."
        )
    model.load_state_dict(other.state_dict())


def _differences(model: Captioner, other: Captioner) -> list[str]:
    """The parameters of both that are not the same and should be, as ``decoder.hidden``."""
    mine, theirs = model.config.model_dump(), other.config.model_dump()
    return [
        f"{section}.{name}"
        for section in ("encoder", "decoder")
        for name, value in mine[section].items()
        if value != theirs[section][name] and name not in _FREE[section]
    ]
