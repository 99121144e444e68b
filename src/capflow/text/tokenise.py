"""Captions as words: the tokens that the model learns and says.

Scores have tokens of their own, see :mod:`capflow.evaluation.ptb`.
"""

import re
from functools import cache
from itertools import chain

from capflow.text.clean import one_line

# Where a rule of NLTK's looks beyond a blank: an opening quote is known by what stands before it, and a
# full stop is the last one even if closing quotes and brackets follow. All the other rules see nothing
# of the neighbours but the blank, or the end of the caption. (Behind a letter, an apostrophe is no quote.)
_ACROSS_BLANKS = re.compile(r"""["\])}>\xbb\u201d\u2019]|(?<!\w)'""")
# The only words without punctuation that NLTK splits.
_CONTRACTIONS = frozenset({"cannot", "gimme", "gonna", "gotta", "lemme", "wanna"})


class Tokeniser:
    """Lower-case words as NLTK's tokeniser gives them, the caption being one sentence.

    NLTK is asked once for each run of characters between blanks, not once for each caption: what it
    makes of nearly all runs does not depend on their neighbours, only on whether they come last. A
    caption that holds another kind goes to NLTK as it is.
    """

    def __init__(self, *, punctuation: bool) -> None:
        """Prepare NLTK.

        Args:
            punctuation: whether tokens without any letter or digit stay.
        """
        # NLTK takes seconds to import, and whoever only decodes needs none of it.
        from nltk import word_tokenize

        self._nltk, self._punctuation = word_tokenize, punctuation
        self._inner, self._last = cache(self._tokens_of_inner), cache(self._tokens_of_last)

    def __call__(self, caption: str) -> list[str]:
        """The tokens of a raw caption; none holds a blank or is one of the vocabulary's special words."""
        line = one_line(caption).lower()
        *inner, last = line.split(" ")
        runs = [*map(self._inner, inner), self._last(last)]
        if None in runs:
            return self._tokens(line)
        return list(chain.from_iterable(runs))  # type: ignore[arg-type] # none of them is None

    def _tokens_of_inner(self, run: str) -> list[str] | None:
        """The tokens of a run that another one follows; None where they depend on the neighbours."""
        if _is_word(word := run.removesuffix(",")):
            return self._kept([word, *run[len(word) :]])
        return None if _ACROSS_BLANKS.search(run) else self._tokens(f"{run} x")[:-1]

    def _tokens_of_last(self, run: str) -> list[str] | None:
        """The same of a run at the end of a caption."""
        if _is_word(word := run.removesuffix(".")):
            return self._kept([word, *run[len(word) :]])
        return None if _ACROSS_BLANKS.search(run) else self._tokens(run)

    def _tokens(self, line: str) -> list[str]:
        return self._kept(self._nltk(line, preserve_line=True))

    def _kept(self, tokens: list[str]) -> list[str]:
        return [token for token in tokens if self._punctuation or any(map(str.isalnum, token))]


def _is_word(run: str) -> bool:
    """Whether NLTK leaves a run alone, or parts it from the comma or last full stop behind it only."""
    return run.isascii() and run.isalnum() and run not in _CONTRACTIONS
