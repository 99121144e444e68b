"""Diverse beams, and all the candidates that a search ends with."""

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from capflow.models.generate import Search, candidates, generate
from capflow.models.lstm import LSTMDecoder
from tests.models.test_generate import END, START, UNK, decoder, features, log_p, search

SEEDS = st.integers(0, 10_000)


@given(SEEDS, st.integers(1, 3), st.integers(1, 3), st.sampled_from([0.0, 1.0]))
@settings(max_examples=20)
def test_groups_that_need_not_differ_each_find_what_a_beam_of_their_width_finds(
    seed: int, width: int, groups: int, penalty: float
) -> None:
    model, pictures = decoder(seed), features(3, seed)
    tokens, scores = candidates(model, pictures, search(width, penalty=penalty))
    many = replace(search(width * groups, penalty=penalty), groups=groups)
    again, same = candidates(model, pictures, many)
    assert torch.equal(again, tokens.repeat_interleave(groups, 1))
    torch.testing.assert_close(same, scores.repeat_interleave(groups, 1))


def plain(model: LSTMDecoder, picture: Tensor, what: Search) -> list[list[int]]:
    """Diverse beams of width one for one picture, written plainly."""
    captions: list[list[int]] = [[] for _ in range(what.groups)]
    for _ in range(what.max_length):
        taken: list[int] = []
        for words in captions:
            if END in words:
                continue
            values = {
                word: log_p(model, picture, [*words, word]) - what.diversity * taken.count(word)
                for word in range(model.vocabulary.out_features)
                if word not in (0, START, UNK)
            }
            words.append(max(values, key=lambda word: values[word]))
            taken.append(words[-1])
    return captions


@given(SEEDS, st.integers(2, 4), st.floats(0.1, 5))
@settings(max_examples=15)
def test_a_group_avoids_the_words_that_earlier_groups_have_just_said(
    seed: int, groups: int, diversity: float
) -> None:
    model, pictures = decoder(seed), features(2, seed)
    what = replace(search(groups), groups=groups, diversity=diversity)
    tokens, scores = candidates(model, pictures, what)
    for row, picture in enumerate(pictures):
        wanted = [words + [END] * (7 - len(words)) for words in plain(model, picture, what)]
        assert sorted(tokens[row].tolist()) == sorted(wanted)
        for caption, score in zip(tokens[row].tolist(), scores[row], strict=True):
            words = caption[: caption.index(END) + 1] if END in caption[:6] else caption[:6]
            assert abs(log_p(model, picture, words) - float(score)) < 1e-4


def test_diverse_beams_say_more_different_captions() -> None:
    model, pictures = decoder(5), features(20)
    kinds = [
        len({tuple(words) for words in generate_all(model, pictures, groups, diversity)})
        for groups, diversity in ((1, 0.0), (4, 3.0))
    ]
    assert kinds[1] > kinds[0]


def generate_all(model: LSTMDecoder, pictures: Tensor, groups: int, diversity: float) -> list[list[int]]:
    """The first two words of all candidates."""
    what = replace(search(4), groups=groups, diversity=diversity)
    starts: list[list[int]] = candidates(model, pictures, what)[0][:, :, :2].flatten(0, 1).tolist()
    return starts


@given(SEEDS, st.integers(1, 5), st.sampled_from([0.0, 0.7]))
@settings(max_examples=20)
def test_candidates_differ_come_best_first_and_begin_with_the_caption(
    seed: int, beam: int, penalty: float
) -> None:
    model, pictures, what = decoder(seed), features(3, seed), search(beam, penalty=penalty)
    tokens, scores = candidates(model, pictures, what)
    best, score = generate(model, pictures, what)
    assert torch.equal(tokens[:, 0], best)
    assert torch.equal(scores[:, 0], score)
    for words, values in zip(tokens.tolist(), scores.tolist(), strict=True):
        found = [
            (tuple(said), value) for said, value in zip(words, values, strict=True) if value > -torch.inf
        ]
        assert len(set(found)) == len(found) >= min(beam, 5)
        ended = [END in said[:6] for said, _ in found]
        assert ended == sorted(ended, reverse=True)
        ranks = [value / (said.index(END) + 1) ** penalty for said, value in found if END in said[:6]]
        assert ranks == sorted(ranks, reverse=True)
