"""What is counted in captions, and the sentence on captions that are too much alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capflow.data.captions import EncodedCaptions, TokenisedCaptions
from capflow.evaluation.variety import doubt, variety
from capflow.params import Params
from tests.tiny import VOCABULARY, params

Texts = list[str]
texts = st.lists(st.lists(st.sampled_from(VOCABULARY.words[4:]), min_size=1, max_size=3).map(" ".join))


def encoded(captions: Texts) -> EncodedCaptions:
    tokenised = TokenisedCaptions.of((1, caption.split()) for caption in captions)
    return EncodedCaptions.encode(tokenised, VOCABULARY)


def told(captions: Texts, references: Texts = ["a", "a ball"], chosen: Params = params()) -> str | None:  # noqa: B006, B008
    return doubt(variety(captions, encoded(references), encoded([]), VOCABULARY), chosen)


def test_captions_are_counted() -> None:
    said = ["a red ball", "the box", "a red ball", "", "red a ball"]
    counted = variety(said, encoded(["a ball", "the table", "box"]), encoded(["the box", "a"]), VOCABULARY)
    assert counted.figures == {
        "mean_length": 2.2,
        "mean_reference_length": 1.6667,
        "captions": 5,
        "distinct": 4,
        "novel": 4,
        "words_said": 5,
        "words_known": 8,
        "captions_by_length": [1, 0, 1, 3],
        "references_by_length": [0, 1, 2],
    }


@given(texts, texts)
def test_new_is_what_training_did_not_show(captions: Texts, train: Texts) -> None:
    counted = variety(captions, encoded([]), encoded(train), VOCABULARY)
    assert counted.novel == sum(caption not in train for caption in captions)


def test_a_training_caption_with_an_unknown_word_is_nobodys() -> None:
    train = EncodedCaptions.encode(TokenisedCaptions.of([(1, ["a", "zebra"])]), VOCABULARY)
    assert (train.tokens == 3).any()
    assert variety(["a"], encoded([]), train, VOCABULARY).novel == 1


def test_captions_that_differ_are_not_doubted() -> None:
    assert told(["a ball", "a red ball"]) is None
    assert told(["a ball"]) is None
    assert told([]) is None


@pytest.mark.parametrize(
    ("caption", "chosen", "cause"),
    [
        ("a ball", params(), "random weights (encoder.weights: none)"),
        ("a ball", params(encoder={"trainable": True}), "(train.epochs)"),
        ("a ball", params(encoder={"weights": "imagenet"}), "(train.epochs)"),
        ("", params(), "they are empty"),
    ],
)
def test_the_same_caption_of_all_pictures_has_a_cause(caption: str, chosen: Params, cause: str) -> None:
    sentence = told([caption] * 3, chosen=chosen)
    assert sentence is not None
    assert sentence.startswith("All 3 captions are the same: ")
    assert cause in sentence


def test_captions_of_one_length_have_a_cause() -> None:
    same, cut = told(["a ball", "the box"]), told(["a ball " * 4, "the box " * 4])
    assert same is not None
    assert same.startswith("All 2 captions have 2 words, and people's have not: the model knows one pattern")
    assert cut is not None
    assert "cut off (generate.max_length)" in cut
    assert told(["a ball", "the box"], ["the table", "a table"]) is None


def test_many_captions_are_counted_without_a_copy_of_their_words() -> None:
    captions = encoded(["a red ball on the table"])
    many = EncodedCaptions(np.tile(captions.tokens, 50_000), np.arange(50_001) * 8, np.ones(50_000, np.int64))
    assert variety(["a red ball on the table", "a"], captions, many, VOCABULARY).novel == 1
