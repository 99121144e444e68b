"""The search, against exhaustive and one-at-a-time references, on decoders small enough for them."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from capflow.models.decoder import Shape
from capflow.models.generate import Search, candidates, generate
from capflow.models.lstm import LSTMDecoder
from tests.tiny import params

START, END, UNK = 1, 2, 3


def decoder(seed: int, words: int = 8) -> LSTMDecoder:
    torch.manual_seed(seed)
    sizes = {"embedding": 6, "hidden": 7, "layers": 2, "dropout": 0.3, "batch_norm": True}
    model = LSTMDecoder(params(decoder=sizes).decoder, Shape(1, 5, words)).eval()
    with torch.no_grad():
        # Sharper than at first, so that beams differ from each other.
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def search(beam: int, length: int = 6, penalty: float = 0.0) -> Search:
    return Search(
        start=START,
        end=END,
        barred=(0, START, UNK),
        beam=beam,
        max_length=length,
        length_penalty=penalty,
    )


def features(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 1, 5, generator=torch.Generator().manual_seed(seed))


def log_p(model: LSTMDecoder, picture: Tensor, words: list[int]) -> float:
    """log p of a caption by teacher forcing, with the barred words taken out."""
    tokens = torch.tensor([[START, *words]])
    with torch.no_grad():
        logits = model.words(model(picture[None], torch.tensor([0]), tokens).hidden)
    logits[:, [0, START, UNK]] = -torch.inf
    return float(logits.log_softmax(-1).gather(1, tokens[0, 1:, None]).sum())


def classic_beam(model: LSTMDecoder, picture: Tensor, what: Search) -> tuple[list[int], float]:
    """Beam search for one picture, written plainly: a caption that ends takes its place along."""
    beams: list[tuple[list[int], float]] = [([], 0.0)]
    ended: list[tuple[list[int], float]] = []
    for _ in range(what.max_length):
        grown = [
            ([*words, word], log_p(model, picture, [*words, word]))
            for words, _ in beams
            for word in range(model.vocabulary.out_features)
            if word not in what.barred
        ]
        best = sorted(grown, key=lambda item: -item[1])[: what.beam - len(ended)]
        ended += [item for item in best if item[0][-1] == END]
        beams = [item for item in best if item[0][-1] != END]
        if not beams:
            break
    return max(ended or beams, key=lambda item: item[1] / len(item[0]) ** what.length_penalty)


@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([0.0, 0.7, 1.0]))
@settings(max_examples=25, deadline=None)
def test_batched_beams_equal_the_classic_search(seed: int, beam: int, penalty: float) -> None:
    model, pictures, what = decoder(seed), features(3, seed), search(beam, penalty=penalty)
    tokens, scores = generate(model, pictures, what)
    for row, picture in enumerate(pictures):
        words, score = classic_beam(model, picture, what)
        padded = words + [END] * (what.max_length + 1 - len(words))
        assert tokens[row].tolist() == padded
        assert scores[row].item() == pytest.approx(score, abs=1e-4)


def test_a_wide_beam_finds_the_best_of_all_captions() -> None:
    model, pictures, what = decoder(3, words=6), features(4), search(beam=64, length=3)
    _, scores = generate(model, pictures, what)
    captions = [[*words, END] for length in range(3) for words in itertools.product((4, 5), repeat=length)]
    for picture, score in zip(pictures, scores, strict=True):
        assert score.item() == pytest.approx(
            max(log_p(model, picture, words) for words in captions), abs=1e-4
        )


@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0]))
@settings(max_examples=15, deadline=None)
def test_with_hints_the_best_is_the_likeliest_with_what_its_words_are_worth_once(
    seed: int, penalty: float
) -> None:
    model, pictures, what = decoder(seed, words=6), features(4, seed), search(64, 3, penalty)
    hints = 3 * torch.randn(4, 6, generator=torch.Generator().manual_seed(seed))
    said, scores = candidates(model, pictures, what, hints)
    every = [[*words, END] for length in range(3) for words in itertools.product((4, 5), repeat=length)]
    for picture, worth, tokens, found in zip(pictures, hints.tolist(), said.tolist(), scores, strict=True):
        value = {
            tuple(words): (log_p(model, picture, words) + sum(worth[word] for word in {*words}))
            / len(words) ** penalty
            for words in every
        }
        best = max(value, key=value.__getitem__)
        assert tokens[0] == [*best, *[END] * (4 - len(best))]
        assert found[0].item() == pytest.approx(log_p(model, picture, [*best]), abs=1e-3)


def test_hints_steer_a_narrow_beam_and_none_changes_nothing() -> None:
    model, pictures, what = decoder(1), features(6), search(2)
    plain = candidates(model, pictures, what)
    for hints in None, torch.zeros(6, 8):
        for found, wanted in zip(candidates(model, pictures, what, hints), plain, strict=True):
            torch.testing.assert_close(found, wanted)
    steered, _ = candidates(model, pictures, what, torch.eye(8)[torch.full((6,), 7)] * 50)
    assert (steered[:, 0] == 7).sum(-1).eq(1).all(), "said by all, and once: it is worth nothing again"
    assert not (plain[0] == 7).any(-1).all()


def test_beam_one_is_greedy() -> None:
    model, pictures = decoder(5), features(4)
    tokens, _ = generate(model, pictures, search(1))
    with torch.no_grad():
        state, token = model.init(pictures), torch.full((4,), START)
        said = []
        for _ in range(6):
            logits, state = model.step(token, state)
            logits[:, [0, START, UNK]] = -torch.inf
            token = logits.argmax(-1)
            said.append(token)
    for row, greedy in enumerate(torch.stack(said, 1).tolist()):
        until = greedy.index(END) + 1 if END in greedy else len(greedy)
        assert tokens[row, :until].tolist() == greedy[:until]


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_barred_words_are_never_said_and_rows_do_not_mix(seed: int, beam: int, count: int) -> None:
    model, pictures = decoder(seed), features(count, seed)
    tokens, _ = generate(model, pictures, search(beam))
    assert not set(tokens.flatten().tolist()) & {0, START, UNK}
    alone = torch.cat([generate(model, picture[None], search(beam))[0] for picture in pictures])
    assert torch.equal(tokens, alone)
