"""What holds for every decoder: golden losses, steps that equal the parallel pass, captions by themselves."""

import pytest
import torch
from torch import Tensor

from capflow.models.decoder import Decoder, State
from capflow.models.transformer import TransformerDecoder
from capflow.training.cross_entropy import caption_loss
from tests.decoders import (
    ATTENTIVE,
    BESIDE,
    CAPTIONS,
    PICTURE,
    SHAPE,
    attentive,
    decoder,
    every_decoder,
    example,
    logits,
    sharp,
)


def step_by_step(model: Decoder, state: State, tokens: Tensor) -> Tensor:
    """Logits in the order of ``tokens[:, 1:]`` without its padding."""
    said = []
    for place in range(tokens.shape[1] - 1):
        words, state = model.step(tokens[:, place], state)
        said.append(words)
    return torch.stack(said, 1)[tokens[:, 1:] != 0]


GOLDEN = {
    "lstm": 3.404096,
    "lstm_every": 3.430069,
    "attention": 4.216250,
    "updown": 4.376107,
    "transformer": 3.431956,
}


@every_decoder
def test_golden_loss(kind: str) -> None:
    features, tokens = example()
    loss = caption_loss(decoder(kind, batch_norm=True), features, PICTURE, tokens)
    assert loss.item() == pytest.approx(GOLDEN[kind], abs=1e-5)


@every_decoder
@pytest.mark.parametrize("tied", [False, True])
def test_steps_equal_the_parallel_pass(kind: str, tied: bool) -> None:
    model = decoder(kind, dropout=0.5, tied=tied, embedding=24, batch_norm=True).eval()
    features, tokens = example()
    with torch.no_grad():
        expected = logits(model, features, BESIDE, tokens)
        state = model.init(features).select(BESIDE)
        torch.testing.assert_close(step_by_step(model, state, tokens), expected, rtol=1e-5, atol=1e-5)


@every_decoder
def test_captions_of_a_picture_share_it_and_do_not_mix(kind: str) -> None:
    """Also in the order of ``tokens[:, 1:]``, which rows of all captions have."""
    model = decoder(kind, batch_norm=True).eval()
    features, tokens = example()
    with torch.no_grad():
        together = logits(model, features, PICTURE, tokens)
        alone = [
            logits(model, features[picture][None], torch.tensor([0]), caption[None])
            for picture, caption in zip(PICTURE, tokens, strict=True)
        ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-5)


@every_decoder
def test_padding_does_not_count(kind: str) -> None:
    model = decoder(kind)
    features, tokens = example()
    padded = torch.cat([tokens, torch.zeros(CAPTIONS, 7, dtype=torch.long)], 1)
    losses = [caption_loss(model, features, PICTURE, told) for told in (padded, tokens)]
    torch.testing.assert_close(*losses, rtol=1e-6, atol=1e-6)


@every_decoder
def test_the_loss_is_a_mean_over_words_not_over_captions(kind: str) -> None:
    model = decoder(kind).eval()
    features, tokens = example()
    real = (tokens[:, 1:] != 0).sum(1)
    with torch.no_grad():
        losses = [caption_loss(model, features, PICTURE[[row]], tokens[[row]]) for row in range(CAPTIONS)]
        everything = caption_loss(model, features, PICTURE, tokens)
    torch.testing.assert_close(everything, (torch.stack(losses) * real).sum() / real.sum())


@every_decoder
@pytest.mark.parametrize("tied", [False, True])
def test_one_batch_can_be_learnt_by_heart(kind: str, tied: bool) -> None:
    model = decoder(kind, tied=tied, embedding=24, doubly_stochastic=0.0, layers=1)
    features, tokens = example()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        # One caption for each picture: which of several to begin nobody could learn.
        loss = caption_loss(model, features, torch.tensor([2, 0, 1]), tokens[:3])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss.item() < 0.1


@every_decoder
def test_all_weights_and_the_picture_are_learnt_from(kind: str) -> None:
    model = decoder(kind)
    features, tokens = example()
    caption_loss(model, features.requires_grad_(), PICTURE, tokens).backward()  # type: ignore[no-untyped-call]
    for name, weight in [*model.named_parameters(), ("features", features)]:
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


@every_decoder
def test_reduced_precision_changes_little(kind: str) -> None:
    model = decoder(kind, batch_norm=True)
    features, tokens = example()
    with torch.autocast("cpu", torch.bfloat16):
        loss = caption_loss(model, features, PICTURE, tokens)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(GOLDEN[kind], rel=3e-3)
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)


@every_decoder
@pytest.mark.parametrize("cells", [1, 4])
def test_one_caption_of_one_picture_can_be_learnt_from_with_batch_norm(kind: str, cells: int) -> None:
    """Batches of one caption length end in single captions, which have no variance where cells are pooled."""
    shape = SHAPE._replace(cells=cells)
    model = decoder(kind, shape, batch_norm=True)
    features, tokens = example(shape)
    caption_loss(model, features, PICTURE, tokens)
    before = {name: value.clone() for name, value in model.named_buffers()}
    assert before
    assert torch.isfinite(caption_loss(model, features[:1], torch.tensor([0]), tokens[:1]))
    for name, value in model.named_buffers():
        assert torch.equal(value, before[name]) is (cells == 1 or kind.startswith("lstm")), name


@every_decoder
def test_a_state_says_what_belongs_to_pictures_and_never_copies_it(kind: str) -> None:
    model, features = decoder(kind).eval(), example()[0]
    state = model.init(features)
    wide = state.select(torch.tensor([0, 0, 1, 1, 2, 2]))
    assert all(wide.pictures[name] is seen for name, seen in state.pictures.items())
    _, after = model.step(torch.full((6,), 1), wide)
    assert all(after.pictures[name] is seen for name, seen in state.pictures.items())
    assert {len(value) for value in after.candidates.values()} == {6}
    kept = after.select(torch.tensor([1, 1, 2, 2, 5, 5]))
    for name, value in after.candidates.items():
        assert torch.equal(kept.candidates[name][0], value[1])


@pytest.mark.parametrize("kind", ATTENTIVE)
def test_attention_says_for_each_word_where_it_looks(kind: str) -> None:
    model = sharp(attentive(kind))
    features, tokens = example()
    weights = model.attend(features, PICTURE, tokens)
    real = tokens[:, 1:] != 0
    assert weights.shape == (CAPTIONS, 8, SHAPE.cells)
    torch.testing.assert_close(weights.sum(-1), real.float())
    torch.testing.assert_close(
        weights[3], model.attend(features[2:], torch.tensor([0]), tokens[[3]])[0], rtol=1e-5, atol=1e-6
    )
    assert (weights[real].max(-1).values > 1.2 / SHAPE.cells).any()


@pytest.mark.parametrize("kind", ATTENTIVE)
def test_what_was_said_before_decides_where_to_look(kind: str) -> None:
    model = sharp(attentive(kind))
    features, tokens = example()
    weights = model.attend(features, PICTURE, tokens)[0]
    tokens[0, 3] = 29
    changed = model.attend(features, PICTURE, tokens)[0]
    torch.testing.assert_close(weights[:3], changed[:3])
    assert (weights[3:] - changed[3:]).abs().max() > 0.01


@pytest.mark.parametrize("kind", ["attention", "updown"])
def test_the_penalty_is_that_of_cells_not_looked_at_once_and_only_in_training(kind: str) -> None:
    model = attentive(kind, doubly_stochastic=0.7)
    features, tokens = example()
    looked = model.attend(features, PICTURE, tokens).sum(1)
    expected = 0.7 * ((1 - looked) ** 2).mean()
    torch.testing.assert_close(model(features, PICTURE, tokens).penalty, expected)
    with_penalty = caption_loss(model, features, PICTURE, tokens)
    assert model.eval()(features, PICTURE, tokens).penalty == 0
    torch.testing.assert_close(with_penalty - expected, caption_loss(model, features, PICTURE, tokens))


def test_the_transformer_tells_of_its_last_layer_as_the_parallel_pass_has_it() -> None:
    model = decoder("transformer").eval()
    assert isinstance(model, TransformerDecoder)
    features, tokens = example()
    last, given = model.layers[-1], []
    last.register_forward_pre_hook(lambda _, inputs: given.append(inputs))
    model(features, PICTURE, tokens)
    weights = model.attend(features, PICTURE, tokens)[tokens[:, 1:] != 0]
    torch.testing.assert_close(weights, last.weights(*given[0])[: len(weights)])
