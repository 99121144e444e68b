"""CIDEr-D (Vedantam, Zitnick and Parikh, "CIDEr", CVPR 2015), for thousands of captions at once.

For each n from 1 to 4 a caption c becomes a vector with an entry for every n-gram w:

    g_w(c) = (how often w occurs in c) * log(N / max(1, how many of N images have a reference with w))

The score of a hypothesis h, where r runs over the m references of its image and min goes by entry, is

    10 / 4m * sum over n and r of  min(g(h), g(r)) . g(r) / (|g(h)| |g(r)|) * exp(-d^2 / (2 sigma^2))

where d is the difference of their lengths in words, and sigma is 6. Nothing here loops over
captions: the references are an inverted index, from each n-gram and image to the captions that hold it.
"""

import numpy as np
from numpy.typing import NDArray

from capflow.evaluation.ngrams import LONGEST, Captions, Counts, Ids, Known, Pairs, Places, changes, count

Floats = NDArray[np.float64]

_SIGMA = 6.0


class CiderD:
    """Scores hypotheses against references that are prepared once."""

    def __init__(self, references: Captions, documents: Captions | None = None) -> None:
        """Index the references.

        Args:
            references: one or more for each image; the images are 0, 1, 2 and so on, ascending, without a
                gap. Nothing else can be scored.
            documents: captions of images, in the same order, that N and the number of images with an
                n-gram are taken from; by default the references themselves.
        """
        self._lengths, self._per_image = references.lengths, np.bincount(references.images)
        captions, first = references, 0
        if documents is not None:
            first = len(self._per_image)
            captions = _together(references, documents, first)
        self._indices = [
            _Index(counts, captions.images, len(self._per_image), first)
            for counts in count(captions, lambda _, keys: np.arange(len(keys)))
        ]

    def __call__(self, hypotheses: Captions) -> Floats:
        """The score of each hypothesis, float64 [M], from 0 to 10; an image may have any number of them."""
        pairs = Pairs.of(hypotheses.images, self._per_image)
        numbered = count(hypotheses, lambda last, keys: self._indices[last].known.numbers(keys))
        cosines = np.zeros(len(pairs.reference))
        for index, counts in zip(self._indices, numbered, strict=True):
            cosines += index.cosines(counts, hypotheses.images, pairs)
        difference = hypotheses.lengths[pairs.hypothesis] - self._lengths[pairs.reference]
        alike = cosines * likeness(difference)
        sums = np.bincount(pairs.hypothesis, alike, len(hypotheses.images))
        return 10 / LONGEST * sums / self._per_image[hypotheses.images]


class _Index:
    """Where the n-grams of one length stand in the references, and what they weigh there.

    Attributes:
        known: the n-grams.
    """

    def __init__(self, counts: Counts, images: Ids, rows: int, first: int) -> None:
        """Index n-grams.

        Args:
            counts: their entries, the n-grams being numbered from 0 in the order of their keys.
            images: int64 [M], the image of each caption, ascending.
            rows: the images below are those of the references.
            first: the images from here on are the documents.
        """
        image = images[counts.caption]
        self.known = Known(counts.keys)
        anew = changes(counts.gram) | changes(image)
        frequency = np.bincount(counts.gram[anew & (image >= first)], minlength=len(self.known))
        self._idf = np.log(float(images[-1] + 1 - first)) - np.log(np.maximum(1.0, frequency))
        own = image < rows
        gram, self._captions = counts.gram[own], counts.caption[own]
        self._weights = counts.times[own] * self._idf[gram]
        self._norms = norms(self._captions, self._weights, len(images))
        self._places = Places(gram, image[own], rows)

    def cosines(self, counts: Counts, images: Ids, pairs: Pairs) -> Floats:
        """The cosine of each pair, float64 [P], without the factor for their lengths.

        Args:
            counts: the n-grams of the hypotheses, as :attr:`known` numbers them.
            images: int64 [M], the image of each hypothesis.
            pairs: hypotheses and references.
        """
        weights = counts.times * self._idf[np.minimum(counts.gram, len(self._idf) - 1)]
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


def _together(references: Captions, documents: Captions, rows: int) -> Captions:
    return Captions(
        np.concatenate((references.words, documents.words)),
        np.concatenate((references.lengths, documents.lengths)),
        np.concatenate((references.images, documents.images + rows)),
    )


def likeness(difference: NDArray[np.integer]) -> Floats:
    """The factor for two captions whose lengths differ by so many words, from 0 to 1."""
    factor: Floats = np.exp(-(difference**2) / (2 * _SIGMA**2))
    return factor


def norms(captions: Ids, weights: Floats, total: int) -> Floats:
    """The length of the vector of each of ``total`` captions, whose entries have these weights."""
    return np.sqrt(np.bincount(captions, weights**2, total))
