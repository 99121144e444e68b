"""The attention of the Transformer, against PyTorch's own."""

import torch
from torch import nn

from capflow.models.grouping import Grid
from capflow.models.layers import CrossAttention, SelfAttention, sinusoids

WIDTH, HEADS, GROUPS, WORDS = 12, 3, 2, 5


def reference(inputs: tuple[nn.Linear, ...], output: nn.Linear) -> nn.MultiheadAttention:
    """PyTorch's attention with the weights of ours."""
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": torch.cat([linear.weight for linear in inputs]),
            "in_proj_bias": torch.cat([linear.bias for linear in inputs]),
            "out_proj.weight": output.weight,
            "out_proj.bias": output.bias,
        }
    )
    return theirs


def test_words_look_at_cells_as_in_pytorch_with_the_same_weights() -> None:
    torch.manual_seed(0)
    ours = CrossAttention(WIDTH, HEADS)
    theirs = reference((ours.queries, ours.cells), ours.output)
    words, cells = torch.randn(GROUPS, WORDS, WIDTH), torch.randn(GROUPS, 7, WIDTH)
    seen, weights = theirs(words, cells, cells)
    rows, grid, sight = words.flatten(0, 1), Grid(GROUPS, WORDS), ours.cells(cells)
    torch.testing.assert_close(ours(rows, sight, grid), seen.flatten(0, 1))
    torch.testing.assert_close(ours.weights(rows, sight, grid), weights.flatten(0, 1))


def test_words_look_at_those_before_as_in_pytorch() -> None:
    torch.manual_seed(0)
    ours = SelfAttention(WIDTH, HEADS)
    theirs = reference((ours.inputs,), ours.output)
    words = torch.randn(GROUPS, WORDS, WIDTH)
    after = torch.ones(WORDS, WORDS).triu(1).bool()
    for causal, mask in ((True, after), (False, None)):
        expected, _ = theirs(words, words, words, attn_mask=mask)
        said = ours(words.flatten(0, 1), Grid(GROUPS, WORDS), causal=causal)
        torch.testing.assert_close(said, expected.flatten(0, 1))


def test_sinusoids_are_those_of_the_paper() -> None:
    place = sinusoids(torch.arange(3), 4)
    angles = torch.tensor([[0, 0], [1, 0.01], [2, 0.02]])
    torch.testing.assert_close(place, torch.cat([angles.sin(), angles.cos()], 1))
