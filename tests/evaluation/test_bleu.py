"""BLEU-4 against pycocoevalcap's, picture by picture, on captions that nobody would write and on others."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu

from capflow.evaluation.bleu import Bleu4
from capflow.evaluation.ngrams import Captions, Words

# Few words, so that they repeat; captions of none and of one.
CAPTION = st.lists(st.sampled_from(["a", "b", "c"]), max_size=9).map(" ".join)
REFERENCES = st.lists(CAPTION, min_size=1, max_size=4)
PICTURES = st.lists(REFERENCES, min_size=1, max_size=5)


def peer(references: Sequence[list[str]], said: Sequence[tuple[int, str]]) -> list[float]:
    """The BLEU-4 of each caption of a picture by pycocoevalcap, which takes one caption of each."""
    _, scores = Bleu(4).compute_score(
        {place: references[row] for place, (row, _) in enumerate(said)},
        {place: [text] for place, (_, text) in enumerate(said)},
        verbose=0,
    )
    return list(scores[3])


def scores(references: Sequence[list[str]], said: Sequence[tuple[int, str]]) -> list[float]:
    words = Words()
    bleu = Bleu4(words.captions(references))
    captions = words.captions([text] for _, text in said)
    rows = np.array([row for row, _ in said], np.int64)
    return list(bleu(Captions(captions.words, captions.lengths, rows)))


@settings(max_examples=60)
@given(PICTURES, st.data())
def test_any_captions_of_any_pictures(references: list[list[str]], data: st.DataObject) -> None:
    said = data.draw(
        st.lists(st.tuples(st.integers(0, len(references) - 1), CAPTION), min_size=1, max_size=6)
    )
    np.testing.assert_allclose(scores(references, said), peer(references, said), rtol=0, atol=1e-12)


def test_hundreds_of_captions() -> None:
    choice = random.Random(0)
    common = ["a", "dog", "on", "the", "red", "box"] * 3 + [f"rare{number}" for number in range(40)]

    def sentence() -> str:
        return " ".join(choice.choices(common, k=choice.randint(0, 14)))

    references = [[sentence() for _ in range(5)] for _ in range(300)]
    said = [(row, choice.choice([sentence(), references[row][1]])) for row in range(300) for _ in range(2)]
    found = scores(references, said)
    np.testing.assert_allclose(found, peer(references, said), rtol=0, atol=1e-12)
    assert min(found) < 0.01 < 0.9 < max(found) <= 1


def test_of_two_references_as_near_the_shorter_one_counts() -> None:
    # Five words against four and six: no penalty.
    assert scores([["v w x y", "a b c d e f"]], [(0, "a b c d e")]) == pytest.approx([1])


def test_no_captions() -> None:
    assert scores([["a b"]], []) == []
