"""What holds for every decoder: golden losses, steps that equal the parallel pass, captions by themselves."""

from dataclasses import replace
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from capflow.models.captioner import DECODERS
from capflow.models.decoder import AttentiveDecoder, Decoder, Shape, State, Told
from capflow.models.generate import Search, generate
from capflow.params import DecoderParams
from capflow.training.loop import caption_loss
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
SEARCH = Search(start=1, end=2, barred=(0, 1, 3), beam=3, max_length=7, length_penalty=0.0)

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


def step_by_step(model: Decoder, state: State, tokens: Tensor) -> Tensor:
    """Logits in the order of ``tokens[:, 1:]`` without its padding."""
    said = []
    for place in range(tokens.shape[1] - 1):
        words, state = model.step(tokens[:, place], state)
        said.append(words)
    return torch.stack(said, 1)[tokens[:, 1:] != 0]


def sharp(model: Kind) -> Kind:
    """The decoder with larger weights, which says different things of different pictures."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.mul_(1 if "norm" in name or "embed" in name else 4)
    return model.eval()


def greedy(model: Decoder, features: Tensor) -> list[int]:
    """The likeliest word each time, by the parallel pass, for one picture."""
    said = [SEARCH.start]
    for _ in range(SEARCH.max_length):
        with torch.no_grad():
            last = logits(model, features, torch.tensor([0]), torch.tensor([[*said, SEARCH.end]]))[-1]
        last[list(SEARCH.barred)] = -torch.inf
        said.append(int(last.argmax()))
        if said[-1] == SEARCH.end:
            break
    return said[1:] + [SEARCH.end] * (SEARCH.max_length + 2 - len(said))


class Anew(Decoder):
    """A decoder that remembers only words, and reads all of them again in each step."""

    def __init__(self, model: Decoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, picture: Tensor, tokens: Tensor) -> Told:
        told: Told = self.model(features, picture, tokens)
        return told

    def words(self, hidden: Tensor) -> Tensor:
        return self.model.words(hidden)

    def init(self, features: Tensor) -> State:
        return State({"features": features}, {"said": torch.empty(len(features), 0, dtype=torch.long)})

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        said = torch.cat([state.candidates["said"], token[:, None]], 1)
        features = state.pictures["features"]
        picture = torch.arange(len(features)).repeat_interleave(len(token) // len(features))
        tokens = torch.nn.functional.pad(said, (0, 1), value=SEARCH.end)
        last = logits(self.model, features, picture, tokens).view(*said.shape, -1)[:, -1]
        return last, State(state.pictures, {"said": said})


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
    assert torch.isfinite(caption_loss(model, features[:1], torch.tensor([0]), tokens[:1]))


@every_decoder
@pytest.mark.parametrize("cells", [1, 4])
def test_a_search_of_many_pictures_says_what_one_picture_gets_alone(kind: str, cells: int) -> None:
    shape = SHAPE._replace(cells=cells)
    model, features = sharp(decoder(kind, shape)), example(shape)[0]
    tokens, scores = generate(model, features, SEARCH)
    for row, picture in enumerate(features):
        alone, score = generate(model, picture[None], SEARCH)
        assert tokens[row].tolist() == alone[0].tolist()
        torch.testing.assert_close(scores[[row]], score, rtol=1e-4, atol=1e-4)


@every_decoder
def test_beam_one_is_greedy(kind: str) -> None:
    model, features = sharp(decoder(kind)), example()[0]
    tokens, _ = generate(model, features, replace(SEARCH, beam=1))
    for row, picture in enumerate(features):
        assert tokens[row].tolist() == greedy(model, picture[None])


@every_decoder
def test_a_search_that_remembers_equals_one_that_reads_everything_anew(kind: str) -> None:
    model, features = sharp(decoder(kind)), example()[0]
    tokens, scores = generate(model, features, SEARCH)
    again, anew = generate(Anew(model), features, SEARCH)
    assert torch.equal(tokens, again)
    torch.testing.assert_close(scores, anew, rtol=1e-4, atol=1e-4)


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
