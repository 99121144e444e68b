"""Which captions of a picture are most like others of it."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from capflow.evaluation.agreement import Agreement
from tests.evaluation.spoken import DOCUMENTS, Words, grams, numbered, padded, several


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


@given(DOCUMENTS, st.integers(1, 3), st.data())
@settings(max_examples=50)
def test_it_is_the_mean_cider_d_against_those_drawn_but_itself(
    documents: list[list[list[int]]], pictures: int, data: st.DataObject
) -> None:
    said, voters = several(data, pictures), several(data, pictures, least=2)
    agree = Agreement(numbered([(row, c) for row, told in enumerate(documents) for c in told]))
    drawn = len(voters[0])
    wanted = [
        [sum(cider_d(c, d, documents) for d in asked) / drawn for c in picture]
        + [
            sum(cider_d(c, d, documents) for place, d in enumerate(asked) if place != own) / (drawn - 1)
            for own, c in enumerate(asked)
        ]
        for picture, asked in zip(said, voters, strict=True)
    ]
    every = padded([picture + asked for picture, asked in zip(said, voters, strict=True)])
    np.testing.assert_allclose(agree(every, drawn), wanted, rtol=0, atol=1e-9)
