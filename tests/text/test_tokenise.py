"""Words of captions."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk import NLTKWordTokenizer, word_tokenize

from capflow.text.clean import one_line
from capflow.text.tokenise import Tokeniser
from capflow.text.vocabulary import SPECIALS

# Lone surrogates too: JSON can hold them.
TEXT = st.text(st.characters(exclude_categories=[]), max_size=30)
# All that any of NLTK's rules looks for, and what may stand beside it: quotes and dashes beyond ASCII,
# letters that change when lowered, or that equal i and s where case is ignored.
MARKS = [*" ,.:;?!'\"`()[]{}<>@#$%&*-_/|\\+=~^", "''", "``", "--", "...", "..", ". ", " .", ", "]
QUOTES = [*"\xab\xbb\u2018\u2019\u201c\u201d\u201e\u2012\u2013\u2014\u2015"]
WORDS = ["a", "dog", "Is", "3", "2.5", "é", "犬", "x", "U.S.", "\u0130", "\u017f", "\u03a3", "\ufb00"]
CLITICS = ["n't", "'s", "'S", "'ll", "'re", "'ve", "'d", "'m", "'t", "can", "not", "cannot", "gimme", "wanna"]
SPLIT = ["gonna", "gotta", "lemme", "d'ye", "more'n", "'tis", "'twas", "whaddya", "whatcha", "g\u0131mme"]
PIECES = [*MARKS, *QUOTES, " ", " ", *WORDS, *CLITICS, *SPLIT]
NASTY = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def tokenise(caption: str, *, punctuation: bool) -> list[str]:
    return Tokeniser(punctuation=punctuation)(caption)


@pytest.mark.parametrize(
    ("caption", "with_punctuation", "without"),
    [
        ("A dog runs.", "a dog runs .", "a dog runs"),
        ("The man's hat, isn't it?", "the man 's hat , is n't it ?", "the man 's hat is n't it"),
        ("ÉTÉ  in\tParis", "été in paris", "été in paris"),
        ("one\r\ntwo\x85three\u2028four\x00five", "one two three four five", "one two three four five"),
        ("3 cats & 2.5 dogs", "3 cats & 2.5 dogs", "3 cats 2.5 dogs"),
        (" ... \n", "...", ""),
        ("", "", ""),
    ],
)
def test_words(caption: str, with_punctuation: str, without: str) -> None:
    assert tokenise(caption, punctuation=True) == with_punctuation.split()
    assert tokenise(caption, punctuation=False) == without.split()


ONE = Tokeniser(punctuation=True)


@given(NASTY | TEXT)
@settings(max_examples=300)
def test_words_are_those_of_nltk(text: str) -> None:
    nltk = word_tokenize(one_line(text).lower(), preserve_line=True)
    assert tokenise(text, punctuation=True) == nltk
    assert ONE(text) == nltk  # which remembers all that came before


def test_nltk_splits_no_other_word() -> None:
    """What stands in its rules without punctuation is in the tests above; a new NLTK may know more."""
    rules = NLTKWordTokenizer.CONTRACTIONS2 + NLTKWordTokenizer.CONTRACTIONS3
    known = {re.sub(r"\(\?[^)]*\)|\\b|[() ]", "", rule.pattern) for rule in rules}
    assert known <= {*CLITICS, *SPLIT}


def test_nltk_is_asked_once_for_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, asked = Tokeniser(punctuation=False), []
    nltk = ours._nltk

    def ask(line: str, *, preserve_line: bool) -> list[str]:
        asked.append(line)
        return list(nltk(line, preserve_line=preserve_line))

    monkeypatch.setattr(ours, "_nltk", ask)
    for _ in range(3):
        assert ours("A well-kept dog, isn't it, a cat.")[:5] == ["a", "well-kept", "dog", "is", "n't"]
    assert asked == ["well-kept x", "isn't x"]


@given(TEXT)
def test_tokens_are_single_words_and_never_special(text: str) -> None:
    tokens = tokenise(text, punctuation=True)
    assert all(token.split() == [token] for token in tokens)
    assert not set(tokens) & set(SPECIALS)
    assert [t for t in tokens if any(map(str.isalnum, t))] == tokenise(text, punctuation=False)


@pytest.mark.parametrize("special", SPECIALS)
def test_a_caption_cannot_hold_a_special_word(special: str) -> None:
    assert special not in tokenise(f"a {special} b", punctuation=True)
