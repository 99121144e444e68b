"""Decoders with soft attention, against their formulas written plainly, a caption at a time."""

import pytest
import torch
from torch import Tensor, nn

from benchmarks.attention import Tutorial
from capflow.models.attention import AttentionDecoder
from capflow.models.soft import SoftDecoder
from capflow.models.updown import UpDownDecoder
from capflow.training.cross_entropy import caption_loss
from tests.decoders import PICTURE, SHAPE, decoder, example


def cell_of(inputs: list[nn.Linear], outputs: nn.Linear) -> nn.LSTMCell:
    """PyTorch's LSTM with the weights of ours; the columns of its inputs and outputs, side by side."""
    weights = torch.cat([linear.weight for linear in inputs], 1)
    cell = nn.LSTMCell(weights.shape[1], outputs.out_features // 4)
    bias = next(linear.bias for linear in inputs if linear.bias is not None)
    cell.load_state_dict(
        {
            "weight_ih": weights,
            "weight_hh": outputs.weight,
            "bias_ih": bias,
            "bias_hh": torch.zeros_like(bias),
        }
    )
    return cell


def test_attention_is_the_tutorials_decoder_its_gradients_too() -> None:
    model = decoder("attention", doubly_stochastic=0.5)
    assert isinstance(model, AttentionDecoder)
    features, tokens = example()
    losses = [
        caption_loss(model, features, PICTURE, tokens),
        Tutorial(model)(features[PICTURE], tokens),
    ]
    torch.testing.assert_close(*losses)
    shared = [model.soft.key.weight, model.gate.weight, model.init_c.weight, model.embed.weight]
    for ours, theirs in zip(*(torch.autograd.grad(loss, shared) for loss in losses), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_updown_is_what_its_paper_says() -> None:
    model = decoder("updown")
    assert isinstance(model, UpDownDecoder)
    features, tokens = example()
    rows = model(features, PICTURE, tokens).hidden
    expected = [
        hidden
        for picture, caption in zip(PICTURE, tokens, strict=True)
        for hidden in plainly(model, features[picture], caption[caption != 0][:-1])
    ]
    torch.testing.assert_close(rows, torch.stack(expected))


def plainly(model: UpDownDecoder, cells: Tensor, words: Tensor) -> list[Tensor]:
    """h_1, h_2 and so on for one picture, [cells, channels], and one caption."""
    width = model.write_seen.out_features // 4
    from_h, from_a = nn.Linear(width, 4 * width, bias=False), nn.Linear(width, 4 * width, bias=False)
    from_h.weight.data, from_a.weight.data = model.from_outputs.weight.data.chunk(2, 1)
    below = cell_of([from_h, model.from_mean, model.from_word], from_a)
    from_a, from_h = nn.Linear(width, 4 * width, bias=False), nn.Linear(width, 4 * width, bias=False)
    from_a.weight.data, from_h.weight.data = model.write_outputs.weight.data.chunk(2, 1)
    above = cell_of([model.write_seen, from_a], from_h)
    a = b = h = c = torch.zeros(width)
    outputs = []
    for word in words:
        a, b = below(torch.cat([h, cells.mean(0), model.embed(word)]), (a, b))
        energy = torch.tanh(model.soft.key(cells) + model.soft.query(a)) @ model.soft.score.weight[0]
        h, c = above(torch.cat([energy.softmax(0) @ cells, a]), (h, c))
        outputs.append(h)
    return outputs


@pytest.mark.parametrize("kind", ["attention", "updown"])
def test_the_memory_is_never_of_reduced_precision(kind: str) -> None:
    model = decoder(kind)
    assert isinstance(model, AttentionDecoder | UpDownDecoder)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.begin(torch.randn(2, *SHAPE[:2]))["c"].dtype == torch.float32


@pytest.mark.parametrize("kind", ["attention", "updown"])
def test_projected_cells_are_all_that_is_seen_of_a_picture(kind: str) -> None:
    model, inner = decoder(kind, project=6), decoder(kind, SHAPE._replace(channels=6))
    features, tokens = example()
    assert isinstance(model, SoftDecoder)
    inner.load_state_dict(
        {name: weight for name, weight in model.state_dict().items() if not name.startswith("project.")}
    )
    shorter = model.project(features)
    assert shorter.shape == (*features.shape[:2], 6)
    losses = [
        caption_loss(seeing, seen, PICTURE, tokens) for seeing, seen in ((model, features), (inner, shorter))
    ]
    torch.testing.assert_close(*losses)
