"""Pictures: every kind decodes to what Pillow gives, or is clearly rejected."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from capflow.data.pictures import decode
from capflow.data.resize import Fit, resize
from capflow.errors import CapflowError
from tests.photographs import exif, gradient, saved


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True}),
        ("L", "JPEG", {}),
        ("CMYK", "JPEG", {}),
        ("RGB", "PNG", {}),
        ("P", "PNG", {}),
        ("1", "PNG", {}),
        ("RGB", "WEBP", {"lossless": True}),
        ("RGB", "GIF", {}),
    ],
)
def test_every_kind_is_what_pillow_gives(mode: str, kind: str, options: dict[str, Any]) -> None:
    content = saved(gradient(mode=mode), kind, **options)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    found = decode(content, "a")
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_transparent_becomes_white() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert (decode(saved(clear, "PNG"), "a") == 255).all()


def test_sixteen_bits_keep_their_high_byte() -> None:
    deep = Image.fromarray(np.full((4, 4), 0x80FF, np.uint16))
    assert (decode(saved(deep, "PNG"), "a") == 0x80).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_pictures_are_upright(orientation: int, kind: str) -> None:
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    upright = gradient()
    stored = upright
    if orientation in turned:
        undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
        stored = upright.transpose(Image.Transpose(undo))
    found = decode(saved(stored, kind, exif=exif(orientation)), "a").astype(int)
    assert found.shape == (40, 60, 3)
    assert np.abs(found - np.asarray(upright).astype(int)).mean() < 4


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"\n<!DOCTYPE HTML>\n<p>", "it is an HTML page"),
        (b"<?xml version='1.0'?><svg>", "it is an SVG drawing"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it stands for a file in Git LFS, and .*"),
        ("Riffs, \u00e4rger, as words".encode(), "it is text"),
        (b"a" * 511 + "\u00e4".encode(), "it is text"),
        (b"\0\0\0\x18ftypheic", "it is HEIC, AVIF or a film, none of which is read"),
        (b"%PDF-1.7\n\xff", "it is a PDF"),
        (b"\x7fELF\2\1", "it begins with the bytes 7f 45 4c 46, as no picture does"),
        (saved(gradient(), "JPEG")[:300], ".*"),
        (saved(gradient(), "JPEG")[:3], "its header is damaged"),
        (saved(gradient(), "PNG")[:20], "its header is damaged.*"),
        (saved(gradient(), "PNG")[:60], ".*"),
    ],
)
def test_what_is_not_a_picture_is_named(content: bytes, told: str) -> None:
    sentence = rf"^cat\.jpg: cannot be read as a picture \({told}\); replace or remove it\.$"
    with pytest.raises(CapflowError, match=sentence) as caught:
        decode(content, "cat.jpg")
    assert "\n" not in str(caught.value)


def test_a_giant_is_refused_from_its_header() -> None:
    content = bytearray(saved(gradient(), "PNG"))
    content[16:24] = (60000).to_bytes(4, "big") * 2
    with pytest.raises(CapflowError, match=r"cat\.jpg"):
        decode(bytes(content), "cat.jpg")


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 64), st.sampled_from(["crop", "squash"]))
@settings(max_examples=60, deadline=None)
def test_resize_is_within_one_of_pillow(width: int, height: int, size: int, fit: Fit) -> None:
    picture = gradient(width, height)
    found = resize(np.array(picture), size, fit).numpy()
    if fit == "squash":
        expected = picture.resize((size, size), Image.Resampling.BILINEAR)
    else:
        short = min(width, height)
        wide, high = max(size, width * size // short), max(size, height * size // short)
        left, top = (wide - size) // 2, (high - size) // 2
        whole = picture.resize((wide, high), Image.Resampling.BILINEAR)
        expected = whole.crop((left, top, left + size, top + size))
    assert found.shape == (size, size, 3)
    assert np.abs(found.astype(int) - np.asarray(expected).astype(int)).max() <= 1


def test_a_strip_is_not_enlarged_as_a_whole() -> None:
    strip = np.random.default_rng(0).integers(0, 256, (1, 30_000, 3), np.uint8)
    expected = resize(strip[:, 14_927:15_073], 224, "crop")
    torch.testing.assert_close(resize(strip, 224, "crop"), expected)
    torch.testing.assert_close(resize(strip.transpose(1, 0, 2), 224, "crop"), expected.transpose(0, 1))
