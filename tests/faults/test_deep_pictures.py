"""Samples of other than 8 bits, and the transparent one among them: the high byte, and white."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from capflow.data.headers import picture_fault
from capflow.data.pictures import decode
from capflow.errors import CapflowError
from tests.photographs import refused, saved


def test_row_26_sixteen_bits() -> None:
    deep = Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    found = decode(saved(deep, "PNG"), "x.jpg")
    assert np.array_equal(found[..., 0], np.arange(65536).reshape(256, 256) >> 8)
    for mode in ("I", "F"):
        assert refused(saved(Image.new(mode, (4, 4)), "TIFF"))


def png(depth: int, colours: int, row: bytes, width: int, transparent: bytes = b"") -> bytes:
    """A PNG of one row, as its samples are packed (W3C, Portable Network Graphics, 11.2 and 11.3.1)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colours, 0, 0, 0))
    named = chunk(b"tRNS", transparent) if transparent else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + named
        + chunk(b"IDAT", zlib.compress(b"\0" + row))
        + chunk(b"IEND", b"")
    )


GREY, COLOUR = 0, 2
BLACKISH = struct.pack(">H", 0x1234)


@pytest.mark.parametrize(
    ("content", "greys"),
    [
        (png(16, GREY, b"\x12\x34\x12\x35\xff\x00", 3, BLACKISH), [255, 0x12, 0xFF]),
        (png(16, COLOUR, BLACKISH * 3 + b"\x34\xff" * 3, 2), [0x12, 0x34]),
        (png(16, 4, BLACKISH + b"\xff\xff" + BLACKISH + b"\0\0", 2), [0x12, 255]),
        (png(16, 6, BLACKISH * 3 + b"\xff\xff" + BLACKISH * 3 + b"\0\0", 2), [0x12, 255]),
        (png(8, GREY, b"\x12\x34", 2, b"\0\x34"), [0x12, 255]),
        (png(4, GREY, b"\x2f", 2, b"\0\x02"), [255, 255]),
        (png(2, GREY, b"\x1b", 4, b"\0\x01"), [0, 255, 170, 255]),
        (png(1, GREY, b"\x40", 2, b"\0\0"), [255, 255]),
    ],
    ids=["grey 16", "colour 16", "grey 16 alpha", "colour 16 alpha", "grey 8", "grey 4", "grey 2", "grey 1"],
)
def test_row_26_high_bytes_and_the_transparent_one_is_white(content: bytes, greys: list[int]) -> None:
    assert decode(content, "x.png")[0].tolist() == [[grey] * 3 for grey in greys]


def test_row_26_a_transparent_colour_that_pillow_cannot_tell_is_refused() -> None:
    content = png(16, COLOUR, BLACKISH * 6, 2, BLACKISH * 3)
    assert picture_fault(content) is None
    with pytest.raises(CapflowError, match=r"one of its 16-bit colours is transparent"):
        decode(content, "x.png")
