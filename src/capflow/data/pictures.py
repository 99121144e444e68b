"""From the bytes of a picture to pixels: one policy for training, captioning and serving.

Every picture becomes 8-bit RGB, upright (the EXIF orientation is applied). The decoder is
libjpeg-turbo for ordinary JPEGs and Pillow for everything else.
"""

import io
import warnings
from typing import Literal

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from capflow.errors import CapflowError

Pixels = NDArray[np.uint8]
Fit = Literal["crop", "squash"]

# Four times the largest photograph in COCO is 1.6 megapixels; phones make 50 to 200.
_MAX_PIXELS = 256_000_000
_ORIENTATION = 0x0112


def decode(content: bytes, name: str) -> Pixels:
    """Decode a picture.

    Args:
        content: the file as it is: JPEG, PNG or whatever else Pillow reads.
        name: what to call the picture in an error.

    Returns:
        uint8 RGB, [height, width, 3].

    Raises:
        CapflowError: not a picture, damaged, or larger than 256 megapixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content))
        if picture.width * picture.height > _MAX_PIXELS:
            raise CapflowError(
                f"{name}: {picture.width}x{picture.height} pixels are too many; scale it down."
            )
        if _is_plain_jpeg(picture):
            pixels: Pixels = simplejpeg.decode_jpeg(content, "RGB")
            return pixels
        return np.array(ImageOps.exif_transpose(_to_rgb(picture)))  # PyTorch wants it writable
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        reason = "not a picture" if isinstance(error, UnidentifiedImageError) else str(error).splitlines()[0]
        raise CapflowError(f"{name}: cannot be read as a picture ({reason}); replace or remove it.") from None


def _is_plain_jpeg(picture: Image.Image) -> bool:
    upright = picture.getexif().get(_ORIENTATION, 1) == 1
    return picture.format == "JPEG" and picture.mode in {"RGB", "L"} and upright


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Convert to RGB; what is transparent becomes white, 16-bit greys keep their high byte."""
    if picture.mode.startswith("I;16"):
        high_byte = (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
        return Image.fromarray(high_byte).convert("RGB")
    if "transparency" in picture.info or picture.mode in {"RGBA", "LA", "PA"}:
        layered = picture.convert("RGBA")
        paper = Image.new("RGBA", layered.size, "white")
        flat = Image.alpha_composite(paper, layered).convert("RGB")
        flat.info["exif"] = picture.info.get("exif", b"")
        return flat
    return picture.convert("RGB")


def resize(pixels: Pixels, size: int, fit: Fit) -> Tensor:
    """Scale a picture to a square with an antialiased bilinear filter.

    Args:
        pixels: uint8 [height, width, 3].
        size: the side of the square, in pixels.
        fit: ``crop`` scales the shorter side to ``size`` and keeps the centre; ``squash`` ignores
            the picture's proportions.

    Returns:
        uint8 [size, size, 3], within 1 of what Pillow's ``resize(BILINEAR)`` gives.
    """
    height, width = pixels.shape[:2]
    target = (size, size)
    if fit == "crop":
        short = min(height, width)
        target = (max(size, height * size // short), max(size, width * size // short))
    planes = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    if target != (height, width):
        planes = torch.nn.functional.interpolate(planes, target, mode="bilinear", antialias=True)
    top, left = (target[0] - size) // 2, (target[1] - size) // 2
    return planes[0, :, top : top + size, left : left + size].permute(1, 2, 0)
