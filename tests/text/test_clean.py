"""Captions as lines: cleaned for the model, unbroken for the scores."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capflow.text.clean import one_line, unbroken

# Lone surrogates too: JSON can hold them.
TEXT = st.text(st.characters(exclude_categories=[]), max_size=30)
SEPARATORS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        (" a  dog\truns \n", "a dog runs"),
        ("one\r\ntwo\x85three\u2028four\x00five\x7fsix", "one two three four five six"),
        ("ÉTÉ à\xa0Paris", "ÉTÉ à Paris"),
        ("犬 🐻 👩\u200d🚒 नमस्ते", "犬 🐻 👩\u200d🚒 नमस्ते"),
        ("\x00\u2029 ", ""),
    ],
)
def test_one_way_to_clean(raw: str, clean: str) -> None:
    assert one_line(raw) == clean


@given(TEXT)
def test_one_line_is_one_line_of_single_spaces(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line == " ".join(line.split())
    assert line.encode().decode() == line
    assert one_line(line) == line


@given(st.text(st.characters(exclude_characters=SEPARATORS)))
def test_scores_see_the_raw_text(text: str) -> None:
    assert unbroken(text) == text


@given(st.text(st.sampled_from([*SEPARATORS, "a", " ", "\t"])))
def test_scores_see_no_line_separator(text: str) -> None:
    assert len(unbroken(text).splitlines()) <= 1
    assert one_line(unbroken(text)) == one_line(text)
