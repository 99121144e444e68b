"""How varied captions are: what no score of their agreement with others tells.

Devlin, Cheng, Fang, Gupta, Deng, He, Zweig, Mitchell: Language Models for Image Captioning: The Quirks and
What Works (ACL 2015) counts how many captions are unlike each other, and how many stood in training. Words
are those of the model (:mod:`capflow.text.tokenise`), for people's captions, too.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from capflow.data.captions import EncodedCaptions
from capflow.params import Params
from capflow.text.vocabulary import END, SPECIALS, START, Vocabulary


@dataclass(frozen=True)
class Variety:
    """What can be counted in captions.

    Attributes:
        captions: how many there are.
        distinct: how many different ones.
        novel: how many are none of the training captions.
        words_said: how many different words they hold.
        words_known: how many words the vocabulary has, without the special ones.
        captions_by_length: how many have 0, 1, 2 ... words.
        references_by_length: how many of people's captions of the same split have.
    """

    captions: int
    distinct: int
    novel: int
    words_said: int
    words_known: int
    captions_by_length: list[int]
    references_by_length: list[int]

    @property
    def figures(self) -> dict[str, int | float | list[int]]:
        """All of it by name, and the mean lengths, in words; DVC leaves the lists out of its tables."""
        means = {
            "mean_length": mean_length(self.captions_by_length),
            "mean_reference_length": mean_length(self.references_by_length),
        }
        return means | asdict(self)


def variety(
    captions: Collection[str], references: EncodedCaptions, train: EncodedCaptions, vocabulary: Vocabulary
) -> Variety:
    """Count what generated captions are like.

    Args:
        captions: words of the vocabulary, joined by spaces.
        references: people's captions of the same split.
        train: the training captions.
        vocabulary: what both are encoded with.
    """
    counts = Counter(captions)
    return Variety(
        captions=len(captions),
        distinct=len(counts),
        novel=sum(counts[caption] for caption in _novel(counts, train, vocabulary)),
        words_said=len({word for caption in counts for word in caption.split()}),
        words_known=len(vocabulary) - len(SPECIALS),
        captions_by_length=_by_length([len(caption.split()) for caption in captions]),
        references_by_length=_by_length(references.lengths - 2),
    )


def _novel(captions: Iterable[str], train: EncodedCaptions, vocabulary: Vocabulary) -> list[str]:
    """Those that training did not show."""
    coded = {caption: _code((START, *vocabulary.ids(caption.split()), END)) for caption in captions}
    content, size = _code(train.tokens), train.tokens.itemsize
    shown = (content[size * first : size * end] for first, end in pairwise(train.offsets.tolist()))
    known = set(coded.values()).intersection(shown)
    return [caption for caption, code in coded.items() if code not in known]


def _code(ids: ArrayLike) -> bytes:
    return np.asarray(ids, np.int32).tobytes()


def _by_length(lengths: ArrayLike) -> list[int]:
    counts: list[int] = np.bincount(np.asarray(lengths, np.int64)).tolist()
    return counts


def mean_length(by_length: list[int]) -> float:
    """The mean number of words; 0 where there is no caption."""
    return round(sum(words * count for words, count in enumerate(by_length)) / max(1, sum(by_length)), 4)


def doubt(told: Variety, params: Params) -> str | None:
    """One sentence with a likely cause where all captions are the same, or of one length; else None.

    People's captions have to be of more than one length for the second.
    """
    lengths = [words for words, count in enumerate(told.captions_by_length) if count]
    if told.captions < 2 or len(lengths) > 1:
        return None
    if told.distinct == 1:
        return f"All {told.captions:,} captions are the same: {_why_the_same(lengths[0], params)}."
    if np.count_nonzero(told.references_by_length) > 1:
        why = _why_one_length(lengths[0], params)
        return f"All {told.captions:,} captions have {lengths[0]} words, and people's have not: {why}."
    return None


def _why_the_same(words: int, params: Params) -> str:
    encoder = params.encoder
    if not words:
        return "they are empty, so the model has learned only how captions end; see the curves of its loss"
    if encoder.weights == "none" and not encoder.trainable:
        return (
            "the encoder tells little of pictures, for it has random weights (encoder.weights: none) and "
            "does not learn (encoder.trainable: false)"
        )
    return (
        "the model has learned which words are frequent but not to look; most often training was too short "
        "(train.epochs) or its rate too high (train.lr), as the curves of the loss tell"
    )


def _why_one_length(words: int, params: Params) -> str:
    if words >= params.generate.max_length:
        return (
            "they end where they are cut off (generate.max_length), so that is too low, or the model has "
            "not learned yet how captions end (train.epochs)"
        )
    return "the model knows one pattern of sentence alone; most often training was too short (train.epochs)"
