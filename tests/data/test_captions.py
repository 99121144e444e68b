"""Encoded captions: there and back, as matrices, and damaged ones."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from capflow.data.annotations import Annotations
from capflow.data.captions import EncodedCaptions, TokenisedCaptions, tokenise_all
from capflow.errors import CapflowError
from capflow.text.vocabulary import END, SPECIALS, START, Vocabulary

WORDS = ("a", "dog", "runs")
VOCABULARY = Vocabulary((*SPECIALS, *WORDS), punctuation=False)
Told = list[tuple[int, list[str]]]
CAPTIONS = st.lists(
    st.tuples(st.integers(0, 2**40), st.lists(st.sampled_from((*WORDS, "blue")), min_size=1, max_size=9))
)


def encode(captions: Told) -> EncodedCaptions:
    return EncodedCaptions.encode(TokenisedCaptions.of(captions), VOCABULARY)


def saved(folder: Path) -> EncodedCaptions:
    """Two captions in ``folder``, beside their vocabulary."""
    (folder.parent / "vocab.json").write_text(VOCABULARY.to_json(), encoding="utf-8")
    encoded = encode([(7, ["a", "dog"]), (9, ["a", "blue", "dog", "runs"])])
    encoded.save(folder)
    return encoded


def test_captions_without_a_word_are_left_out() -> None:
    split = Annotations(
        [{"id": 5, "file_name": "5.jpg"}],
        [
            {"id": 0, "image_id": 5, "caption": "?!"},
            {"id": 1, "image_id": 5, "caption": "A dog."},
        ],
    )
    assert tokenise_all(split, punctuation=False) == TokenisedCaptions(["a", "dog"], [2], [5])
    assert tokenise_all(split, punctuation=True).lengths == [2, 3]


def test_arrays() -> None:
    encoded = encode([(7, ["a", "dog"]), (8, []), (9, ["blue"])])
    assert encoded.tokens.tolist() == [1, 4, 5, 2, 1, 3, 2]
    assert encoded.offsets.tolist() == [0, 4, 7]
    assert encoded.images.tolist() == [7, 9]
    assert encoded.lengths.tolist() == [4, 3]
    assert encoded.padded(np.array([1, 0])).tolist() == [[1, 3, 2, 0], [1, 4, 5, 2]]


@given(CAPTIONS)
def test_rows_of_the_matrix_are_the_captions(captions: Told) -> None:
    encoded = encode(captions)
    matrix = encoded.padded(np.arange(len(captions)))
    for row, length, (_, tokens) in zip(matrix.tolist(), encoded.lengths, captions, strict=True):
        assert row[:length] == [START, *VOCABULARY.ids(tokens), END]
        assert not any(row[length:])


@pytest.mark.parametrize("count", [0, 3])
def test_there_and_back(count: int, tmp_path: Path) -> None:
    saved(tmp_path / "train")
    encoded = encode([(2**40, ["dog"])] * count)
    encoded.save(tmp_path / "train")
    loaded = EncodedCaptions.load(tmp_path / "train")
    for name in ("tokens", "offsets", "images"):
        assert isinstance(getattr(loaded, name), np.memmap)
        np.testing.assert_array_equal(getattr(loaded, name), getattr(encoded, name), strict=True)


# Two captions from saved(): tokens 1 4 5 2 | 1 4 3 5 6 2, offsets 0 4 10, images 7 9.
@pytest.mark.parametrize(
    ("name", "array", "problem"),
    [
        ("tokens", np.array([1, 4, 5, 2, 1, 4, 3, 5, 7, 2], np.int32), "ids outside of 0 to 6"),
        ("tokens", np.array([1, 4, 5, 2, 1, 4, 3, 5, -1, 2], np.int32), "ids outside of 0 to 6"),
        ("tokens", np.array([1, 4, 5, 2, 4, 4, 3, 5, 6, 2], np.int32), "from start to end"),
        ("tokens", np.array([1, 4, 5, 2, 1, 4, 3, 5, 6, 6], np.int32), "from start to end"),
        ("tokens", np.array([1, 4, 5, 2], np.int32), "rise from 0 to 4"),
        ("tokens", np.zeros(10, np.int64), "int64"),
        ("tokens", np.zeros((5, 2), np.int32), "not a row"),
        ("offsets", np.array([0, 10, 4], np.int64), "rise"),
        ("offsets", np.array([4, 4, 10], np.int64), "rise"),
        ("offsets", np.array([0, 9, 10], np.int64), "rise"),
        ("offsets", np.array([0, 10], np.int64), "2 places for 2 captions"),
        ("offsets", np.array([], np.int64), "0 places for 2 captions"),
        ("images", np.array([7], np.int64), "3 places for 1 captions"),
        ("images", np.array([7.0, 9.0]), "float64"),
    ],
)
def test_files_that_do_not_fit_are_named(
    name: str, array: NDArray[np.generic], problem: str, tmp_path: Path
) -> None:
    saved(tmp_path / "train")
    np.save(tmp_path / "train" / f"{name}.npy", array)
    with pytest.raises(CapflowError, match=problem):
        EncodedCaptions.load(tmp_path / "train")


def test_missing_and_torn_files_are_named(tmp_path: Path) -> None:
    saved(tmp_path / "train")
    path = tmp_path / "train/tokens.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CapflowError, match=rf"^{path}: cannot be mapped"):
        EncodedCaptions.load(tmp_path / "train")
    path.write_bytes(b"")
    with pytest.raises(CapflowError, match=rf"^{path}: cannot be mapped"):
        EncodedCaptions.load(tmp_path / "train")
    path.unlink()
    with pytest.raises(CapflowError, match=rf"^{path}: there is no such file"):
        EncodedCaptions.load(tmp_path / "train")


def test_ends_are_marked(tmp_path: Path) -> None:
    encoded = saved(tmp_path / "train")
    assert set(encoded.tokens[encoded.offsets[:-1]]) == {START}
    assert set(encoded.tokens[encoded.offsets[1:] - 1]) == {END}
