"""Captions as words: the tokens that the model learns and says.

Scores have tokens of their own, see :mod:`capflow.evaluation.ptb`.
"""

from capflow.text.clean import one_line


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
