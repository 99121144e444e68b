"""Training that goes on from a model instead of from random weights."""

import torch

from capflow import project
from capflow.errors import CapflowError
from capflow.models.captioner import Captioner, load_captioner, same_weights
from capflow.text.vocabulary import Vocabulary

# What tells models of one shape apart, by section.
_KIND = {
    "encoder": ("name", "padding", "features"),
    "decoder": ("name", "inject", "tied", "batch_norm"),
    "tensors": ("fit",),
}


def take_weights(model: Captioner, vocabulary: Vocabulary, name: str, *, stored: bool) -> None:
    """Give a model the weights of another one.

    Args:
        model: has the encoder's first weights; its decoder's are replaced, and the encoder's, too. Where the
            other's encoder was pretrained, its own counts as that.
        vocabulary: its words.
        name: the folder of the other one below data/weights.
        stored: whether features were computed before, with the encoder's first weights.

    Raises:
        CapflowError: there is no such model, or it is one of other words or another kind, or, where features
            are stored, has another encoder.
    """
    folder = project.WEIGHTS / name
    if not (folder / "config.json").is_file():
        raise CapflowError(
            f"{folder}: is no model folder; put one there (`cp -r data/model {folder}`), or set "
            "`train.start: none` in params.yaml."
        )
    other, words = load_captioner(folder, torch.device("cpu"))
    if words != vocabulary:
        raise CapflowError(
            f"{folder}: knows {len(words)} words, and data/vocab has {len(vocabulary)}, not the same ones; "
            "take a model that was trained with this vocabulary, or set `train.start: none`."
        )
    if differing := _differences(model, other):
        raise CapflowError(
            f"{folder}: is another kind of model than params.yaml asks for: {'; '.join(differing)}. "
            "Set these as the model has them, or `train.start: none`."
        )
    if stored and not same_weights(model.encoder, other.encoder):
        raise CapflowError(
            f"{folder}: its encoder is not the one that data/features was computed with; set "
            f"`encoder.weights: {name}/model.safetensors`."
        )
    model.load_state_dict(other.state_dict())
    model.encoder.pretrained |= other.encoder.pretrained


def _differences(model: Captioner, other: Captioner) -> list[str]:
    """What is not the same in both and should be, in words."""
    mine, theirs = model.config.model_dump(), other.config.model_dump()
    names = _KIND["decoder"] + (("heads",) if mine["decoder"]["name"] == "transformer" else ())
    kinds = [
        f"`{section}.{name}` is {mine[section][name]}, and {theirs[section][name]} there"
        for section, names in (_KIND | {"decoder": names}).items()
        for name in names
        if mine[section][name] != theirs[section][name]
    ]
    return kinds or _shapes(model, other)


def _shapes(model: Captioner, other: Captioner) -> list[str]:
    """The first weights whose shapes differ, with the parameters that decide them."""
    weights = other.state_dict()
    for name, mine in model.state_dict().items():
        if name not in weights or weights[name].shape != mine.shape:
            there = list(weights[name].shape) if name in weights else "missing"
            return [
                f"the weights `{name}` are {list(mine.shape)}, and {there} there (sizes of the decoder's "
                "layers, `tensors.size` or `train.augment.crop`)"
            ]
    return []
