"""What the decoder sees of pictures, given their rows: stored features, or pixels through the encoder."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.models.captioner import Captioner
from capflow.params import AugmentParams

Rows = NDArray[np.int64]
Inputs = Callable[[Rows], Tensor]
"""Rows, int64 [P], to features, float [P, cells, channels], on the model's device."""


@dataclass(frozen=True)
class StoredFeatures:
    """Features of a frozen encoder, float16 [N, views, cells, channels].

    With ``generator``, which training has, each picture is seen in a random one of its views.
    """

    features: NDArray[np.float16]
    device: torch.device
    generator: torch.Generator | None = None

    def __call__(self, rows: Rows) -> Tensor:
        """See :data:`Inputs`."""
        views = _views(len(rows), self.features.shape[1], self.generator).numpy()
        return torch.from_numpy(self.features[rows, views]).to(self.device).float()


@dataclass(frozen=True)
class ResidentFeatures:
    """The same, lying on the device as a whole, so that no step waits for the host's memory."""

    features: Tensor
    generator: torch.Generator | None = None

    def __call__(self, rows: Rows) -> Tensor:
        """See :data:`Inputs`."""
        device = self.features.device
        views = _views(len(rows), self.features.shape[1], self.generator).to(device)
        return self.features[torch.from_numpy(rows).to(device), views].float()


def stored_inputs(
    features: NDArray[np.float16], device: torch.device, generator: torch.Generator | None
) -> Inputs:
    """Stored features, on a GPU as a whole if they take no more than half of its free memory."""
    if device.type == "cuda" and features.nbytes <= torch.cuda.mem_get_info(device)[0] // 2:
        return ResidentFeatures(torch.from_numpy(np.array(features)).to(device), generator)
    return StoredFeatures(features, device, generator)


def _views(pictures: int, views: int, generator: torch.Generator | None) -> Tensor:
    """The view that each picture is seen in, int64 [pictures]: a random one, if there is a generator."""
    if generator is None or views == 1:
        return torch.zeros(pictures, dtype=torch.int64)
    return torch.randint(views, (pictures,), generator=generator)


@dataclass(frozen=True)
class EncodedPixels:
    """Pixels, uint8 [N, size, size, 3], seen through the encoder of ``model`` at their centres."""

    pixels: NDArray[np.uint8]
    model: Captioner
    device: torch.device

    def __call__(self, rows: Rows) -> Tensor:
        """See :data:`Inputs`."""
        return self.model.encode(torch.from_numpy(self.pixels[rows]).to(self.device))


@dataclass(frozen=True)
class AugmentedPixels:
    """Pixels seen through the encoder at random crops, mirrored or not, as training has them."""

    pixels: NDArray[np.uint8]
    model: Captioner
    device: torch.device
    augment: AugmentParams
    generator: torch.Generator

    def __call__(self, rows: Rows) -> Tensor:
        """See :data:`Inputs`."""
        pixels = torch.from_numpy(self.pixels[rows]).to(self.device)
        features: Tensor = self.model.encoder(self._flip(self._crop(pixels)))
        return features

    def _crop(self, pixels: Tensor) -> Tensor:
        side, size = self.augment.crop, pixels.shape[1]
        if side in {0, size}:
            return pixels
        corners = torch.randint(size - side + 1, (2, len(pixels), 1), generator=self.generator)
        down, across = (corners + torch.arange(side)).to(self.device)
        pictures = torch.arange(len(pixels), device=self.device)
        return pixels[pictures[:, None, None], down[:, :, None], across[:, None, :]]

    def _flip(self, pixels: Tensor) -> Tensor:
        if not self.augment.flip:
            return pixels
        mirrored = torch.rand(len(pixels), generator=self.generator) < 0.5
        return torch.where(mirrored.to(self.device)[:, None, None, None], pixels.flip(2), pixels)


class Views:
    """What each of several models sees of pictures, given their rows."""

    def __init__(self, *inputs: Inputs) -> None:
        """See through ``inputs``, one for each model; models may have the same."""
        self.inputs = inputs

    def __call__(self, rows: Rows) -> list[Tensor]:
        """Features of pictures, float [P, cells, channels] for each model."""
        seen = {id(view): view for view in self.inputs}
        features = {key: view(rows) for key, view in seen.items()}
        return [features[id(view)] for view in self.inputs]
