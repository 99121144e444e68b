"""Words of captions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capflow.text.tokenise import tokenise
from capflow.text.vocabulary import SPECIALS

# Lone surrogates too: JSON can hold them.
TEXT = st.text(st.characters(exclude_categories=[]), max_size=30)


@pytest.mark.parametrize(
    ("caption", "with_punctuation", "without"),
    [
        ("A dog runs.", "a dog runs .", "a dog runs"),
        ("The man's hat, isn't it?", "the man 's hat , is n't it ?", "the man 's hat is n't it"),
        ("ÉTÉ  in\tParis", "été in paris", "été in paris"),
        ("one\r\ntwo\x85three\u2028four\x00five", "one two three four five", "one two three four five"),
        ("3 cats & 2.5 dogs", "3 cats & 2.5 dogs", "3 cats 2.5 dogs"),
        (" ... \n", "...", ""),
    ],
)
def test_words(caption: str, with_punctuation: str, without: str) -> None:
    assert tokenise(caption, punctuation=True) == with_punctuation.split()
    assert tokenise(caption, punctuation=False) == without.split()


@given(TEXT)
def test_tokens_are_single_words_and_never_special(text: str) -> None:
    tokens = tokenise(text, punctuation=True)
    assert all(token.split() == [token] for token in tokens)
    assert not set(tokens) & set(SPECIALS)
    assert [t for t in tokens if any(map(str.isalnum, t))] == tokenise(text, punctuation=False)


@pytest.mark.parametrize("special", SPECIALS)
def test_a_caption_cannot_hold_a_special_word(special: str) -> None:
    assert special not in tokenise(f"a {special} b", punctuation=True)
