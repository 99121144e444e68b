"""The n-grams of many captions as numbers, counted without a loop over captions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

LONGEST = 4
# An n-gram is known by the number of its first n-1 words, shifted by so many bits, and its last word.
_WORD_BITS = 31


@dataclass(frozen=True)
class Captions:
    """M captions of images.

    Attributes:
        words: int64 [T], the words of all captions, one after the other, as numbers from 0 to 2^31 - 1.
        lengths: int64 [M], the number of words of each caption; it may be 0.
        images: int64 [M], the row of the image that each caption belongs to, counted from 0.
    """

    words: Ids
    lengths: Ids
    images: Ids


class Words(dict[str, int]):
    """Numbers words as they come."""

    def __missing__(self, word: str) -> int:
        """The next number."""
        self[word] = number = len(self)
        return number

    def captions(self, texts: Iterable[Sequence[str]]) -> Captions:
        """The captions of each image in turn, their words parted by blanks; the first image is row 0."""
        captions = [(row, text.split()) for row, image in enumerate(texts) for text in image]
        words = chain.from_iterable(words for _, words in captions)
        return Captions(
            words=np.fromiter(map(self.__getitem__, words), np.int64),
            lengths=np.array([len(words) for _, words in captions], np.int64),
            images=np.array([row for row, _ in captions], np.int64),
        )


@dataclass(frozen=True)
class Counts:
    """How often n-grams of one length occur in captions: E entries by n-gram, then by caption.

    Attributes:
        keys: int64 [U], the different n-grams, ascending; what :func:`count` numbers.
        gram: int64 [E], the number of the n-gram.
        caption: int64 [E], the caption that holds it.
        times: int64 [E], how often, 1 or more.
    """

    keys: Ids
    gram: Ids
    caption: Ids
    times: Ids


def count(captions: Captions, number: Callable[[int, Ids], Ids]) -> Iterator[Counts]:
    """Count the n-grams of captions, for n from 1 to 4.

    Args:
        captions: the captions.
        number: from n - 1 and keys, int64 [U], the numbers of these n-grams, int64 [U], each from 0 to
            2^31 - 1. A key is made of a word and the number of the words before it: where these have
            the same numbers, the same n-gram has the same key.
    """
    caption = np.repeat(np.arange(len(captions.lengths)), captions.lengths)
    left = np.repeat(np.cumsum(captions.lengths), captions.lengths) - np.arange(len(captions.words))
    start, before = np.arange(len(captions.words)), np.zeros(len(captions.words), np.int64)
    for last in range(LONGEST):
        fits = left[start] > last
        start, before = start[fits], before[fits]
        keys = before << _WORD_BITS | captions.words[start + last]
        order = np.argsort(keys, kind="stable")
        keys, holder = keys[order], caption[start[order]]
        new = np.diff(keys, prepend=-1) != 0
        gram = number(last, keys[new])[np.cumsum(new) - 1]
        entry = np.flatnonzero(new | (np.diff(holder, prepend=-1) != 0))
        yield Counts(keys[new], gram[entry], holder[entry], np.diff(entry, append=len(keys)))
        before[order] = gram
