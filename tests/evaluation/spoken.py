"""Captions of pictures, drawn, for what compares n-grams."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from capflow.evaluation.ngrams import Captions
from capflow.text.vocabulary import PAD

Words = Sequence[int]
WORDS = st.lists(st.integers(2, 5), min_size=1, max_size=6)


def grams(caption: Words, n: int) -> Counter[tuple[int, ...]]:
    return Counter(tuple(caption[at : at + n]) for at in range(len(caption) - n + 1))


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


def several(data: st.DataObject, pictures: int, least: int = 1) -> list[list[list[int]]]:
    """Equally many captions of each of some pictures, drawn."""
    count = data.draw(st.integers(least, 4))
    of_one = st.lists(WORDS, min_size=count, max_size=count)
    return data.draw(st.lists(of_one, min_size=pictures, max_size=pictures))
