"""The n-grams of many captions as numbers, counted and looked up without a loop over captions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

LONGEST = 4
# An n-gram is known by the number of its first n-1 words, shifted by so many bits, and its last word.
_WORD_BITS = 31
_NEVER = np.iinfo(np.int64).max


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

    @classmethod
    def of(cls, rows: Ids, images: Ids, padding: int) -> "Captions":
        """Captions that are the last dimension of an array, int64 [..., T], with padding behind them."""
        real = rows != padding
        return cls(rows[real], real.sum(-1).ravel(), images)


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
        new = changes(keys)
        gram = number(last, keys[new])[np.cumsum(new) - 1]
        entry = np.flatnonzero(new | changes(holder))
        yield Counts(keys[new], gram[entry], holder[entry], np.diff(entry, append=len(keys)))
        before[order] = gram


class Known:
    """The n-grams of one length that references have, numbered from 0 in the order of their keys."""

    def __init__(self, keys: Ids) -> None:
        """Take the keys, int64 [U], ascending."""
        self._keys = np.append(keys, _NEVER)

    def __len__(self) -> int:
        """How many numbers are taken: one more than there are n-grams, for those not known."""
        return len(self._keys)

    @property
    def keys(self) -> Ids:
        """The keys of the n-grams, int64 [U], ascending; those of single words are the words."""
        return self._keys[:-1]

    def numbers(self, keys: Ids) -> Ids:
        """The numbers of n-grams by their keys, int64 [U]; those not known get higher ones of their own."""
        found = np.searchsorted(self._keys, keys)
        return np.where(self._keys[found] == keys, found, len(self) + np.arange(len(keys)))


class Places:
    """Where n-grams of one length stand: each in some images, and there in entries that follow each other.

    Attributes:
        starts: int64 [L + 1], the first entry of each place. The last place is that of whatever does not
            stand there; it has no entries.
    """

    def __init__(self, gram: Ids, image: Ids, images: int) -> None:
        """Index entries, int64 [E], that are sorted by n-gram, then by image; images are below ``images``."""
        place = gram * images + image
        starts = np.flatnonzero(changes(place))
        self._images, self._places = images, np.append(place[starts], _NEVER)
        self.starts = np.append(starts, len(place))

    def find(self, gram: Ids, image: Ids) -> Ids:
        """The place of each n-gram in an image."""
        place = gram * self._images + image
        found = np.searchsorted(self._places, place)
        return np.where(self._places[found] == place, found, len(self._places) - 1)


@dataclass(frozen=True)
class Pairs:
    """P pairs of a hypothesis and a reference of its image: all of each hypothesis, in order.

    Attributes:
        hypothesis: int64 [P], ascending.
        reference: int64 [P].
        first: int64 [M], the first pair of each hypothesis.
        offset: int64 [M], what to add to the number of a reference for the number of the pair.
    """

    hypothesis: Ids
    reference: Ids
    first: Ids
    offset: Ids

    @classmethod
    def of(cls, images: Ids, per_image: Ids) -> "Pairs":
        """Pair hypotheses, by the row of their image, with the references, by their number an image."""
        many = per_image[images]
        first = np.cumsum(many) - many
        offset = first - (np.cumsum(per_image) - per_image)[images]
        hypothesis = np.repeat(np.arange(len(images)), many)
        return cls(hypothesis, np.arange(len(hypothesis)) - offset[hypothesis], first, offset)


def changes(values: Ids) -> NDArray[np.bool_]:
    """Where a value from 0 on differs from the one before it; the first one does."""
    found: NDArray[np.bool_] = np.diff(values, prepend=-1) != 0
    return found


def ranges(starts: Ids, counts: Ids) -> Ids:
    """start, start + 1 and so on, so many of each, one after the other."""
    behind = np.cumsum(counts)
    return np.arange(counts.sum()) + np.repeat(starts - behind + counts, counts)
