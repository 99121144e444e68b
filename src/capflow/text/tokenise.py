"""Captions as words: the tokens that the model learns and says.

Scores have tokens of their own, see :mod:`capflow.evaluation.ptb`.
"""

import unicodedata

# Control characters, lone surrogates, line and paragraph separators: nothing that a person wrote on
# purpose, and some of them end a line where the others do not.
_BLANK = frozenset({"Cc", "Cs", "Zl", "Zp"})


def tokenise(caption: str, *, punctuation: bool) -> list[str]:
    """Lower-case words by NLTK's tokeniser, the caption being one sentence.

    No token holds a blank or is one of the vocabulary's special words.

    Args:
        caption: raw text.
        punctuation: whether tokens without any letter or digit stay.
    """
    # NLTK takes seconds to import, and whoever only decodes needs none of it.
    from nltk import word_tokenize

    tokens: list[str] = word_tokenize(one_line(caption).lower(), preserve_line=True)
    return [token for token in tokens if punctuation or any(map(str.isalnum, token))]


def one_line(text: str) -> str:
    """The text with each run of blanks, line separators and control characters as one space."""
    # Nearly all captions are printable, and this says so without a look at each character.
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(letter) in _BLANK else letter for letter in text)
    return " ".join(text.split())
