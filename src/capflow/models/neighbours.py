"""The training pictures that look most like others.

A picture is the mean of its cells, each channel standardised over the training pictures; two pictures are as
like as the cosine of these says.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.errors import CapflowError

# Above this, two pictures are one: an encoder's own rounding is smaller, what tells photographs apart larger.
_THE_SAME = 0.999
_ROUNDING = 1e-5


def whole(cells: Tensor) -> Tensor:
    """What is seen of whole pictures, float [B, channels], from their cells, [B, cells, channels]."""
    return cells.float().mean(1)


class Neighbours:
    """Training pictures that can be asked for by their likeness."""

    def __init__(self, pictures: Tensor) -> None:
        """Take the training pictures, float [N, channels], of which each is :func:`whole`.

        Raises:
            CapflowError: something in them is no number.
        """
        if not pictures.isfinite().all():
            raise CapflowError(
                "data/features or data/model: what is seen of the training pictures holds infinities or NaN, "
                "so none of them is most like another; run `dvc repro -f extract_features train`."
            )
        deviation, self._mean = torch.std_mean(pictures, 0, correction=0)
        # What is the same in all of them, but for rounding, is told by no picture.
        self._scale = torch.where(deviation > _ROUNDING * self._mean.abs(), 1 / deviation, 0)
        self._pictures = self._directions(pictures)
        self._blank = ~self._pictures.any(1)

    def nearest(self, pictures: Tensor, count: int) -> NDArray[np.int64]:
        """The places of the training pictures that are most like each of B others.

        One that is as good as the very same is left out: where training pictures themselves are captioned,
        people's captions of a picture must not help to find its own.

        Args:
            pictures: float [B, channels], as above.
            count: how many are wanted.

        Returns:
            int64 [B, count], the most alike first.

        Raises:
            CapflowError: there are not so many others that tell anything.
        """
        likeness = self._directions(pictures.to(self._mean)) @ self._pictures.T
        others = likeness.masked_fill((likeness > _THE_SAME) | self._blank, -torch.inf)
        if count > (fewest := int(others.isfinite().sum(1).min())):
            raise CapflowError(
                f"generate.neighbours ({count}): a picture has {fewest} training pictures that are others "
                "than itself and differ; ask for as many at most."
            )
        nearest: NDArray[np.int64] = others.topk(count).indices.cpu().numpy()
        return nearest

    def _directions(self, pictures: Tensor) -> Tensor:
        return torch.nn.functional.normalize((pictures - self._mean) * self._scale)
