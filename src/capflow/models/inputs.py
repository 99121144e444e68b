"""What the decoder sees of pictures, given their rows: stored features, or pixels through the encoder."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.models.captioner import Captioner
from capflow.models.crops import random_boxes, resized_parts
from capflow.params import AugmentParams

Rows = NDArray[np.int64]
_ALL = slice(None)


class Inputs(Protocol):
    """What is seen of pictures."""

    def __call__(self, rows: Rows, part: slice = _ALL, /) -> Tensor:
        """Rows, int64 [P], to features, float [P, cells, channels], on the model's device.

        Only those of ``part`` are made; what is random about a picture depends on its place among all.
        """
        ...


@dataclass(frozen=True)
class StoredFeatures:
    """Features of a frozen encoder, float16 [N, views, cells, channels].

    With ``generator``, which training has, each picture is seen in a random one of its views.
    """

    features: NDArray[np.float16]
    device: torch.device
    generator: torch.Generator | None = None

    def __call__(self, rows: Rows, part: slice = _ALL, /) -> Tensor:
        """See :class:`Inputs`."""
        views = _views(len(rows), self.features.shape[1], self.generator)[part].numpy()
        return torch.from_numpy(self.features[rows[part], views]).to(self.device).float()


@dataclass(frozen=True)
class ResidentFeatures:
    """The same, lying on the device as a whole, so that no step waits for the host's memory."""

    features: Tensor
    generator: torch.Generator | None = None

    def __call__(self, rows: Rows, part: slice = _ALL, /) -> Tensor:
        """See :class:`Inputs`."""
        device = self.features.device
        views = _views(len(rows), self.features.shape[1], self.generator)[part].to(device)
        return self.features[torch.from_numpy(rows[part]).to(device), views].float()


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

    def __call__(self, rows: Rows, part: slice = _ALL, /) -> Tensor:
        """See :class:`Inputs`."""
        return self.model.encode(torch.from_numpy(self.pixels[rows[part]]).to(self.device))


@dataclass(frozen=True)
class AugmentedPixels:
    """Pixels seen through the encoder at random crops, mirrored or not, as training has them."""

    pixels: NDArray[np.uint8]
    model: Captioner
    device: torch.device
    augment: AugmentParams
    generator: torch.Generator

    def __call__(self, rows: Rows, part: slice = _ALL, /) -> Tensor:
        """See :class:`Inputs`."""
        pixels = torch.from_numpy(self.pixels[rows[part]]).to(self.device)
        cropped = self._crop(pixels, len(rows), part)
        features: Tensor = self.model.encoder(self._flip(cropped, len(rows), part))
        return features

    def _crop(self, pixels: Tensor, count: int, part: slice) -> Tensor:
        side, size = self.augment.crop or pixels.shape[1], pixels.shape[1]
        if self.augment.area < 1:
            boxes = random_boxes(count, size, self.augment.area, self.generator)
            return resized_parts(pixels, boxes[part], side)
        if side == size:
            return pixels
        corners = torch.randint(size - side + 1, (2, count, 1), generator=self.generator)[:, part]
        down, across = (corners + torch.arange(side)).to(self.device)
        pictures = torch.arange(len(pixels), device=self.device)
        return pixels[pictures[:, None, None], down[:, :, None], across[:, None, :]]

    def _flip(self, pixels: Tensor, count: int, part: slice) -> Tensor:
        if not self.augment.flip:
            return pixels
        mirrored = (torch.rand(count, generator=self.generator) < 0.5)[part]
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
