"""Words and their ids."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capflow.errors import CapflowError
from capflow.text.vocabulary import END, PAD, SPECIALS, START, UNK, Vocabulary

WORDS = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=5)
COUNTS = st.dictionaries(WORDS.filter(lambda word: word not in SPECIALS), st.integers(3, 6), min_size=1)


def vocabulary(*words: str) -> Vocabulary:
    return Vocabulary((*SPECIALS, *words), punctuation=False)


def test_frequent_words_come_first_and_equals_in_alphabetical_order() -> None:
    counts = {"dog": 5, "zebra": 7, "cat": 5, "rare": 4}
    words = Vocabulary.from_counts(counts, threshold=5, punctuation=True)
    assert words == Vocabulary((*SPECIALS, "zebra", "cat", "dog"), punctuation=True)
    assert (PAD, START, END, UNK) == (0, 1, 2, 3)


def test_no_frequent_word_is_an_error() -> None:
    with pytest.raises(CapflowError, match=r"vocab\.threshold is 5, .* of 2 words is seen 2 times"):
        Vocabulary.from_counts({"a": 2, "b": 1}, threshold=5, punctuation=False)
    with pytest.raises(CapflowError, match="of 0 words is seen 0 times"):
        Vocabulary.from_counts({}, threshold=1, punctuation=False)


def test_words_that_are_not_known_share_one_id() -> None:
    words = vocabulary("a", "dog")
    assert words.ids(["a", "blue", "dog"]) == [4, UNK, 5]
    assert "dog" in words
    assert "blue" not in words
    assert len(words) == 6


def test_decoding_ends_at_the_first_end_and_drops_special_words() -> None:
    assert vocabulary("a", "dog").decode([START, 4, UNK, 5, PAD, 4, END, 5]) == "a dog a"
    assert vocabulary("a").decode([]) == ""


@given(COUNTS, st.data())
def test_decoding_undoes_numbering(counts: dict[str, int], data: st.DataObject) -> None:
    words = Vocabulary.from_counts(counts, threshold=1, punctuation=False)
    tokens = data.draw(st.lists(st.sampled_from(sorted(counts))))
    ids = words.ids(tokens)
    assert words.decode([START, *ids, END]) == " ".join(tokens)
    assert UNK not in ids


@given(COUNTS, st.randoms())
def test_the_order_of_counting_does_not_matter(counts: dict[str, int], random: Any) -> None:
    shuffled = list(counts.items())
    random.shuffle(shuffled)
    first, second = (
        Vocabulary.from_counts(each, threshold=3, punctuation=False) for each in (counts, dict(shuffled))
    )
    assert first.to_json() == second.to_json()
    assert set(first.words) == {*SPECIALS, *counts}


@given(COUNTS, st.booleans())
def test_json_there_and_back(counts: dict[str, int], punctuation: bool) -> None:
    words = Vocabulary.from_counts(counts, threshold=1, punctuation=punctuation)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.json"
        path.write_text(words.to_json(), encoding="utf-8")
        assert Vocabulary.read(path) == words


GOOD = [*SPECIALS, "a"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], "exactly the keys"),
        ({"words": GOOD}, "exactly the keys"),
        ({"words": GOOD, "punctuation": True, "size": 5}, "exactly the keys"),
        ({"words": GOOD, "punctuation": 1}, "`punctuation` is 1"),
        ({"words": "a", "punctuation": True}, "begins with <pad>"),
        ({"words": ["a"], "punctuation": True}, "begins with <pad>"),
        ({"words": ["<start>", "<end>", "<unk>", "a"], "punctuation": True}, "begins with <pad>"),
        ({"words": [*GOOD, "a"], "punctuation": True}, r"words\[5\] is 'a', as an earlier"),
        ({"words": [*GOOD, "<pad>"], "punctuation": True}, r"words\[5\] is '<pad>', as an earlier"),
        ({"words": [*GOOD, "b c"], "punctuation": True}, r"words\[5\] is 'b c', not a word"),
        ({"words": [*GOOD, ""], "punctuation": True}, r"words\[5\] is '', not a word"),
        ({"words": [*GOOD, 7], "punctuation": True}, r"words\[5\] is 7, not a word"),
    ],
)
def test_wrong_files_are_named(content: Any, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "vocab.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CapflowError, match=rf"^{path}: .*{problem}"):
        Vocabulary.read(path)
