"""From pixels of any size to the square that a model sees: one way for training, captioning and serving."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from capflow.data.pictures import Pixels

Fit = Literal["crop", "squash"]

# Of a strip that would become longer than so many pixels, only the middle is scaled before the cut.
_LONGEST = 32_768


def resize(pixels: Pixels, size: int, fit: Fit) -> Tensor:
    """Scale a picture to a square with an antialiased bilinear filter.

    Args:
        pixels: uint8 [height, width, 3].
        size: the side of the square, in pixels.
        fit: ``crop`` scales the shorter side to ``size`` and keeps the centre; ``squash`` ignores
            the picture's proportions.

    Returns:
        uint8 [size, size, 3], within 1 of what Pillow's ``resize(BILINEAR)`` gives; within 2 where noise of
        full contrast is enlarged.
    """
    pixels = _middle(pixels, size) if fit == "crop" else pixels
    height, width = pixels.shape[:2]
    target = (size, size)
    if fit == "crop":
        short = min(height, width)
        target = (max(size, height * size // short), max(size, width * size // short))
    # With the stride of a batch, by which PyTorch knows that channels come last and leaves them there.
    planes = torch.from_numpy(np.ascontiguousarray(pixels)).view(1, height, width, 3).permute(0, 3, 1, 2)
    if target != (height, width):
        planes = torch.nn.functional.interpolate(planes, target, mode="bilinear", antialias=True)
    top, left = (target[0] - size) // 2, (target[1] - size) // 2
    return planes[0, :, top : top + size, left : left + size].permute(1, 2, 0)


def _middle(pixels: Pixels, size: int) -> Pixels:
    """The middle of a picture that is a strip; any other as it is."""
    height, width = pixels.shape[:2]
    longest = _LONGEST * min(height, width) // size
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    return pixels[top : top + longest, left : left + longest]
