"""Which captions of a picture are most like all of them."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

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


@given(st.lists(st.lists(WORDS, min_size=1, max_size=3), min_size=1, max_size=4), st.data())
@settings(max_examples=50)
def test_it_is_the_mean_cider_d_against_all_captions_of_the_picture(
    documents: list[list[list[int]]], data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, 4))
    said = data.draw(st.lists(st.lists(WORDS, min_size=count, max_size=count), min_size=1, max_size=3))
    longest = max(len(caption) for picture in said for caption in picture)
    tokens = np.array([[c + [PAD] * (longest - len(c)) for c in picture] for picture in said])
    told = [(3 * row, caption) for row, picture in enumerate(documents) for caption in picture]  # with gaps
    known = Captions(
        np.array([word for _, caption in told for word in caption]),
        np.array([len(caption) for _, caption in told]),
        np.array([row for row, _ in told]),
    )
    wanted = [[sum(cider_d(c, d, documents) for d in picture) / count for c in picture] for picture in said]
    np.testing.assert_allclose(Agreement(known)(tokens), wanted, rtol=0, atol=1e-9)
