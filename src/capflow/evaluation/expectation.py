"""How well captions fit what people are expected to say of a picture, n-gram by n-gram.

For each n from 1 to 4 a caption c is the vector g(c) of CIDEr-D (:mod:`capflow.evaluation.cider`). CIDEr's
cosines are linear in the references' directions, so their expectation needs no references, but what is
expected of these directions. With weights a_i that say how much each training picture tells about the picture
in question, and m_i captions r of training picture i,

    score(c) = 10 / 4 * f(c) * sum over n of  g'(c) / |g(c)| . e_n,
    e_n      = sum over i of a_i / m_i * sum over r of g(r) / |g(r)|

where g' counts n-grams once, whatever the caption repeats, in place of CIDEr-D's minimum, and f(c) is the
mean of CIDEr-D's factor for lengths over all training captions: without it the shortest captions would seem
best.

While a caption grows, |g(c)| and f(c) are not known yet. What a word w is worth to it is about

    hint(w) = 10 / 4 * g'_w / G * e_1(w)

where G is the mean of |g(r)| over all training captions, n being 1.
"""

import numpy as np
import torch
from torch import Tensor

from capflow.evaluation.cider import Floats, Rarity, likeness, norms
from capflow.evaluation.ngrams import LONGEST, Captions, Counts, Ids, changes, count, ranges
from capflow.text.vocabulary import PAD


class Expectation:
    """The n-grams of the training captions, from which those of other pictures are expected."""

    def __init__(self, told: Captions) -> None:
        """Count n-grams in the captions of images 0 to N - 1, ascending."""
        share = 1 / np.bincount(told.images)[told.images]
        numbered = count(told, lambda _, keys: np.arange(len(keys)))
        self._tables = [_Table(counts, told.images, share) for counts in numbered]
        self._lengths, self._times = np.unique(told.lengths, return_counts=True)

    def __call__(self, captions: Ids, weights: Tensor) -> Floats:
        """The score of each caption, float64 [B, K].

        Args:
            captions: int64 [B, K, T], words and, if there is one, the end token; then padding.
            weights: float [B, N], how much each of the images counts for each picture.
        """
        counting = weights.double().T.contiguous()
        pictures = np.repeat(np.arange(len(captions)), captions.shape[1])
        said = Captions.of(captions, pictures, PAD)
        numbered = count(said, lambda last, keys: self._tables[last].rare.known.numbers(keys))
        scores = np.zeros(len(pictures))
        for table, counts in zip(self._tables, numbered, strict=True):
            scores += table.products(counts, pictures, counting)
        return 10 / LONGEST * (scores * self._usual(said.lengths)).reshape(captions.shape[:2])

    def words(self, weights: Tensor, count: int) -> Floats:
        """What each of ``count`` words is worth to a caption, about, float64 [B, count].

        Args:
            weights: float [B, N], how much each of the images counts for each picture.
            count: words are below this.
        """
        told = np.zeros((len(weights), count))
        [words, *_] = self._tables
        told[:, words.rare.known.keys] = 10 / LONGEST * words.hints(weights.double().T.contiguous()).T
        return told

    def _usual(self, lengths: Ids) -> Floats:
        """How near so many words are to the lengths of training captions, float64 [M], from 0 to 1."""
        alike = likeness(lengths[:, None] - self._lengths)
        mean: Floats = alike @ self._times / self._times.sum()
        return mean


class _Table:
    """The n-grams of one length, and how much of the directions of training pictures' captions they are.

    Attributes:
        rare: how rare they are.
    """

    def __init__(self, counts: Counts, images: Ids, share: Floats) -> None:
        """Take the n-grams of M captions of ``images``, each ``share`` of what its image tells."""
        self.rare = rare = Rarity.of(counts, images)
        image = images[counts.caption]
        anew = changes(counts.gram) | changes(image)
        weights = rare.weights(counts)
        every = norms(counts.caption, weights, len(images))
        self._mean, lengths = every.mean(), every[counts.caption]
        parts = np.divide(weights, lengths, out=np.zeros_like(weights), where=lengths > 0)
        self._parts = np.add.reduceat(parts * share[counts.caption], np.flatnonzero(anew))
        self._image = image[anew]
        self._frequency = np.bincount(counts.gram[anew], minlength=len(rare.known))
        self._starts = np.cumsum(self._frequency) - self._frequency

    def products(self, counts: Counts, pictures: Ids, counting: Tensor) -> Floats:
        """The sum over the n-grams of each caption, float64 [M].

        Args:
            counts: the n-grams of the captions, numbered as they are known.
            pictures: int64 [M], the column of ``counting`` of each caption.
            counting: float64 [N, B], how much each training picture counts.
        """
        weights = self.rare.weights(counts)
        lengths = norms(counts.caption, weights, len(pictures))[counts.caption] * counts.times
        parts = np.divide(weights, lengths, out=np.zeros_like(weights), where=lengths > 0)
        grams, place = np.unique(np.minimum(counts.gram, len(self._starts) - 1), return_inverse=True)
        expected = self._expected(grams, counting)[place, pictures[counts.caption]]
        return np.bincount(counts.caption, parts * expected, len(pictures)).astype(np.float64)

    def hints(self, counting: Tensor) -> Floats:
        """What each n-gram is expected to add to a caption, whose vector is as long as most, float64 [U, B].

        Args:
            counting: float64 [N, B], how much each training picture counts.
        """
        grams = np.arange(len(self.rare.known) - 1)
        share = self.rare.idf[grams] / (self._mean or 1.0)
        told: Floats = self._expected(grams, counting) * share[:, None]
        return told

    def _expected(self, grams: Ids, counting: Tensor) -> Floats:
        """What is expected of n-grams, float64 [G, B]; nothing of those that nobody said."""
        many = self._frequency[grams]
        entries = ranges(self._starts[grams], many)
        places = np.stack([np.repeat(np.arange(len(grams)), many), self._image[entries]])
        parts = torch.sparse_coo_tensor(
            torch.from_numpy(places),
            torch.from_numpy(self._parts[entries]),
            (len(grams), len(counting)),
            check_invariants=True,
        )
        expected: Floats = torch.sparse.mm(parts, counting).numpy()
        return expected
