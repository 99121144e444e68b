"""BLEU-4 (Papineni, Roukos, Ward, Zhu, "BLEU", ACL 2002) of single captions, for thousands at once.

For each n from 1 to 4, p_n is the share of a hypothesis's n-grams that are right: an n-gram counts as often
as it stands in the reference of its image that has it most often. With c words in the hypothesis, and r in
the reference that is nearest in length (the shorter of two), the score is

    (p_1 p_2 p_3 p_4) ** (1/4) * min(1, exp(1 - r / c))

As in pycocoevalcap, what is counted is raised by next to nothing, so that nothing is divided by 0: a caption
without any right run of four words scores close to 0, and among such captions the others still count.
"""

import numpy as np
from numpy.typing import NDArray

from capflow.evaluation.ngrams import LONGEST, Captions, Counts, Ids, Known, Pairs, Places, count

Floats = NDArray[np.float64]

# Added to what is right or said, and to what might have been.
_TINY, _SMALL = 1e-15, 1e-9
_LENGTH = (1 << 31) - 1


class Bleu4:
    """Scores hypotheses against references that are prepared once."""

    def __init__(self, references: Captions) -> None:
        """Index the references: one or more for each image; the images are 0, 1, 2 and so on, ascending."""
        self._lengths, self._per_image = references.lengths, np.bincount(references.images)
        self._indices = [
            _Index(counts, references.images) for counts in count(references, lambda _, k: np.arange(len(k)))
        ]

    def __call__(self, hypotheses: Captions) -> Floats:
        """The score of each hypothesis, float64 [M], from 0 to 1; an image may have any number of them."""
        numbered = count(hypotheses, lambda last, keys: self._indices[last].known.numbers(keys))
        product = np.ones(len(hypotheses.lengths))
        for last, (index, counts) in enumerate(zip(self._indices, numbered, strict=True)):
            right = np.bincount(
                counts.caption, index.right(counts, hypotheses.images), len(hypotheses.lengths)
            )
            product *= (right + _TINY) / (np.maximum(hypotheses.lengths - last, 0) + _SMALL)
        ratio = (hypotheses.lengths + _TINY) / (self._nearest(hypotheses) + _SMALL)
        return product ** (1 / LONGEST) * np.exp(np.minimum(0, 1 - 1 / ratio))

    def _nearest(self, hypotheses: Captions) -> Ids:
        """The length of the reference that is nearest in length, int64 [M]."""
        pairs = Pairs.of(hypotheses.images, self._per_image)
        lengths = self._lengths[pairs.reference]
        far = np.abs(lengths - hypotheses.lengths[pairs.hypothesis])
        # The least of such numbers is of the least distance, then of the least length.
        return np.minimum.reduceat(far << 31 | lengths, pairs.first) & _LENGTH


class _Index:
    """How often, at most, the n-grams of one length stand in a reference of an image.

    Attributes:
        known: the n-grams.
    """

    def __init__(self, counts: Counts, images: Ids) -> None:
        """Index n-grams; ``images``, int64 [M], is the image of each caption, ascending."""
        self.known = Known(counts.keys)
        self._places = Places(counts.gram, images[counts.caption], int(images[-1]) + 1)
        self._most = np.append(np.maximum.reduceat(counts.times, self._places.starts[:-1]), 0)

    def right(self, counts: Counts, images: Ids) -> Ids:
        """How often each n-gram of hypotheses is right, int64 [E]; ``images`` are those of the hypotheses."""
        most = self._most[self._places.find(counts.gram, images[counts.caption])]
        right: Ids = np.minimum(counts.times, most)
        return right
