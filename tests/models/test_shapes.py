"""Filled-up rows: few shapes, and none of them changes what is computed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from capflow.models import shapes
from capflow.models.decoder import Decoder
from capflow.models.recurrence import pack
from capflow.models.shapes import rounded
from capflow.models.words import WordLogits
from capflow.training.cross_entropy import caption_loss
from tests.decoders import PICTURES, SHAPE, decoder, every_decoder


def reduced() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


@given(st.integers(1, 10_000))
def test_rounding_adds_less_than_a_block(rows: int) -> None:
    assert rounded(rows) == rows
    with reduced():
        assert rows <= rounded(rows) < rows + 64
        assert rounded(rounded(rows)) == rounded(rows)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=70))
def test_steps_have_few_sizes_in_bf16(lengths: list[int]) -> None:
    real = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    values = torch.arange(real.numel()).view(real.shape)
    assert sum(pack(values, real).batch_sizes.tolist()) == sum(lengths)
    with reduced():
        sizes = pack(values, real).batch_sizes.tolist()
    assert all(size % 16 == 0 or size == len(lengths) for size in sizes)
    assert sum(sizes) - sum(lengths) < 16 * max(lengths)


@pytest.mark.parametrize("shape", [(70, 6), (3, 5, 6), (6,)])
def test_logits_and_gradients_are_those_of_the_words(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    layer, hidden, ways = WordLogits(6, 11), torch.randn(shape, requires_grad=True), []
    for filled in (True, False):
        monkeypatch.setattr(shapes, "_compiled", lambda filled=filled: filled)
        logits = layer(hidden)
        assert logits.shape == (*shape[:-1], 11)
        ways.append((logits, *torch.autograd.grad(logits.square().sum(), [hidden, *layer.parameters()])))
    for mine, usual in zip(*ways, strict=True):
        torch.testing.assert_close(mine, usual)


@every_decoder
@pytest.mark.parametrize("captions", [1, 33, 41])
def test_blocks_change_no_loss_and_no_gradient(
    kind: str, captions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = decoder(kind).eval()
    told = told_by(captions)
    losses = []
    for filled in (True, False):
        monkeypatch.setattr(shapes, "_compiled", lambda filled=filled: filled)
        losses.append(gradients(model, *told))
    for mine, usual in zip(*losses, strict=True):
        torch.testing.assert_close(mine, usual)


def told_by(captions: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features of pictures, the picture of each caption, and tokens of one to nine words."""
    random = torch.Generator().manual_seed(captions)
    features = torch.randn(PICTURES, SHAPE.cells, SHAPE.channels, generator=random)
    tokens = torch.randint(4, SHAPE.words, (captions, 10), generator=random)
    lengths = torch.randint(2, 11, (captions, 1), generator=random)
    return (
        features,
        torch.randint(PICTURES, (captions,), generator=random),
        tokens.where(torch.arange(10) < lengths, 0),
    )


def gradients(model: Decoder, features: Tensor, picture: Tensor, tokens: Tensor) -> list[Tensor]:
    """The loss, then its gradients."""
    loss = caption_loss(model, features, picture, tokens)
    found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    return [loss, *(gradient for gradient in found if gradient is not None)]
