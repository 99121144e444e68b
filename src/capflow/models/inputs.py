"""What the decoder sees of pictures, given their rows: stored features, or pixels through the encoder."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2.functional import resized_crop

from capflow.models.captioner import Captioner
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


def random_boxes(count: int, size: int, area: float, generator: torch.Generator) -> Tensor:
    """Random parts of pictures, of ``area`` to all of it, 3 : 4 to 4 : 3 in shape, anywhere inside.

    Szegedy et al.: Going Deeper with Convolutions (CVPR 2015), but that a side which would be longer than
    the picture's is cut.

    Returns:
        int64 [count, 4]: top, left, height and width in pixels, of pictures of ``size`` x ``size``.
    """
    share, shape, down, across = torch.rand(4, count, generator=generator)
    root, stretch = (area + (1 - area) * share).sqrt(), (4 / 3) ** (shape - 0.5)
    height, width = ((size * side).round().clamp(1, size) for side in (root / stretch, root * stretch))
    top, left = (down * (size - height + 1)).floor(), (across * (size - width + 1)).floor()
    return torch.stack([top, left, height, width], 1).long()


def resized_parts(pixels: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Parts of pictures, bilinearly resized.

    Args:
        pixels: uint8 [N, size, size, 3].
        boxes: int64 [N, 4], as :func:`random_boxes` gives.
        side: of the result, uint8 [N, side, side, 3].
    """
    planes = pixels.permute(0, 3, 1, 2)
    parts = [
        resized_crop(plane, *box, [side, side]) for plane, box in zip(planes, boxes.tolist(), strict=True)
    ]
    return torch.stack(parts).permute(0, 2, 3, 1)


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
