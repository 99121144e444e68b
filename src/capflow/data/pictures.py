"""From the bytes of a picture to pixels: one policy for training, captioning and serving.

Every picture becomes 8-bit RGB, upright (the EXIF orientation is applied), what is transparent is
white, and greys of 16 bits keep their high byte. The decoder is libjpeg-turbo for JPEGs and Pillow for
everything else and for the colours of printers (CMYK).

What is damaged is refused, as far as it can be known without a digest. libjpeg-turbo is asked to take
its warnings for errors. That finds every truncated JPEG, and of the flips of a byte within the scan
about a quarter: those after which the code of the picture no longer comes out even. Half of the others
move the pixels by less than 0.01 of 255 on average. A ZIP's checksum finds them all, and so pictures
are kept in one.
"""

import warnings
from contextlib import suppress
from typing import Literal

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from capflow.data.headers import PictureError, is_jpeg, open_picture, told
from capflow.errors import CapflowError

Pixels = NDArray[np.uint8]
Fit = Literal["crop", "squash"]

_ORIENTATION = 0x0112
# How each orientation is undone: swap height and width first, then run backwards along these axes.
_TURNS: dict[int, tuple[bool, tuple[int, ...]]] = {
    1: (False, ()), 2: (False, (1,)), 3: (False, (0, 1)), 4: (False, (0,)),
    5: (True, ()), 6: (True, (1,)), 7: (True, (0, 1)), 8: (True, (0,)),
}  # fmt: skip


def decode(content: bytes, name: str) -> Pixels:
    """Decode a picture.

    Args:
        content: the file as it is: JPEG, PNG, WebP, GIF, BMP or TIFF.
        name: what to call the picture in an error.

    Returns:
        uint8 RGB, [height, width, 3].

    Raises:
        CapflowError: not a picture, damaged, or larger than 178 megapixels.
    """
    try:
        with open_picture(content) as picture:
            return _decode(picture, content)
    except PictureError as error:
        raise CapflowError(f"{name}: cannot be read as a picture ({error}); replace or remove it.") from None


def _decode(picture: Image.Image, content: bytes) -> Pixels:
    """The pixels of a picture whose header is sound.

    Pillow's readers raise whatever they stumble over, and warn of what is merely odd.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if is_jpeg(picture):
                return _upright(_jpeg_pixels(picture, content), picture)
            if picture.format == "PNG":
                open_picture(content).verify()  # its checksums, which decoding leaves out
            return _upright(np.array(_to_rgb(picture)), picture)
    except PictureError:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        raise PictureError(told(error)) from None


def _jpeg_pixels(picture: Image.Image, content: bytes) -> Pixels:
    height, width, *_ = simplejpeg.decode_jpeg_header(content)
    if (width, height) != picture.size:
        raise PictureError("its header contradicts itself")
    if picture.mode == "CMYK":
        simplejpeg.decode_jpeg(content, "CMYK")  # strict, as Pillow is not; but Pillow knows the colours
        return np.array(picture.convert("RGB"))
    pixels: Pixels = simplejpeg.decode_jpeg(content, "RGB")
    return pixels


def _upright(pixels: Pixels, picture: Image.Image) -> Pixels:
    """Turn a picture as its EXIF says; where that is damaged or says nothing, it is upright."""
    orientation = 1
    with suppress(Exception):
        orientation = picture.getexif().get(_ORIENTATION, 1)
    swapped, backwards = _TURNS.get(orientation, _TURNS[1])
    turned = np.flip(pixels.swapaxes(0, 1) if swapped else pixels, backwards)
    return np.ascontiguousarray(turned)  # PyTorch wants no negative strides


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Convert to RGB; what is transparent becomes white, 16-bit greys keep their high byte."""
    if picture.mode.startswith("I;16"):
        high_byte = (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
        return Image.fromarray(high_byte).convert("RGB")
    if picture.mode in {"I", "F"}:
        raise PictureError("its values have 32 bits")
    if "transparency" in picture.info or picture.mode in {"RGBA", "LA", "PA"}:
        layered = picture.convert("RGBA")
        paper = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(paper, layered).convert("RGB")
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
