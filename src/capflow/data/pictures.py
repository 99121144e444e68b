"""From the bytes of a picture to pixels: one policy for training, captioning and serving.

Every picture becomes 8-bit RGB, upright (the EXIF orientation is applied), what is transparent is
white, and values of 16 bits keep their high byte. The decoder is libjpeg-turbo for JPEGs and Pillow for
everything else and for the colours of printers (CMYK). Where a PNG names one of its greys or colours as
transparent (tRNS), that one alone is: of those with 16 bits a channel and colours Pillow keeps too
little to tell, and so they are refused.

What is damaged is refused, as far as it can be known without a digest. libjpeg-turbo is asked to take
its warnings for errors. That finds every truncated JPEG, and of the flips of a byte within the scan
about a quarter: those after which the code of the picture no longer comes out even. Half of the others
move the pixels by 0.01 of 255 or less on average. A ZIP's checksum finds them all, and so pictures
are kept in one.
"""

import warnings
from contextlib import suppress

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from capflow.data.headers import PictureError, is_jpeg, open_picture, told
from capflow.errors import CapflowError

Pixels = NDArray[np.uint8]

_ORIENTATION = 0x0112
# How each orientation is undone: swap height and width first, then run backwards along these axes.
_TURNS: dict[int, tuple[bool, tuple[int, ...]]] = {
    1: (False, ()), 2: (False, (1,)), 3: (False, (0, 1)), 4: (False, (0,)),
    5: (True, ()), 6: (True, (1,)), 7: (True, (0, 1)), 8: (True, (0,)),
}  # fmt: skip

# By how Pillow calls the packing of a PNG's greys: the step from one to the next, of 255.
_GREY_STEPS = {"L;2": 85, "L;4": 17}


def decode(content: bytes, name: str) -> Pixels:
    """Decode a picture.

    Args:
        content: the file as it is: JPEG, PNG, WebP, GIF, BMP or TIFF.
        name: what to call the picture in an error.

    Returns:
        uint8 RGB, [height, width, 3].

    Raises:
        CapflowError: no picture, damaged, or larger than 178 megapixels.
    """
    try:
        return _decode(content)
    except PictureError as error:
        raise CapflowError(f"{name}: cannot be read as a picture ({error}); replace or remove it.") from None


def damage(content: bytes) -> str | None:
    """Why a picture cannot be decoded, as :func:`decode` would do it; None when it can be."""
    try:
        _decode(content)
    except PictureError as error:
        return str(error)
    return None


def _decode(content: bytes) -> Pixels:
    """The pixels of a picture.

    Pillow's readers raise whatever they stumble over, and warn of what is merely odd.
    """
    try:
        with open_picture(content) as picture, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if is_jpeg(picture):
                return _upright(_jpeg_pixels(picture, content), picture)
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
    return turned.copy() if swapped or backwards else turned  # PyTorch wants no negative strides


def _to_rgb(picture: ImageFile) -> Image.Image:
    """Convert to RGB; what is transparent becomes white, 16-bit greys keep their high byte."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray(_high_byte(picture)).convert("RGB")
    if picture.mode in {"I", "F"}:
        raise PictureError("its values have 32 bits")
    _mend_transparent_colour(picture)
    if "transparency" in picture.info or picture.mode in {"RGBA", "LA", "PA"}:
        layered = picture.convert("RGBA")
        paper = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(paper, layered).convert("RGB")
    return picture.convert("RGB")


def _high_byte(picture: Image.Image) -> Pixels:
    """Greys of 16 bits as ones of 8, and the transparent one as white."""
    values = np.asarray(picture).astype(np.uint16)
    greys = (values >> 8).astype(np.uint8)
    greys[values == picture.info.get("transparency", -1)] = 255
    return greys


def _mend_transparent_colour(picture: ImageFile) -> None:
    """Scale a PNG's transparent grey of 2 or 4 bits as Pillow scales the greys themselves.

    Pillow (13.0) compares the two as they are, and 16-bit colours with ones of 8 bits.

    Raises:
        PictureError: the transparent colour has 16 bits a channel.
    """
    if picture.format != "PNG" or "transparency" not in picture.info:
        return
    packing = picture.tile[0].args
    if packing == "RGB;16B":
        raise PictureError("one of its 16-bit colours is transparent")
    if packing in _GREY_STEPS:
        picture.info["transparency"] *= _GREY_STEPS[packing]
