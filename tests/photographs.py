"""Pictures of every kind that coders find as much work in as in photographs, and whether one is refused."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from capflow.data.pictures import decode
from capflow.errors import CapflowError

ORIENTATION = 0x0112


def photograph(mode: str = "RGB", side: int = 160) -> Image.Image:
    """Noise whose spectrum falls as that of photographs does, so that a coder finds the same work in it."""
    noise = np.fft.rfft2(np.random.default_rng(3).normal(size=(side, side, 3)), axes=(0, 1))
    fall = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]).clip(1 / side)
    waves = np.fft.irfft2(noise / fall[..., None], axes=(0, 1))
    shades = (waves - waves.min()) / np.ptp(waves) * 255
    return Image.fromarray(shades.astype(np.uint8)).convert(mode)


def gradient(width: int = 60, height: int = 40, mode: str = "RGB") -> Image.Image:
    """Red grows to the right, green downwards."""
    rows, columns = np.mgrid[0:height, 0:width]
    red, green = columns * 255 // width, rows * 255 // height
    pixels = np.stack([red, green, (red + green) // 2], -1).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def jpeg(number: int) -> bytes:
    """A small JPEG that differs from number to number."""
    colour = (number * 37 % 256, number * 59 % 256, number * 83 % 256)
    return saved(Image.new("RGB", (24, 16), colour), "JPEG")


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[ORIENTATION] = orientation
    return data


def refused(content: bytes) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            decode(content, "x.jpg")
        except CapflowError as error:
            return str(error).startswith("x.jpg: cannot be read as a picture (")
    return False


def flipped(content: bytes, place: int) -> bytes:
    """The same with one bit flipped in the byte at ``place``."""
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


def flip(path: Path, place: int) -> None:
    """Flip a bit of a file, which stays the same file."""
    path.write_bytes(flipped(path.read_bytes(), place))


KINDS: dict[str, bytes] = {
    "baseline": saved(photograph(), "JPEG", quality=90),
    "progressive": saved(photograph(), "JPEG", quality=90, progressive=True),
    "grey": saved(photograph("L"), "JPEG"),
    "cmyk": saved(photograph("CMYK"), "JPEG"),
    "restarts": saved(photograph(), "JPEG", restart_marker_rows=1),
    "turned": saved(photograph(), "JPEG", exif=exif(6)),
    "png": saved(photograph(), "PNG"),
}  # fmt: skip
