"""The LSTM decoder: its golden loss, and steps that equal the parallel pass."""

from typing import Literal

import pytest
import torch

from capflow.models.decoder import Shape
from capflow.models.lstm import LSTMDecoder
from capflow.params import DecoderParams
from capflow.training.loop import caption_loss

Inject = Literal["first", "every"]
SHAPE = Shape(cells=4, channels=8, words=30)


def decoder(
    layers: int, dropout: float = 0.0, inject: Inject = "first", *, batch_norm: bool = False
) -> LSTMDecoder:
    torch.manual_seed(0)
    params = DecoderParams(
        name="lstm",
        embedding=16,
        hidden=24,
        layers=layers,
        dropout=dropout,
        batch_norm=batch_norm,
        inject=inject,
    )
    return LSTMDecoder(params, SHAPE)


def example() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(4, 30, (5, 9), generator=generator)
    tokens[:, 0] = 1
    return torch.randn(5, 4, 8, generator=generator), tokens


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("inject", ["first", "every"])
def test_steps_equal_the_parallel_pass(layers: int, inject: Inject) -> None:
    model = decoder(layers, dropout=0.5, inject=inject).eval()
    features, tokens = example()
    tokens[1, 6:], tokens[3, 2:] = 0, 0
    with torch.no_grad():
        expected = model.words(model(features, tokens))
        state, logits = model.init(features), []
        for place in range(tokens.shape[1] - 1):
            said, state = model.step(tokens[:, place], state)
            logits.append(said)
    real = tokens[:, 1:] != 0
    torch.testing.assert_close(torch.stack(logits, 1)[real], expected, rtol=1e-5, atol=1e-6)


def test_golden_loss() -> None:
    features, tokens = example()
    tokens[2, 5:] = 0
    loss = caption_loss(decoder(1), features, tokens)
    assert loss.item() == pytest.approx(GOLDEN, abs=1e-4)


GOLDEN = 3.405655


def test_padding_does_not_count() -> None:
    model = decoder(1)
    features, tokens = example()
    padded = torch.cat([tokens, torch.zeros(5, 7, dtype=torch.long)], 1)
    torch.testing.assert_close(
        caption_loss(model, features, padded), caption_loss(model, features, tokens), rtol=1e-6, atol=1e-6
    )


def test_the_loss_is_a_mean_over_words_not_over_captions() -> None:
    model = decoder(1)
    features, tokens = example()
    tokens[0, 4:] = 0
    short = caption_loss(model, features[:1], tokens[:1])
    others = caption_loss(model, features[1:], tokens[1:])
    both = caption_loss(model, features, tokens)
    torch.testing.assert_close(both, (3 * short + 32 * others) / 35)


def test_one_batch_can_be_learnt_by_heart() -> None:
    model = decoder(1)
    features, tokens = example()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        loss = caption_loss(model, features, tokens)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss.item() < 0.05


def test_a_batch_of_one_caption_can_be_learnt_from_with_batch_norm() -> None:
    """Batches of one caption length end in single captions, which have no variance."""
    model = decoder(1, batch_norm=True)
    features, tokens = example()
    caption_loss(model, features, tokens)
    before = {name: value.clone() for name, value in model.norm.named_buffers()}
    assert torch.isfinite(caption_loss(model, features[:1], tokens[:1]))
    for name, value in model.norm.named_buffers():
        assert torch.equal(value, before[name]), name
