"""The recurrence over packed captions equals PyTorch's own LSTM, its gradients too."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from capflow.models.recurrence import pack, recur, unpack


@given(st.lists(st.integers(1, 7), min_size=1, max_size=40), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_equals_the_lstm_of_pytorch_with_gradients(lengths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    lstm = nn.LSTM(3, 4, batch_first=True).double()
    words = torch.randn(len(lengths), max(lengths), 3, dtype=torch.double)
    h, c = torch.randn(2, len(lengths), 4, dtype=torch.double)
    real = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    weights = torch.randn(int(real.sum()), 4, dtype=torch.double)

    def gradients(outputs: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad((outputs * weights).sum(), list(lstm.parameters()))

    packed = pack(words, real)
    assert packed.sorted_indices is not None
    below, before, *biases = lstm.all_weights[0]
    inputs = nn.functional.linear(packed.data, below, biases[0] + biases[1])
    order = packed.sorted_indices
    ours = recur(inputs, before, h[order], c[order], packed.batch_sizes.tolist())
    mine = unpack(packed._replace(data=ours), real)
    theirs = lstm(words, (h[None], c[None]))[0][real]
    torch.testing.assert_close(mine, theirs)
    for gradient, expected in zip(gradients(mine), gradients(theirs), strict=True):
        torch.testing.assert_close(gradient, expected)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=40))
def test_unpacking_gives_back_what_was_packed(lengths: list[int]) -> None:
    values = torch.arange(len(lengths) * max(lengths)).view(len(lengths), -1)
    real = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    assert torch.equal(unpack(pack(values, real), real), values[real])
