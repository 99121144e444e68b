"""CIDEr-D against pycocoevalcap's, on captions that nobody would write and on many that people might."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocoevalcap.cider.cider import Cider

from capflow.evaluation.cider import CiderD, rarities
from capflow.evaluation.ngrams import Captions, Words, count

# Few words, so that they repeat; captions of none and of one; blanks that part no words.
CAPTION = st.lists(st.sampled_from(["a", "b", "c", "", "ä"]), max_size=9).map(" ".join)
PICTURE = st.tuples(CAPTION, st.lists(CAPTION, min_size=1, max_size=4))
# pycocoevalcap wants one word somewhere.
PICTURES = st.lists(PICTURE, min_size=1, max_size=6).filter(
    lambda pictures: any("".join(references).strip() for _, references in pictures)
)
COMMON = ["a", "dog", "on", "the", "red", "box"] * 3 + [f"rare{number}" for number in range(40)]
Pictures = Sequence[tuple[str, list[str]]]


def peer(pictures: Pictures) -> list[float]:
    """The score of each picture by pycocoevalcap; its total is their mean."""
    total, rows = Cider().compute_score(
        {row: references for row, (_, references) in enumerate(pictures)},
        {row: [said] for row, (said, _) in enumerate(pictures)},
    )
    assert total == pytest.approx(np.mean(rows), abs=1e-12)
    return list(rows)


def prepared(pictures: Pictures) -> tuple[Captions, Captions]:
    """The references and the hypotheses."""
    words = Words()
    references = words.captions(references for _, references in pictures)
    return references, words.captions([said] for said, _ in pictures)


def prepared_scorer(pictures: Pictures) -> tuple[CiderD, Words]:
    words = Words()
    return CiderD(words.captions(references for _, references in pictures)), words


def on(words: Words, said: list[str], rows: list[int]) -> Captions:
    """Hypotheses of the images in ``rows``."""
    captions = words.captions([text] for text in said)
    return Captions(captions.words, captions.lengths, np.array(rows, np.int64))


def sentence(choice: random.Random) -> str:
    return " ".join(choice.choices(COMMON, k=choice.randint(0, 14)))


@settings(max_examples=40)
@given(PICTURES)
def test_tiny_captions(pictures: Pictures) -> None:
    references, hypotheses = prepared(pictures)
    np.testing.assert_allclose(CiderD(references)(hypotheses), peer(pictures), rtol=0, atol=1e-12)


def test_hundreds_of_captions() -> None:
    choice = random.Random(0)
    pictures = [(sentence(choice), [sentence(choice) for _ in range(5)]) for _ in range(400)]
    # Some say what a reference says, and score highly.
    pictures = [(said if row % 3 else told[-1], told) for row, (said, told) in enumerate(pictures)]
    references, hypotheses = prepared(pictures)
    scores = CiderD(references)(hypotheses)
    np.testing.assert_allclose(scores, peer(pictures), rtol=0, atol=1e-12)
    assert 0 < scores.min() + 1 < 2 < scores.max() < 10 + 1e-9


@settings(max_examples=40)
@given(PICTURES, st.data())
def test_any_number_of_hypotheses_of_some_images(pictures: Pictures, data: st.DataObject) -> None:
    """Each as if it were the only one, in whatever order they come."""
    cider, words = prepared_scorer(pictures)
    rows = data.draw(st.lists(st.integers(0, len(pictures) - 1), max_size=6))
    said = data.draw(st.lists(CAPTION, min_size=len(rows), max_size=len(rows)))
    scores = cider(on(words, said, rows))
    for score, text, row in zip(scores, said, rows, strict=True):
        alone = list(pictures)
        alone[row] = (text, pictures[row][1])
        assert score == pytest.approx(peer(alone)[row], abs=1e-12)


@settings(max_examples=40)
@given(PICTURES, PICTURES)
def test_frequencies_of_other_documents(pictures: Pictures, others: Pictures) -> None:
    """References of some images, weighed as among those of all."""
    words = Words()
    everything = [references for _, references in (*pictures, *others)]
    cider = CiderD(words.captions(everything[: len(pictures)]), rarities(words.captions(everything)))
    scores = cider(words.captions([said] for said, _ in pictures))
    np.testing.assert_allclose(scores, peer([*pictures, *others])[: len(pictures)], rtol=0, atol=1e-12)


def test_the_numbers_of_words_do_not_matter() -> None:
    choice = random.Random(1)
    references, hypotheses = prepared([(sentence(choice), [sentence(choice)] * 2) for _ in range(50)])
    numbers = np.random.default_rng(0).choice(2**31, 1000, replace=False)
    scores = CiderD(references)(hypotheses)
    other = CiderD(renumbered(references, numbers))(renumbered(hypotheses, numbers))
    np.testing.assert_allclose(other, scores, rtol=0, atol=1e-12)


def renumbered(captions: Captions, numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Captions:
    return Captions(numbers[captions.words], captions.lengths, captions.images)


def test_counts() -> None:
    captions = Words().captions([["a b a b", ""], ["b a b"]])
    pairs = list(count(captions, lambda _, keys: np.arange(len(keys))))[1]
    # "a b" is 0 and "b a" is 1, as a came before b.
    assert [pairs.gram.tolist(), pairs.caption.tolist(), pairs.times.tolist()] == [
        [0, 0, 1, 1],
        [0, 2, 0, 2],
        [2, 1, 1, 1],
    ]
