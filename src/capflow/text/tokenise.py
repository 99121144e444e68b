"""From a caption to words, by NLTK's word tokeniser (the Penn Treebank's rules, without data files)."""

import re

from nltk.tokenize import word_tokenize

# Line and paragraph separators, tabs and control characters: all become spaces.
_SEPARATORS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")


def clean(caption: str) -> str:
    """One line: separators and control characters become spaces, spaces do not repeat."""
    return _SEPARATORS.sub(" ", caption).strip()


def tokenise(caption: str, *, punctuation: bool) -> list[str]:
    """The words of a caption, in lower case.

    Args:
        caption: as people wrote it.
        punctuation: whether tokens without a letter or digit are kept, as the tutorials do.
    """
    tokens: list[str] = word_tokenize(clean(caption).lower(), preserve_line=True)
    return tokens if punctuation else [token for token in tokens if any(map(str.isalnum, token))]
