"""Where a model with attention looks as it says each word, as maps of the picture, for people to see."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from capflow.errors import CapflowError
from capflow.models.captioner import Captioner
from capflow.models.decoder import AttentiveDecoder
from capflow.text.vocabulary import END, PAD, START, Vocabulary


class Gaze(NamedTuple):
    """The words of a caption, and for each a map, float32 [words, rows, columns], which sums to 1."""

    words: list[str]
    maps: NDArray[np.float32]


def attentive(model: Captioner) -> AttentiveDecoder | None:
    """The decoder, if it chooses among cells of the picture with each word."""
    grid = model.config.encoder.features == "grid"
    return model.decoder if grid and isinstance(model.decoder, AttentiveDecoder) else None


@torch.inference_mode()
def gaze(model: Captioner, features: Tensor, captions: Sequence[str], vocabulary: Vocabulary) -> list[Gaze]:
    """Where a model looks as it says given captions.

    Args:
        model: in evaluation mode.
        features: float [P, cells, channels], of its encoder.
        captions: one of each picture; words of the vocabulary, joined by spaces.
        vocabulary: the model's own.

    Raises:
        CapflowError: the model does not choose where to look.
    """
    decoder = attentive(model)
    if decoder is None:
        raise CapflowError(_why_blind(model))
    words = [caption.split() for caption in captions]
    tokens = pad_sequence(
        [torch.tensor([START, *vocabulary.ids(said), END]) for said in words], True, PAD
    ).to(features.device)
    pictures = torch.arange(len(words), device=features.device)
    maps = model.encoder.as_map(decoder.attend(features, pictures, tokens).float()).cpu().numpy()
    return [Gaze(said, seen[: len(said)]) for said, seen in zip(words, maps, strict=True)]


def _why_blind(model: Captioner) -> str:
    if isinstance(model.decoder, AttentiveDecoder):
        return (
            "this model was trained with `encoder.features: pooled`, one vector for the whole picture, so "
            "there is no place to look at; train one with `encoder.features=grid`."
        )
    return (
        f"this model was trained with `decoder.name: {model.config.decoder.name}`, which does not look at "
        "the picture word by word; train one with attention, updown or transformer."
    )


def view(model: Captioner) -> dict[str, Any]:
    """What a model sees of a picture: how it is made a square, ``fit``, and the ``share`` in its centre."""
    tensors, side = model.config.tensors, model.config.crop
    return {"fit": tensors.fit, "share": side / tensors.size if side else 1.0}
