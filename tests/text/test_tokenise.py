"""Words of captions."""

import re
from itertools import product

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
RUN = st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("".join)
NASTY = st.lists(RUN, max_size=5).map(" ".join)
# Two of these side by side show every way in which NLTK sees beyond a blank, and some in which it might.
PLAIN = ["a", "3", ".", "a.", "3.", "a..", "a,", "3:", ";", "--", "a's", "isn't", "cannot", "wanna", "not"]
QUOTED = ["a'", "'a", "'", "''", "''a", "a''", '"', '"a', 'a"', '""', "`", "`a", "\u201c", "'s", "'tis"]
RUNS = [*PLAIN, *QUOTED, *")]}>\xbb\u201d\u2019", "(", "<", "a)"]


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


def nltk(text: str) -> list[str]:
    return list(word_tokenize(one_line(text).lower(), preserve_line=True))


@given(NASTY | TEXT)
@settings(max_examples=200)
def test_words_are_those_of_nltk(text: str) -> None:
    assert tokenise(text, punctuation=True) == nltk(text)
    assert ONE(text) == nltk(text)  # which remembers all that came before


def test_runs_side_by_side_are_those_of_nltk() -> None:
    for first, second in product(RUNS, repeat=2):
        assert ONE(f"{first} {second}") == nltk(f"{first} {second}")


@pytest.mark.parametrize("word", ["cannot", "gimme", "gonna", "gotta", "lemme", "wanna", "d'ye", "more'n"])
def test_contractions_are_split_wherever_they_stand(word: str) -> None:
    for text in (word, f"{word} a", f"a {word}", f"{word}, a", f"a {word}.", f"a-{word} {word}-a"):
        assert ONE(text) == nltk(text)
        assert word not in ONE(text)


def test_nltk_splits_no_other_word() -> None:
    """What stands in its rules without punctuation is in the tests above; a new NLTK may know more."""
    rules = NLTKWordTokenizer.CONTRACTIONS2 + NLTKWordTokenizer.CONTRACTIONS3
    known = {re.sub(r"\(\?[^)]*\)|\\b|[() ]", "", rule.pattern) for rule in rules}
    assert known <= {*CLITICS, *SPLIT}


def test_nltk_is_asked_once_for_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, asked = Tokeniser(punctuation=False), []

    def ask(line: str, *, preserve_line: bool) -> list[str]:
        asked.append(line)
        return list(word_tokenize(line, preserve_line=preserve_line))

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
