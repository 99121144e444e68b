"""Captions side by side with the others of their picture, so that they share what was seen of it.

Captions of one picture make a group. Queries of captions are spread over a grid, a row for each group,
and one product answers all queries of a row. Nothing that is as large as a picture's features is copied
for each caption.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """Places for rows of values: ``width`` places in each of ``groups`` groups.

    Attributes:
        groups: how many groups.
        width: how many places each group has.
        place: int64 [R], where each row stands, group * width + place; None: all places are taken in turn.
    """

    groups: int
    width: int
    place: Tensor | None = None

    def spread(self, rows: Tensor) -> Tensor:
        """[groups, width, n] from [R, n]; 0 where no row stands."""
        if self.place is not None:
            empty = rows.new_zeros(self.groups * self.width, rows.shape[1])
            rows = empty.index_copy(0, self.place, rows)
        return rows.view(self.groups, self.width, -1)

    def collect(self, grid: Tensor) -> Tensor:
        """[R, n] from [groups, width, n]."""
        rows = grid.reshape(self.groups * self.width, -1)
        return rows if self.place is None else rows.index_select(0, self.place)


class Groups(NamedTuple):
    """B captions in G groups.

    Groups are numbered as they first occur, so that the first captions stand in the first groups.

    Attributes:
        picture: int64 [G], the picture of each group.
        place: int64 [B], where each caption stands, group * width + place.
        width: the captions that a group has place for.
        reach: how many groups the first caption stands in (1), the first two, and so on to all B.
    """

    picture: Tensor
    place: Tensor
    width: int
    reach: list[int]


def group(picture: Tensor) -> Groups:
    """Group captions by their pictures, int64 [B].

    A group is as wide as a picture has captions on average; pictures with more have further groups, so
    that one such picture does not widen all groups.
    """
    pictures = picture.cpu().numpy()
    _, counts = np.unique(pictures, return_counts=True)
    width = round(len(pictures) / len(counts))
    by_picture = np.argsort(pictures, kind="stable")
    rank = np.empty_like(pictures)
    rank[by_picture] = np.arange(len(pictures)) - np.repeat(np.cumsum(counts) - counts, counts)
    share = pictures * len(pictures) + rank // width
    _, first, member = np.unique(share, return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first))[member]
    return Groups(
        torch.from_numpy(pictures[np.sort(first)]).to(picture.device),
        torch.from_numpy(number * width + rank % width).to(picture.device),
        width,
        (np.maximum.accumulate(number) + 1).tolist(),
    )
