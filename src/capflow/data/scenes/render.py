"""From a scene to pixels: a background, the objects with smooth edges, noise."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from capflow.data.scenes.layout import Item
from capflow.data.scenes.world import Colour, Group, Scene, Shape, pick

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]
Background = Callable[[np.random.Generator, int], Plane]

JPEG_QUALITY = 92
# The oversampling smooths edges. Shades and noise are half-widths, in steps of 256.
_OVERSAMPLING = 4
_SHADES = 12.0
_NOISE = (4.0, 12.0)
# Far apart in hue, and each far from the greys of the backgrounds.
_RGB: dict[Colour, tuple[int, int, int]] = {
    "red": (212, 30, 40),
    "yellow": (250, 226, 50),
    "green": (40, 160, 60),
    "blue": (36, 92, 222),
    "purple": (146, 54, 186),
}


def render_jpeg(scene: Scene, side: int) -> bytes:
    """A scene as a JPEG file of ``side`` x ``side`` pixels; full resolution of colour, for small objects."""
    jpeg: bytes = simplejpeg.encode_jpeg(
        render(scene, side), quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="444"
    )
    return jpeg


def render(scene: Scene, side: int) -> Pixels:
    """A scene as uint8 [side, side, 3], the same bytes each time."""
    rng = np.random.default_rng(scene.seed)
    canvas = Image.fromarray(_to_pixels(_background(rng, side)))
    for group in scene.groups:
        shade = np.array(_RGB[group.colour]) + rng.uniform(-_SHADES, _SHADES, 3)
        red, green, blue = shade.clip(0, 255).astype(int).tolist()
        canvas.paste((red, green, blue), mask=_mask(group, side))
    # Uniform noise: normal noise would cost a third of the whole picture's time.
    noise = rng.integers(-128, 128, (side, side, 3), np.int8) * np.float32(rng.uniform(*_NOISE) / 128)
    return _to_pixels(np.asarray(canvas, np.float32) + noise)


@cache
def outline(shape: Shape) -> NDArray[np.float64]:
    """The corners [corners, 2] of a shape with the origin inside, x to the right and y down."""
    match shape:
        case "circle":
            return _regular(48)
        case "square":
            return _regular(4, start=0.25 * math.pi)
        case "triangle":
            return _regular(3, start=-0.5 * math.pi)


def _regular(corners: int, start: float = 0.0) -> NDArray[np.float64]:
    angles = start + np.arange(corners) * 2 * math.pi / corners
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _corners(shape: Shape, item: Item) -> NDArray[np.float64]:
    """The corners of an object, scaled to fill its box, in shares of the side."""
    corners = outline(shape)
    low, high = corners.min(0), corners.max(0)
    scale = item.extent / (high - low).max()
    placed: NDArray[np.float64] = (corners - (low + high) / 2) * scale + np.array((item.x, item.y))
    return placed


def _mask(group: Group, side: int) -> Image.Image:
    large = Image.new("L", (side * _OVERSAMPLING,) * 2)
    draw = ImageDraw.Draw(large)
    for item in group.items:
        draw.polygon((_corners(group.shape, item) * large.width).flatten().tolist(), fill=255)
    return large.reduce(_OVERSAMPLING)


def _background(rng: np.random.Generator, side: int) -> Plane:
    """Two shades of one greyish tone, light or dark, mixed by a pattern: float [side, side, 3]."""
    low, high = pick(rng, ((165, 235), (30, 70)))
    tone = (rng.uniform(low, high) + rng.uniform(-8, 8, 3)).astype(np.float32)
    contrast = np.float32(rng.uniform(8, 20) * pick(rng, (-1, 1)))
    return tone + contrast * pick(rng, _PATTERNS)(rng, side)[..., None]


def _plain(_: np.random.Generator, side: int) -> Plane:
    return np.zeros((side, side), np.float32)


def _gradient(rng: np.random.Generator, side: int) -> Plane:
    ramp = _ramp(rng, side)
    mix: Plane = (ramp - ramp.min()) / (ramp.max() - ramp.min())
    return mix


def _stripes(rng: np.random.Generator, side: int) -> Plane:
    waves: Plane = np.sin(_ramp(rng, side) * np.float32(rng.uniform(20, 60)))
    return (waves > 0).astype(np.float32)


def _checks(rng: np.random.Generator, side: int) -> Plane:
    cells = np.arange(side, dtype=np.float32) * np.float32(rng.uniform(4, 10) / side) // 1
    return (cells[:, None] + cells[None, :]) % 2


def _clouds(rng: np.random.Generator, side: int) -> Plane:
    coarse = Image.fromarray(rng.random((5, 5), dtype=np.float32))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)).clip(0, 1)


_PATTERNS: tuple[Background, ...] = (_plain, _gradient, _stripes, _checks, _clouds)


def _ramp(rng: np.random.Generator, side: int) -> Plane:
    """The distance along a random direction, in sides."""
    angle, places = rng.uniform(0, 2 * math.pi), np.arange(side, dtype=np.float32) / side
    ramp = places[None, :] * math.cos(angle) + places[:, None] * math.sin(angle)
    return ramp.astype(np.float32)


def _to_pixels(values: Plane) -> Pixels:
    return values.round().clip(0, 255).astype(np.uint8)
