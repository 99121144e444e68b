"""Which captions a training step sees.

The order of an epoch is a function of the seed and the epoch's number alone. Features belong to
pictures and captions only point at them, so a batch names each of its pictures once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.data.captions import EncodedCaptions
from capflow.errors import CapflowError
from capflow.text.vocabulary import PAD

Indices = NDArray[np.int64]
Order = Literal["padded", "length"]


@dataclass(frozen=True)
class Batch:
    """B captions of P pictures.

    Attributes:
        rows: int64 [P], the pictures' rows in the tensors or features, ascending.
        picture: int64 [B], the picture of each caption, an index into ``rows``.
        tokens: int64 [B, T], start token, words, end token, padding (0).
        whole: what this is a part of, from the picture ``first`` on; None: it is whole.
        copies: how many processes have this very part.
    """

    rows: Indices
    picture: Tensor
    tokens: Tensor
    whole: "Batch | None" = None
    first: int = 0
    copies: int = 1

    def part(self, rank: int, count: int) -> "Batch":
        """What process ``rank`` of ``count`` has of it: some of the pictures, with all of their captions.

        Where there are fewer pictures than processes, each has all of them.
        """
        if count == 1:
            return self
        pictures = len(self.rows)
        if pictures < count:
            return replace(self, whole=self, copies=count)
        first, last = (pictures * place // count for place in (rank, rank + 1))
        own = (self.picture >= first) & (self.picture < last)
        tokens = self.tokens[own]
        longest = int((tokens != PAD).sum(1).max())
        return Batch(self.rows[first:last], self.picture[own] - first, tokens[:, :longest], self, first)

    def share(self, weight: Callable[["Batch"], int]) -> float:
        """How much of the whole this is, by a weight of batches: 1 if it is whole."""
        return 1.0 if self.whole is None else weight(self) / weight(self.whole) / self.copies


class Batches:
    """The captions of one split whose pictures have a row, batch by batch."""

    def __init__(self, captions: EncodedCaptions, ids: Indices, size: int, order: Order, seed: int) -> None:
        """Join captions and pictures.

        Args:
            captions: the encoded captions of the split.
            ids: int64 [N], the image id of each row of the tensors or features.
            size: the number of captions in a batch.
            order: ``length``: captions of one length, drawn at random, as the tutorials do;
                ``padded``: all captions of random pictures.
            seed: of the order.

        Raises:
            CapflowError: no caption has a picture.
        """
        sorter = np.argsort(ids, kind="stable")
        place = np.searchsorted(ids, captions.images, sorter=sorter).clip(max=max(len(ids) - 1, 0))
        rows = sorter[place] if len(ids) else place
        known = ids[rows] == captions.images if len(ids) else np.zeros(len(rows), bool)
        if not known.any():
            raise CapflowError("data/vocab: no caption has a picture in data/tensors; check the data set.")
        self._captions, self._size, self._order, self._seed = captions, size, order, seed
        self._rows = rows.astype(np.int64)
        self._usable: Indices = np.flatnonzero(known)

    def captions_per_epoch(self) -> int:
        """How many captions an epoch sees, each once."""
        return len(self._usable)

    def references(self) -> tuple[Indices, Indices, Indices]:
        """All captions, picture by picture.

        Returns:
            int64 [T], words and end tokens of one caption after the other; int64 [M], the length of each
            caption; int64 [M], the row of its picture, ascending.
        """
        order = self._usable[np.argsort(self._rows[self._usable], kind="stable")]
        words, lengths = self._captions.said(order)
        return words, lengths, self._rows[order]

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return len(self._plan(0))

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from the one at ``start`` on; those before it are not made."""
        return (self._batch(chosen) for chosen in self._plan(number)[start:])

    def of(self, rows: Indices) -> Iterator[Batch]:
        """All captions of the pictures in some rows, by row; no picture is in two batches."""
        captions = self._usable[np.isin(self._rows[self._usable], rows)]
        batches = self._filled(captions, self._rows[captions])
        return (self._batch(chosen) for chosen in batches if len(chosen))

    def _plan(self, epoch: int) -> list[Indices]:
        random = np.random.default_rng((self._seed, epoch))
        return self._by_length(random) if self._order == "length" else self._by_picture(random)

    def _by_length(self, random: np.random.Generator) -> list[Indices]:
        shuffled = random.permutation(self._usable)
        lengths = self._captions.lengths[shuffled]
        batches: list[Indices] = []
        for length in np.unique(lengths):
            same = shuffled[lengths == length]
            batches += np.split(same, range(self._size, len(same), self._size))
        return [batches[place] for place in random.permutation(len(batches))]

    def _by_picture(self, random: np.random.Generator) -> list[Indices]:
        pictures, picture = np.unique(self._rows[self._usable], return_inverse=True)
        return self._filled(self._usable, random.permutation(len(pictures))[picture])

    def _filled(self, captions: Indices, rank: Indices) -> list[Indices]:
        """Captions by the rank of their pictures; a batch ends with the picture that fills it.

        So no picture of an epoch is encoded twice.
        """
        order = np.argsort(rank, kind="stable")
        batch = np.searchsorted(self._cuts(rank[order]), np.arange(len(order)), side="right")
        return np.split(captions[order], np.flatnonzero(np.diff(batch)) + 1)

    def _cuts(self, rank: Indices) -> Indices:
        """Where each batch ends, given the sorted picture of each caption."""
        ends = np.append(np.flatnonzero(np.diff(rank)) + 1, len(rank))
        cuts, filled = [], 0
        while filled + self._size < len(rank):
            filled = int(ends[np.searchsorted(ends, filled + self._size)])
            cuts.append(filled)
        return np.array(cuts, np.int64)

    def _batch(self, chosen: Indices) -> Batch:
        rows, picture = np.unique(self._rows[chosen], return_inverse=True)
        tokens = torch.from_numpy(self._captions.padded(chosen))
        return Batch(rows, torch.from_numpy(picture.astype(np.int64)), tokens)
