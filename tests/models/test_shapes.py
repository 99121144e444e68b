"""Filled-up rows: few shapes, and none of them changes what is computed."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from capflow.models.recurrence import pack
from capflow.models.shapes import BLOCK, rounded
from capflow.models.words import WordLogits


@given(st.integers(1, 10_000))
def test_rounding_adds_less_than_a_block(rows: int) -> None:
    assert rows <= rounded(rows) < rows + 64
    assert rounded(rounded(rows)) == rounded(rows)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=70))
def test_steps_have_few_sizes(lengths: list[int]) -> None:
    real = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    packed = pack(torch.arange(real.numel()).view(real.shape), real)
    sizes = packed.batch_sizes.tolist()
    assert all(size % BLOCK == 0 or size == len(lengths) for size in sizes)
    spent = sum(sizes) - sum(lengths)
    assert spent < BLOCK * max(lengths)


def test_logits_and_gradients_are_those_of_the_words() -> None:
    torch.manual_seed(0)
    layer = WordLogits(6, 11)
    hidden = torch.randn(70, 6, requires_grad=True)
    ways = []
    for training in (True, False):
        logits = layer.train(training)(hidden)
        ways.append((logits, *torch.autograd.grad(logits.square().sum(), [hidden, *layer.parameters()])))
    for mine, usual in zip(*ways, strict=True):
        torch.testing.assert_close(mine, usual)
