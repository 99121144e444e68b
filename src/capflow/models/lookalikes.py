"""How much each training picture tells about another picture: kernel ridge regression.

A picture is the mean of its cells, as one encoder or several see it, each channel standardised over the
training pictures and cut at ten standard deviations; two pictures x and y are as like as
k(x, y) = exp(2 cos(x, y) - 2) says. Whatever is known of each of N training pictures, y_1 .. y_N, is expected
of picture x to be

    y(x) = sum over i of a_i(x) y_i,    a(x) = k_M(x) (K_MN K_NM + l K_MM)^-1 K_MN

where M are at most 6,000 of the training pictures, spread over all of them, and l = 1/2. Where M are all N,
this is ridge regression in the kernel's space, a(x) = k(x) (K + l I)^-1; where N is larger, its approximation
by a subset of regressors (Rasmussen, Williams: Gaussian Processes for Machine Learning, 2006,
section 8.3.1).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from capflow.errors import CapflowError

# Above this, two pictures are one: an encoder's own rounding is smaller, what tells photographs apart larger.
_THE_SAME = 0.999
# A channel that varies by less, of its mean or at all, is the same in all pictures, but for rounding.
_ROUNDING = 1e-5
# Standard deviations: what hardly any training picture has must not outweigh all else in one that has it.
_FAR = 10.0
_STEEPNESS = 2.0
_RIDGE = 0.5
# All of Flickr8k's. With COCO's 113,000 pictures they take, as reckoned, 4 to 6 GB of memory, and minutes.
_LANDMARKS = 6000
# So that pictures that come twice do not make the system singular, as a share of its trace.
_JITTER = 1e-12


def whole(seen: Sequence[Tensor]) -> Tensor:
    """What is seen of whole pictures, float [B, channels].

    Args:
        seen: what each of one or more models sees, float [B, cells, channels]; the same tensor counts once.

    Raises:
        CapflowError: something in it is no number.
    """
    different = {id(cells): cells for cells in seen}.values()
    means = torch.cat([cells.mean(1) for cells in different], 1)
    if not means.isfinite().all():
        raise CapflowError(
            "lookalikes: what the encoder sees of some pictures holds infinities or NaN, so none of them is "
            "like another; look for these in data/features and in its weights (data/model, or what "
            "`encoder.weights` and `train.start` name), and make them again."
        )
    return means


class Lookalikes:
    """Training pictures that can be asked what they tell about others."""

    def __init__(self, pictures: Tensor, landmarks: int = _LANDMARKS) -> None:
        """Take the training pictures, float [N, channels], of which each is :func:`whole`."""
        deviation, self._mean = torch.std_mean(pictures, 0, correction=0)
        rounding = _ROUNDING * self._mean.abs().clamp(min=1)
        self._scale = torch.where(deviation > rounding, 1 / deviation, 0)
        self._pictures = self._directions(pictures)
        count = min(len(pictures), landmarks)
        self._landmarks = self._pictures[torch.arange(count) * len(pictures) // count]
        self._told = self._solved(_kernel(self._landmarks @ self._pictures.T))

    def weights(self, pictures: Tensor, own: Tensor | None = None) -> Tensor:
        """How much each training picture counts for each of B others, float [B, N]; some count against.

        One that is as good as the very same is left out: where training pictures themselves are captioned,
        people's captions of a picture must not help to find its own. Where M are all N, the others count as
        they would without it.

        Args:
            pictures: float [B, channels], as above.
            own: int64 [B], the place of each among the training pictures, where they are known to be such;
                it is left out, too, where it has no direction that would tell.
        """
        directions = self._directions(pictures.to(self._mean))
        like = _kernel(self._landmarks @ directions.T)
        weights = like.T @ self._told
        itself = directions @ self._pictures.T > _THE_SAME
        if own is not None:
            itself[torch.arange(len(own)), own] = True
        return weights.masked_fill(itself, 0.0) / (1 - (weights * itself).sum(1, keepdim=True))

    def _solved(self, known: Tensor) -> Tensor:
        """(K_MN K_NM + l K_MM)^-1 K_MN, float [M, N], in the place of K_MN."""
        # In float32, pictures that are almost the same would make K_MM indefinite.
        landmarks = self._landmarks.double()
        system = _RIDGE * _kernel(landmarks @ landmarks.T)
        # Part by part, as all training pictures are too many for numbers of this size.
        for part in torch.split(known, len(landmarks), 1):
            system.addmm_(part.double(), part.double().T)
        system.diagonal().add_(_JITTER * system.trace())
        factor = torch.linalg.cholesky(system)
        for part in torch.split(known, len(landmarks), 1):
            part.copy_(torch.cholesky_solve(part.double(), factor))
        return known

    def _directions(self, pictures: Tensor) -> Tensor:
        standard = ((pictures - self._mean) * self._scale).clamp(-_FAR, _FAR)
        return torch.nn.functional.normalize(standard)


def _kernel(cosines: Tensor) -> Tensor:
    """How like pictures are whose cosines these are; in their place, as they may be many."""
    return cosines.sub_(1).mul_(_STEEPNESS).exp_()
