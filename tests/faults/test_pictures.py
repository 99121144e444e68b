"""Pictures: damaged ones are refused, odd ones look as Pillow shows them, giants cost nothing."""

import io
import random
import resource
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from capflow.data import precompute, tensors
from capflow.data.annotations import ImageRecord
from capflow.data.headers import picture_fault
from capflow.data.pictures import decode
from capflow.errors import CapflowError
from tests.faults.naming import works_or_names
from tests.photographs import KINDS, ORIENTATION, exif, flipped, photograph, refused, saved


@pytest.mark.parametrize("kind", KINDS)
def test_row_23_truncated_pictures_are_refused(kind: str) -> None:
    whole = KINDS[kind]
    assert not refused(whole)
    for length in range(0, len(whole) - 12, len(whole) // 40):
        assert refused(whole[:length]), length


@pytest.mark.parametrize(("kind", "least"), [("baseline", 0.2), ("progressive", 0.3), ("restarts", 0.25)])
def test_row_24_flips_within_the_scan(kind: str, least: float) -> None:
    whole = KINDS[kind]
    start = whole.index(b"\xff\xda") + 14
    draw = random.Random(5)
    strict = lenient = 0
    for _ in range(200):
        content = bytearray(whole)
        content[draw.randrange(start, len(whole) - 2)] ^= draw.randrange(1, 256)
        strict += refused(bytes(content))
        lenient += pillow_refuses(bytes(content))
    assert strict >= 200 * least
    assert lenient <= 200 * 0.1


def pillow_refuses(content: bytes) -> bool:
    try:
        Image.open(io.BytesIO(content)).load()
    except (OSError, SyntaxError):
        return True
    return False


def test_row_24_every_flip_of_a_png_is_found() -> None:
    whole = KINDS["png"]
    start = whole.index(b"IDAT") + 4
    for place in range(start, len(whole) - 16, len(whole) // 50):
        assert refused(flipped(whole, place)), place


@contextmanager
def memory(extra: int) -> Iterator[None]:
    """Let this process have ``extra`` bytes more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def giant(kind: str) -> bytes:
    content = bytearray(KINDS["png" if kind == "PNG" else "baseline"])
    if kind == "PNG":
        content[16:24] = struct.pack(">II", 60000, 60000)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    elif kind == "JPEG":
        place = content.index(b"\xff\xc0") + 5
        content[place : place + 4] = struct.pack(">HH", 60000, 60000)
    else:
        header = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 54, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0)
        content[:] = header
    return bytes(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_row_25_giants_are_refused_from_their_header(kind: str) -> None:
    with memory(64 * 2**20):
        assert picture_fault(giant(kind)) == "its header claims more than 178 megapixels"
        with pytest.raises(CapflowError, match=r"x\.jpg: .*more than 178 megapixels"):
            decode(giant(kind), "x.jpg")


def test_row_25_scans_without_end_are_refused() -> None:
    whole = KINDS["progressive"]
    last = whole.rindex(b"\xff\xda")
    assert picture_fault(whole[:-2] + whole[last:-2] * 1000 + whole[-2:]) == "a JPEG with more than 500 scans"


ODD: dict[str, bytes] = {
    "PNG named .jpg": saved(photograph(), "PNG"),
    "CMYK": saved(photograph("CMYK"), "JPEG"),
    "grey": saved(photograph("L"), "JPEG"),
    "grey PNG with alpha": saved(photograph("LA"), "PNG"),
    "palette": saved(photograph("P"), "PNG"),
    "palette with alpha": saved(photograph("P"), "PNG", transparency=bytes([0, 128, 255] * 85)),
    "one bit": saved(photograph("1"), "PNG"),
    "alpha": saved(photograph("RGBA"), "WEBP", lossless=True),
    "GIF": saved(photograph(), "GIF"),
    "BMP": saved(photograph(), "BMP"),
    "TIFF": saved(photograph("CMYK"), "TIFF"),
    "progressive": KINDS["progressive"],
}


def on_white(picture: Image.Image) -> Image.Image:
    """What Pillow gives of a picture that lies on white paper."""
    layered = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")


@pytest.mark.parametrize("name", ODD)
def test_row_26_odd_pictures_are_what_pillow_gives(name: str) -> None:
    picture = Image.open(io.BytesIO(ODD[name]))
    plain = on_white(picture) if "alpha" in name else picture.convert("RGB")
    found = decode(ODD[name], "x.jpg").astype(int)
    assert np.abs(found - np.asarray(plain)).max() <= (2 if "progressive" in name else 1)


def test_row_26_printers_colours_with_luma_are_what_pillow_gives() -> None:
    """YCCK as Adobe writes it: inverted CMYK, its first three colours as luma and chroma."""
    content = bytearray(saved(photograph("CMYK"), "JPEG"))
    mark = content.index(b"Adobe")
    content[mark + 11] = 2
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert np.array_equal(decode(bytes(content), "x.jpg"), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("I;16", "PNG"), ("LA", "PNG")]
)
def test_row_27_every_picture_is_upright(mode: str, kind: str, orientation: int) -> None:
    picture = photograph("RGB" if mode == "I;16" else mode).crop((0, 0, 60, 40))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) << 8)
    stored = Image.fromarray(decode(saved(picture, kind), "x.jpg"))
    stored.getexif()[ORIENTATION] = orientation
    turned = ImageOps.exif_transpose(stored)
    found = decode(saved(picture, kind, exif=exif(orientation)), "x.jpg")
    assert found.flags.writeable
    assert found.flags.c_contiguous
    assert np.array_equal(found, np.asarray(turned))


def test_row_27_training_and_captioning_see_the_same(tmp_path: Path) -> None:
    from capflow.cli.captioning import _read_pictures
    from capflow.data.resize import resize

    path = tmp_path / "turned.jpg"
    path.write_bytes(KINDS["turned"])
    readable, _ = _read_pictures([path])
    images: list[ImageRecord] = [{"id": 1, "file_name": "turned.jpg"}]
    precompute.write(tmp_path, "val", {"turned.jpg": path.read_bytes}, images, 64, "crop", quiet)
    seen = tensors.read(tmp_path, "val").pixels[0]
    assert np.array_equal(seen, resize(readable[0][1], 64, "crop").numpy())
    upright = ImageOps.exif_transpose(Image.open(path)).resize((64, 64), Image.Resampling.BILINEAR)
    assert np.abs(seen.astype(int) - np.asarray(upright)).mean() < 2


def quiet(items: Iterable[Any], total: int) -> Iterable[Any]:
    return items


HEADS = {kind: KINDS[kind] for kind in ("progressive", "cmyk", "turned", "png")} | {
    "webp": ODD["alpha"], "gif": ODD["GIF"], "tiff": ODD["TIFF"], "bmp": ODD["BMP"],
}  # fmt: skip
EDITS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 255), st.integers(0, 2)), min_size=1, max_size=4
)


@given(st.sampled_from(sorted(HEADS)), EDITS)
@settings(max_examples=400)
def test_any_header_is_decoded_or_named(kind: str, edits: list[tuple[int, int, int]]) -> None:
    content = bytearray(HEADS[kind])
    for place, value, cut in edits:
        content[place : place + cut] = bytes([value])
    with works_or_names("x.jpg: cannot be read as a picture ("):
        pixels = decode(bytes(content), "x.jpg")
        assert pixels.dtype == np.uint8
        assert pixels.shape[2:] == (3,)
        assert picture_fault(bytes(content)) is None
