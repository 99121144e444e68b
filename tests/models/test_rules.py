"""What may be said: words said before, lengths; in searches of every kind and in samples."""

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from capflow.models.generate import Search, candidates
from capflow.models.rules import Rules
from capflow.models.sampling import Sampling, sample
from tests.models.test_generate import END, START, UNK, decoder, features, log_p, search

BARRED = (0, START, UNK)


def captions_of(tokens: Tensor) -> list[list[int]]:
    """The words of each caption, without the end."""
    return [
        list(itertools.takewhile(lambda word: word != END, row)) for row in tokens.flatten(0, -2).tolist()
    ]


def repeats(words: list[int], size: int) -> bool:
    runs = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
    return len(runs) != len(set(runs))


def said(kind: str, seed: int, rules: Rules) -> list[list[int]]:
    """All candidates that a search ends with, or some samples."""
    model, pictures = decoder(seed), features(2, seed)
    if kind == "sample":
        chance = torch.Generator().manual_seed(seed)
        return captions_of(sample(model, pictures, Sampling(**vars(rules)), 5, chance)[0])
    groups = 2 if kind == "diverse" else 1
    what = Search(**vars(rules), beam=4, length_penalty=0.0, groups=groups, diversity=1.0)
    tokens, scores = candidates(model, pictures, what)
    return captions_of(tokens[~scores.isneginf()][None])


@pytest.mark.parametrize("kind", ["beam", "diverse", "sample"])
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(0, 8))
@settings(max_examples=20)
def test_no_run_of_words_comes_twice_and_captions_are_long_enough(
    kind: str, seed: int, size: int, least: int
) -> None:
    rules = Rules(start=START, end=END, barred=BARRED, max_length=9, min_length=least, no_repeat=size)
    found = said(kind, seed, rules)
    assert found
    assert not any(repeats(words, size) for words in found)
    # Of four words, each of which may be said once, nothing longer can be made.
    assert min(map(len, found)) >= (min(least, 4) if size == 1 else least)


@pytest.mark.parametrize("kind", ["beam", "diverse", "sample"])
def test_without_rules_there_are_repetitions_and_short_captions(kind: str) -> None:
    rules = Rules(start=START, end=END, barred=BARRED, max_length=9)
    found = [words for seed in range(10) for words in said(kind, seed, rules)]
    assert any(repeats(words, 2) for words in found)
    assert any(len(words) < 2 for words in found)


@given(st.integers(0, 10_000), st.sampled_from([0, 1, 2]), st.integers(0, 3))
@settings(max_examples=20)
def test_a_beam_wide_enough_finds_the_best_of_all_captions_that_rules_allow(
    seed: int, size: int, least: int
) -> None:
    """The scores are log p of the decoder: forbidden words give theirs to no other."""
    model, pictures = decoder(seed, words=7), features(1, seed)
    what = replace(search(128, length=3), no_repeat=size, min_length=least)
    tokens, scores = candidates(model, pictures, what)
    allowed = [
        [*words, END][:4]
        for length in range(least, 4)
        for words in itertools.product((4, 5, 6), repeat=length)
        if not (size and repeats(list(words), size))
    ]
    # A caption of max_length words ends without saying so, and comes after those that do.
    ended = {tuple(words): log_p(model, pictures[0], words) for words in allowed if len(words) < 4}
    cut = {tuple(words): log_p(model, pictures[0], words[:3]) for words in allowed if len(words) == 4}
    wanted = sorted(ended.values(), reverse=True) + sorted(cut.values(), reverse=True)
    found = scores[0][~scores[0].isneginf()]
    torch.testing.assert_close(found, torch.tensor(wanted), atol=1e-4, rtol=1e-4)
    assert {tuple(words) for words in captions_of(tokens[:, : len(found)])} == {
        tuple(itertools.takewhile(lambda word: word != END, words)) for words in ended | cut
    }


def test_one_word_after_another_is_barred_row_by_row() -> None:
    rules = Rules(start=0, end=1, barred=(0,), max_length=9, no_repeat=2)
    rows = torch.tensor([[0, 2, 3, 2], [0, 2, 2, 3], [0, 3, 3, 3]])
    barred = rules.restrict(torch.zeros(3, 5), rows).isneginf()
    assert [row.nonzero().flatten().tolist() for row in barred] == [[0, 3], [0], [3]]
