"""Captions drawn at random: how often, from which words, and from which seed."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from capflow.models.decoder import State
from capflow.models.generate import generate
from capflow.models.sampling import Sampling, _draw, _going_on, end_once, sample
from capflow.text.vocabulary import PAD
from tests.decoders import decoder as any_decoder
from tests.decoders import every_decoder, example, logits, sharp
from tests.models.test_generate import END, START, UNK, decoder, features, log_p, search

SAMPLING = Sampling(start=START, end=END, barred=(0, START, UNK), max_length=6)
# The chi-square values that chance exceeds once in a thousand, by degrees of freedom.
RARE = {1: 10.83, 2: 13.82, 3: 16.27, 4: 18.47}


def chance(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def first_words(seed: int) -> Tensor:
    """p of the first word of a picture, float64 [words]."""
    model, picture = decoder(seed), features(1, seed)[0]
    words = range(model.vocabulary.out_features)
    barred = SAMPLING.barred
    told = [-torch.inf if word in barred else log_p(model, picture, [word]) for word in words]
    return torch.tensor(told, dtype=torch.float64).softmax(0)


def narrowed(p: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """The probabilities that words are drawn with, one word after another."""
    ranked = sorted(enumerate((p ** (1 / temperature)).tolist()), key=lambda item: -item[1])
    ranked = ranked[: top_k or None]
    total, reached, kept = sum(value for _, value in ranked), 0.0, torch.zeros_like(p)
    for word, value in ranked:
        if reached >= top_p:
            break
        kept[word], reached = value, reached + value / total
    return kept / kept.sum()


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"temperature": 2.0},
        {"temperature": 0.5},
        {"top_k": 2},
        {"top_p": 0.9},
        {"temperature": 3.0, "top_k": 4, "top_p": 0.8},
    ],
)
def test_words_are_drawn_as_often_as_their_probabilities_say(how: dict[str, Any]) -> None:
    count = 4000
    tokens, _ = sample(decoder(2), features(1, 2), replace(SAMPLING, max_length=1, **how), count, chance(0))
    usual = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
    wanted = count * narrowed(first_words(2), **usual | how)
    drawn = torch.bincount(tokens[0, :, 0], minlength=len(wanted)).double()
    assert not drawn[wanted == 0].any()
    live = wanted > 0
    assert live.sum() > 1
    distance = float(((drawn[live] - wanted[live]).square() / wanted[live]).sum())
    assert distance < RARE[int(live.sum()) - 1]


@given(st.integers(0, 10_000), st.sampled_from([{"top_k": 1}, {"top_p": 1e-6}]))
@settings(max_examples=20)
def test_the_likeliest_word_alone_is_greedy_search(seed: int, how: dict[str, Any]) -> None:
    model, pictures = decoder(seed), features(3, seed)
    tokens, scores = sample(model, pictures, replace(SAMPLING, **how), 2, chance(seed))
    greedy, log = generate(model, pictures, search(1))
    assert torch.equal(tokens, greedy[:, None].expand(-1, 2, -1))
    torch.testing.assert_close(scores.sum(-1), log[:, None].expand(-1, 2))


@given(st.integers(0, 10_000), st.lists(st.integers(1, 3), min_size=1, max_size=4))
@settings(max_examples=15)
def test_captions_depend_on_the_seed_and_not_on_the_batch(seed: int, parts: list[int]) -> None:
    model, pictures = decoder(seed), features(sum(parts), seed)
    tokens, scores = sample(model, pictures, SAMPLING, 3, chance(seed))
    generator = chance(seed)
    found = [sample(model, part, SAMPLING, 3, generator) for part in torch.split(pictures, parts)]
    assert torch.equal(torch.cat([said for said, _ in found]), tokens)
    torch.testing.assert_close(torch.cat([log for _, log in found]), scores)


def test_the_last_word_is_reached_by_the_largest_number_there_is() -> None:
    for size in (1, 3, 1000):
        last = _draw(torch.rand(50, size).log_softmax(-1), torch.full((50,), 1 - 2**-24), SAMPLING)
        assert set(last.tolist()) == {size - 1}


@given(
    st.integers(1, 5).flatmap(lambda k: st.lists(st.lists(st.booleans(), min_size=k, max_size=k), min_size=1))
)
def test_what_has_more_to_say_goes_on_and_as_much_of_each_picture(more: list[list[bool]]) -> None:
    count, width = len(more[0]), max(map(sum, more))
    going = _going_on(torch.tensor(more)).tolist()
    assert len(set(going)) == len(going)
    assert [row // count for row in going] == [picture for picture in range(len(more)) for _ in range(width)]
    assert {i * count + j for i, each in enumerate(more) for j, open_ in enumerate(each) if open_} <= {*going}


def test_nothing_is_computed_for_captions_that_have_ended() -> None:
    model, pictures = sharp(any_decoder("lstm")), example()[0]
    asked, step = [], model.step

    def count_rows(token: Tensor, state: State) -> tuple[Tensor, State]:
        asked.append(len(token))
        return step(token, state)

    model.step = count_rows  # type: ignore[method-assign]
    tokens, _ = sample(model, pictures, replace(SAMPLING, temperature=9.0), 20, chance(0))
    unfinished = [20, *(tokens[..., :-1] != END).sum(1).amax(0).tolist()]
    assert asked == [3 * width for width in unfinished if width][: SAMPLING.max_length]
    assert asked[-1] < asked[0]


def test_another_seed_draws_others() -> None:
    drawn = [sample(decoder(1), features(5), SAMPLING, 4, chance(seed))[0] for seed in (1, 2)]
    assert not torch.equal(*drawn)


@every_decoder
def test_log_p_is_that_of_teacher_forcing_word_by_word(kind: str) -> None:
    model, pictures = sharp(any_decoder(kind)), example()[0]
    how = replace(SAMPLING, temperature=2.0, top_k=8)
    tokens, scores = sample(model, pictures, how, 4, chance(0))
    said = tokens.flatten(0, 1)[:, :6]
    real = torch.cat([torch.ones(len(said), 1, dtype=torch.bool), said[:, :-1] != END], 1)
    whole = torch.nn.functional.pad(torch.where(real, said, 0), (1, 0), value=START)
    with torch.no_grad():
        told = logits(model, pictures, torch.arange(3).repeat_interleave(4), whole)
    told[:, list(SAMPLING.barred)] = -torch.inf
    wanted = told.log_softmax(-1).gather(1, said[real][:, None])[:, 0]
    torch.testing.assert_close(scores.flatten(0, 1)[real], wanted, rtol=1e-4, atol=1e-4)
    assert not scores.flatten(0, 1)[~real].any()
    assert not scores.requires_grad


def test_a_loss_of_drawn_captions_has_a_gradient() -> None:
    """The tokens are ordinary tensors, which the training can read again."""
    model, pictures = decoder(0), features(2)
    tokens, _ = sample(model, pictures, SAMPLING, 2, chance(0))
    assert not tokens.is_inference()
    whole = torch.nn.functional.pad(tokens.flatten(0, 1), (1, 0), value=START)
    told = model.words(model(pictures, torch.tensor([0, 0, 1, 1]), whole).hidden)
    told.log_softmax(-1).gather(1, whole[:, 1:].flatten()[:, None]).mean().backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None for weight in model.vocabulary.parameters())


def test_numbers_that_are_none_are_left_to_the_loss() -> None:
    model = any_decoder("lstm").eval()
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    drawn, _ = sample(model, example()[0], SAMPLING, 2, chance(0))
    assert not torch.isin(drawn, torch.tensor([0, START, UNK])).any()


def test_a_caption_ends_once() -> None:
    said = torch.tensor([[[5, END, END], [5, 6, 7], [END, END, END]]])
    assert end_once(said, END).tolist() == [[[5, END, PAD], [5, 6, 7], [END, PAD, PAD]]]
