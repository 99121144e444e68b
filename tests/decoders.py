"""Decoders of every kind, and captions of pictures, small enough for tests."""

from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from capflow.models.captioner import DECODERS
from capflow.models.decoder import AttentiveDecoder, Decoder, Shape
from capflow.params import DecoderParams
from tests.tiny import params

Kind = TypeVar("Kind", bound=Decoder)
SHAPE = Shape(cells=4, channels=8, words=30)
PICTURES = 3
CAPTIONS = 6
PICTURE = torch.tensor([1, 0, 1, 2, 1, 0])  # of each caption
KINDS: dict[str, dict[str, Any]] = {
    "lstm": {"name": "lstm"},
    "lstm_every": {"name": "lstm", "inject": "every", "layers": 3},
    "attention": {"name": "attention"},
    "updown": {"name": "updown"},
    "transformer": {"name": "transformer", "layers": 2},
}
ATTENTIVE = ["attention", "updown", "transformer"]
BESIDE = torch.tensor([0, 0, 1, 1, 2, 2])  # as a search has them

every_decoder = pytest.mark.parametrize("kind", KINDS)


def section(**changes: Any) -> DecoderParams:
    sizes = {"embedding": 16, "hidden": 24, "heads": 2, "attention": 12}
    return params(decoder=sizes | changes).decoder


def decoder(kind: str, shape: Shape = SHAPE, **changes: Any) -> Decoder:
    """A decoder in training."""
    torch.manual_seed(0)
    chosen = section(**KINDS[kind] | changes)
    return DECODERS[chosen.name](chosen, shape)


def attentive(kind: str, shape: Shape = SHAPE, **changes: Any) -> AttentiveDecoder:
    model = decoder(kind, shape, **changes)
    assert isinstance(model, AttentiveDecoder)
    return model


def example(shape: Shape = SHAPE) -> tuple[Tensor, Tensor]:
    """Features of three pictures, and tokens of six captions of many lengths."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(4, 30, (CAPTIONS, 9), generator=generator)
    tokens[:, 0] = 1
    tokens[1, 6:], tokens[3, 2:] = 0, 0
    return torch.randn(PICTURES, shape.cells, shape.channels, generator=generator), tokens


def logits(model: Decoder, features: Tensor, picture: Tensor, tokens: Tensor) -> Tensor:
    said: Tensor = model.words(model(features, picture, tokens).hidden)
    return said


def sharp(model: Kind) -> Kind:
    """The decoder with larger weights, which says different things of different pictures."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.mul_(1 if "norm" in name or "embed" in name else 4)
    return model.eval()
