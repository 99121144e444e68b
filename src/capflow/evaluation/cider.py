"""CIDEr-D (Vedantam, Zitnick and Parikh, "CIDEr", CVPR 2015), for thousands of captions at once.

For each n from 1 to 4 a caption c becomes a vector with an entry for every n-gram w:

    g_w(c) = (how often w occurs in c) * log(N / max(1, how many of N images have a reference with w))

The score of a hypothesis h, where r runs over the m references of its image and min goes by entry, is

    10 / 4m * sum over n and r of  min(g(h), g(r)) . g(r) / (|g(h)| |g(r)|) * exp(-d^2 / (2 sigma^2))

where d is the difference of their lengths in words, and sigma is 6. Nothing here loops over
captions: the references are an inverted index, from each n-gram and image to the captions that hold it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capflow.evaluation.ngrams import LONGEST, Captions, Counts, Ids, Known, Pairs, Places, changes, count

Floats = NDArray[np.float64]

_SIGMA = 6.0


@dataclass(frozen=True)
class Rarity:
    """How rare the n-grams of one length are.

    Attributes:
        known: the n-grams that any of N images has.
        idf: float64 [len(known)], log(N / how many images have it), last of all for those that none has.
    """

    known: Known
    idf: Floats

    @classmethod
    def of(cls, counts: Counts, images: Ids) -> "Rarity":
        """Of n-grams numbered from 0 in the order of their keys, in M captions of ``images``, ascending."""
        image = images[counts.caption]
        anew = changes(counts.gram) | changes(image)
        known = Known(counts.keys)
        frequency = np.bincount(counts.gram[anew], minlength=len(known))
        return cls(known, np.log(images[-1] + 1.0) - np.log(np.maximum(1.0, frequency)))

    def weights(self, counts: Counts) -> Floats:
        """The entries of the captions' vectors, float64 [E]."""
        weights: Floats = counts.times * self.idf[np.minimum(counts.gram, len(self.idf) - 1)]
        return weights


def rarities(documents: Captions) -> list[Rarity]:
    """How rare n-grams are in captions of the images 0, 1, 2 and so on, ascending, for n from 1 to 4."""
    counted = count(documents, lambda _, keys: np.arange(len(keys)))
    return [Rarity.of(counts, documents.images) for counts in counted]


class CiderD:
    """Scores hypotheses against references that are prepared once."""

    def __init__(self, references: Captions, rare: Sequence[Rarity] | None = None) -> None:
        """Index the references.

        Args:
            references: one or more for each image; the images are 0, 1, 2 and so on, ascending, without a
                gap. Nothing else can be scored.
            rare: how rare n-grams are elsewhere; by default it is the references that tell.
        """
        self._lengths, self._per_image = references.lengths, np.bincount(references.images)
        rare, names = rare or rarities(references), list[_Numbers]()

        def number(last: int, keys: Ids) -> Ids:
            names.append(_Numbers(rare[last].known, keys))
            return names[last](keys)

        counted = [*count(references, number)]
        self._indices = [_Index(*each, references.images) for each in zip(rare, names, counted, strict=True)]

    def __call__(self, hypotheses: Captions) -> Floats:
        """The score of each hypothesis, float64 [M], from 0 to 10; an image may have any number of them."""
        pairs = Pairs.of(hypotheses.images, self._per_image)
        numbered = count(hypotheses, lambda last, keys: self._indices[last].numbers(keys))
        cosines = np.zeros(len(pairs.reference))
        for index, counts in zip(self._indices, numbered, strict=True):
            cosines += index.cosines(counts, hypotheses.images, pairs)
        difference = hypotheses.lengths[pairs.hypothesis] - self._lengths[pairs.reference]
        alike = cosines * likeness(difference)
        sums = np.bincount(pairs.hypothesis, alike, len(hypotheses.images))
        return 10 / LONGEST * sums / self._per_image[hypotheses.images]


class _Numbers:
    """Numbers n-grams: first those whose rarity is known, then those that references have, then others."""

    def __init__(self, known: Known, keys: Ids) -> None:
        """Take those that are known, and the keys of those of the references, ascending."""
        self._known, self._others = known, Known(keys[known.numbers(keys) >= len(known)])

    def __call__(self, keys: Ids) -> Ids:
        """The numbers of n-grams by their keys, int64 [U]."""
        numbers = self._known.numbers(keys)
        few = len(self._known)
        return np.where(numbers < few, numbers, few + self._others.numbers(keys))


class _Index:
    """Where the n-grams of one length stand in the references, and what they weigh there.

    Attributes:
        numbers: those of n-grams.
    """

    def __init__(self, rare: Rarity, numbers: _Numbers, counts: Counts, images: Ids) -> None:
        """Index n-grams.

        Args:
            rare: how rare they are.
            numbers: those that they have.
            counts: their entries.
            images: int64 [M], the image of each reference, ascending.
        """
        self.numbers, self._rare = numbers, rare
        order = np.argsort(counts.gram, kind="stable")
        self._captions, self._weights = counts.caption[order], rare.weights(counts)[order]
        self._norms = norms(self._captions, self._weights, len(images))
        self._places = Places(counts.gram[order], images[self._captions], int(images[-1]) + 1)

    def cosines(self, counts: Counts, images: Ids, pairs: Pairs) -> Floats:
        """The cosine of each pair, float64 [P], without the factor for their lengths.

        Args:
            counts: the n-grams of the hypotheses, as :attr:`numbers` has them.
            images: int64 [M], the image of each hypothesis.
            pairs: hypotheses and references.
        """
        weights = self._rare.weights(counts)
        found, starts = self._places.find(counts.gram, images[counts.caption]), self._places.starts
        many = np.diff(starts, append=starts[-1])[found]
        entry = np.repeat(np.arange(len(many)), many)
        other = np.arange(len(entry)) + (starts[found] - np.cumsum(many) + many)[entry]
        products = np.minimum(weights[entry], self._weights[other]) * self._weights[other]
        pair = self._captions[other] + pairs.offset[counts.caption[entry]]
        dots = np.bincount(pair, products, len(pairs.reference))
        own = norms(counts.caption, weights, len(images))[pairs.hypothesis]
        both = own * self._norms[pairs.reference]
        return np.divide(dots, both, out=np.zeros_like(both), where=both > 0)


def likeness(difference: NDArray[np.integer]) -> Floats:
    """The factor for two captions whose lengths differ by so many words, from 0 to 1."""
    factor: Floats = np.exp(-(difference**2) / (2 * _SIGMA**2))
    return factor


def norms(captions: Ids, weights: Floats, total: int) -> Floats:
    """The length of the vector of each of ``total`` captions, whose entries have these weights."""
    return np.sqrt(np.bincount(captions, weights**2, total))
