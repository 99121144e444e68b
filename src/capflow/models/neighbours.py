"""The training pictures that look most like others.

A picture is the mean of its cells, each channel standardised over the training pictures; two pictures are as
like as the cosine of these says.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Above this, two pictures are one: an encoder's own rounding is smaller, what tells photographs apart larger.
_THE_SAME = 0.999
_ROUNDING = 1e-6


class Neighbours:
    """Training pictures that can be asked for by their likeness."""

    def __init__(self, pictures: Tensor) -> None:
        """Take the training pictures, float [N, channels], the mean of each one's cells."""
        deviation, self._mean = torch.std_mean(pictures, 0, correction=0)
        # What is the same in all of them, but for rounding, is told by no picture.
        self._scale = torch.where(deviation > _ROUNDING, 1 / deviation, 0)
        self._pictures = self._directions(pictures)

    def nearest(self, pictures: Tensor, count: int) -> NDArray[np.int64]:
        """The places of the training pictures that are most like each of B others.

        One that is the very same is left out: where training pictures themselves are captioned, people's
        captions of a picture must not help to find its own.

        Args:
            pictures: float [B, channels], as above.
            count: how many are wanted, fewer than N.

        Returns:
            int64 [B, count], the most alike first.
        """
        likeness = self._directions(pictures.to(self._mean)) @ self._pictures.T
        ranked = likeness.masked_fill(likeness > _THE_SAME, -torch.inf)
        nearest: NDArray[np.int64] = ranked.topk(count).indices.cpu().numpy()
        return nearest

    def _directions(self, pictures: Tensor) -> Tensor:
        return torch.nn.functional.normalize((pictures - self._mean) * self._scale)
