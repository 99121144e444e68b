"""How well captions fit what other pictures' captions let expect."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capflow.evaluation.cider import CiderD, rarities
from capflow.evaluation.expectation import Expectation
from tests.evaluation.spoken import DOCUMENTS, Words, grams, numbered, padded, several

Vector = dict[tuple[int, ...], float]


def direction(caption: Words, n: int, documents: Sequence[Sequence[Words]], once: bool = False) -> Vector:
    """The caption's n-grams by weight, divided by the length of their vector."""
    has = Counter(gram for told in documents for gram in {gram for c in told for gram in grams(c, n)})
    idf = {g: math.log(len(documents) / max(1, has[g])) for g in grams(caption, n)}
    length = math.hypot(*(times * idf[gram] for gram, times in grams(caption, n).items()))
    parts = {gram: (1 if once else times) * idf[gram] for gram, times in grams(caption, n).items()}
    return {gram: part / length if length else 0.0 for gram, part in parts.items()}


def expected(caption: Words, weights: Sequence[float], documents: Sequence[Sequence[Words]]) -> float:
    """The formula, word for word."""
    total = 0.0
    for n in range(1, 5):
        own = direction(caption, n, documents, once=True)
        for weight, told in zip(weights, documents, strict=True):
            for other in told:
                theirs = direction(other, n, documents)
                total += weight / len(told) * sum(own[g] * theirs[g] for g in own if g in theirs)
    lengths = [len(other) for told in documents for other in told]
    usual = sum(math.exp(-((len(caption) - length) ** 2) / 72) for length in lengths) / len(lengths)
    return 10 / 4 * usual * total


@given(DOCUMENTS, st.integers(1, 3), st.data())
@settings(max_examples=50)
def test_it_is_the_weighted_mean_of_the_products_of_directions(
    documents: list[list[list[int]]], pictures: int, data: st.DataObject
) -> None:
    said = several(data, pictures)
    one = st.lists(st.floats(-2, 2), min_size=len(documents), max_size=len(documents))
    weights = data.draw(st.lists(one, min_size=pictures, max_size=pictures))
    fit = Expectation(numbered([(row, c) for row, told in enumerate(documents) for c in told]))
    wanted = [
        [expected(caption, of, documents) for caption in picture]
        for picture, of in zip(said, weights, strict=True)
    ]
    found = fit(padded(said), torch.tensor(weights, dtype=torch.float64))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)


@given(DOCUMENTS, st.data())
@settings(max_examples=50)
def test_a_word_is_worth_what_is_expected_of_it_in_a_caption_like_most(
    documents: list[list[list[int]]], data: st.DataObject
) -> None:
    one = st.lists(st.floats(-2, 2), min_size=len(documents), max_size=len(documents))
    weights = data.draw(st.lists(one, min_size=1, max_size=3))
    every = [caption for told in documents for caption in told]
    has = [{word for caption in told for word in caption} for told in documents]
    idf = [math.log(len(documents) / max(1, sum(word in words for words in has))) for word in range(8)]
    lengths = [math.hypot(*(n * idf[word] for word, n in Counter(c).items())) for c in every]
    usual = sum(lengths) / len(lengths) or 1

    def worth(word: int, weights: Sequence[float]) -> float:
        theirs = [
            sum(direction(caption, 1, documents).get((word,), 0) for caption in told) / len(told)
            for told in documents
        ]
        return 10 / 4 * idf[word] / usual * sum(w * part for w, part in zip(weights, theirs, strict=True))

    wanted = [[worth(word, of) for word in range(8)] for of in weights]
    fit = Expectation(numbered([(row, c) for row, told in enumerate(documents) for c in told]))
    found = fit.words(torch.tensor(weights, dtype=torch.float64), 8)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)


def test_with_one_picture_it_is_cider_d_against_its_captions() -> None:
    words = np.random.default_rng(0).permuted(np.tile(np.arange(4, 24), (12, 1)), axis=1)[:, :7].tolist()
    documents = numbered([(row // 2, caption) for row, caption in enumerate(words)])
    # Captions of one length that repeat no word: the factors for lengths are 1, and nothing is clipped.
    said = [words[1][:3] + words[5][:4], words[6][:3] + words[1][1:5], words[1]]
    fit = Expectation(documents)(padded([said]), torch.eye(6)[:1])
    wanted = CiderD(numbered([(0, words[0]), (0, words[1])]), rarities(documents))(
        numbered([(0, c) for c in said])
    )
    np.testing.assert_allclose(fit[0], wanted, rtol=0, atol=1e-9)
    assert wanted[2] > wanted[0] > 0
