"""Random parts of pictures, resized."""

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import resized_crop

from capflow.params import EncoderParams

_AREA = 0.4
"""The smallest share of a picture that a stored crop shows."""


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


class StoredViews:
    """The views of training pictures that a frozen encoder sees: whole, mirrored, and random crops.

    Every second crop is mirrored, where mirror images are wanted. What a crop shows depends on the seed and
    on the picture's row alone.
    """

    def __init__(self, params: EncoderParams, rows: int, size: int, seed: int) -> None:
        """Draw the crops of ``rows`` pictures of ``size`` x ``size`` pixels."""
        self._mirrored, self._crops = params.mirrored, params.crops
        boxes = random_boxes(rows * params.crops, size, _AREA, torch.Generator().manual_seed(seed))
        self._boxes = boxes.view(rows, params.crops, 4)

    def __call__(self, pixels: Tensor, first: int) -> list[Tensor]:
        """Each view of the pictures uint8 [B, size, size, 3] whose rows begin with ``first``."""
        views = [pixels, pixels.flip(2)] if self._mirrored else [pixels]
        for number in range(self._crops):
            boxes = self._boxes[first : first + len(pixels), number]
            crops = resized_parts(pixels, boxes, pixels.shape[1])
            views.append(crops.flip(2) if self._mirrored and number % 2 else crops)
        return views
