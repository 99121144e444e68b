"""Which captions of a picture are most like all of them."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capflow.evaluation.agreement import Agreement
from capflow.evaluation.ngrams import Captions
from capflow.text.vocabulary import PAD

Words = Sequence[int]
WORDS = st.lists(st.integers(2, 5), min_size=1, max_size=6)


def grams(caption: Words, n: int) -> Counter[tuple[int, ...]]:
    return Counter(tuple(caption[at : at + n]) for at in range(len(caption) - n + 1))


def cider_d(one: Words, other: Words, documents: Sequence[Sequence[Words]]) -> float:
    """The formula of the paper, word for word."""
    total = 0.0
    for n in range(1, 5):
        has = Counter(gram for told in documents for gram in {gram for c in told for gram in grams(c, n)})
        a, b = (
            {gram: times * math.log(len(documents) / max(1, has[gram])) for gram, times in counted.items()}
            for counted in (grams(one, n), grams(other, n))
        )
        norms = math.hypot(*a.values()) * math.hypot(*b.values())
        if norms > 0:
            total += sum(min(weight, b[gram]) * b[gram] for gram, weight in a.items() if gram in b) / norms
    return 10 / 4 * total * math.exp(-((len(one) - len(other)) ** 2) / 72)


def numbered(told: Sequence[tuple[int, Words]]) -> Captions:
    """Captions with the rows of their pictures."""
    return Captions(
        np.array([word for _, caption in told for word in caption], np.int64),
        np.array([len(caption) for _, caption in told], np.int64),
        np.array([row for row, _ in told], np.int64),
    )


def padded(said: Sequence[Sequence[Words]]) -> NDArray[np.int64]:
    longest = max(len(caption) for picture in said for caption in picture)
    return np.array([[[*c, *[PAD] * (longest - len(c))] for c in picture] for picture in said])


DOCUMENTS = st.lists(st.lists(WORDS, min_size=1, max_size=3), min_size=1, max_size=4)


def several(data: st.DataObject, pictures: int) -> list[list[list[int]]]:
    """Equally many captions of each of some pictures, drawn."""
    count = data.draw(st.integers(1, 4))
    of_one = st.lists(WORDS, min_size=count, max_size=count)
    return data.draw(st.lists(of_one, min_size=pictures, max_size=pictures))


@given(DOCUMENTS, st.integers(1, 3), st.data())
@settings(max_examples=50)
def test_it_is_the_mean_cider_d_against_all_captions_of_the_picture(
    documents: list[list[list[int]]], pictures: int, data: st.DataObject
) -> None:
    said = several(data, pictures)
    agree = Agreement(numbered([(3 * row, c) for row, told in enumerate(documents) for c in told]))
    wanted = [
        [sum(cider_d(c, d, documents) for d in picture) / len(picture) for c in picture] for picture in said
    ]
    np.testing.assert_allclose(agree(padded(said)), wanted, rtol=0, atol=1e-9)


@given(DOCUMENTS, st.integers(1, 3), st.data())
@settings(max_examples=50)
def test_with_pictures_it_is_the_mean_against_all_captions_of_these(
    documents: list[list[list[int]]], pictures: int, data: st.DataObject
) -> None:
    said, count = several(data, pictures), data.draw(st.integers(1, 3))
    chosen = st.lists(st.integers(0, len(documents) - 1), min_size=count, max_size=count)
    others = data.draw(st.lists(chosen, min_size=pictures, max_size=pictures))
    agree = Agreement(numbered([(3 * row, c) for row, told in enumerate(documents) for c in told]))
    wanted = []
    for picture, rows in zip(said, others, strict=True):
        told = [caption for row in rows for caption in documents[row]]
        wanted.append([sum(cider_d(c, d, documents) for d in told) / len(told) for c in picture])
    np.testing.assert_allclose(agree.with_pictures(padded(said), np.array(others)), wanted, rtol=0, atol=1e-9)
