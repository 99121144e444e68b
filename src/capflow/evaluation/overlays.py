"""Pictures lit where a model looked as it said each word, as in the figures of Show, Attend and Tell.

Xu et al. (ICML 2015), figures 2 and 3. The brightest place is the one with the most weight, and so a
model that looks everywhere alike leaves the picture as bright as it is.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageChops

from capflow.data.pictures import Pixels
from capflow.evaluation.gallery import jpeg
from capflow.evaluation.grid import draw_grid
from capflow.evaluation.sayings import Gazed

_COLUMNS = 5
# In pixels: a side of a picture by itself, and of one in the report.
_SIDE, _SMALL = 320, 128
# What stays of the light, of 255, where the model does not look.
_DARK = 40


class View(NamedTuple):
    """The part of a picture that a model sees.

    ``fit`` is how it becomes a square, as in :func:`capflow.data.resize.resize`; of the square's sides a
    ``share`` in the centre is seen.
    """

    fit: str
    share: float

    def __call__(self, pixels: Pixels, side: int) -> Image.Image:
        """That part of uint8 RGB [height, width, 3], with ``side`` pixels a side."""
        height, width = pixels.shape[:2]
        seen = np.array([min(height, width)] * 2 if self.fit == "crop" else [width, height]) * self.share
        corner = (np.array([width, height]) - seen) / 2
        box = (*corner.tolist(), *(corner + seen).tolist())
        return Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS, box)


def lit(picture: Image.Image, weights: ArrayLike) -> Image.Image:
    """A picture darkened but where ``weights`` of its places, [rows, columns] and not all 0, are high."""
    light = np.asarray(weights, float)
    shades = (_DARK + (255 - _DARK) * light / light.max()).astype(np.uint8)
    mask = Image.fromarray(shades).resize(picture.size, Image.Resampling.BICUBIC)
    return ImageChops.multiply(picture, mask.convert("RGB"))


def draw_words(pixels: Pixels, view: View, words: Sequence[str], maps: Iterable[ArrayLike]) -> bytes:
    """Draw a picture with its caption, then once more for each word, lit where the model looked.

    Args:
        pixels: uint8 RGB [height, width, 3].
        view: the part that the model sees; that alone is drawn.
        words: the words of the caption.
        maps: for each word the weights of places, [rows, columns].

    Returns:
        A PNG, the same bytes for the same picture.
    """
    picture = view(pixels, _SIDE)
    cells = [(picture, " ".join(words) or "(no words)")]
    cells += [(lit(picture, weights), word) for word, weights in zip(words, maps, strict=True)]
    drawn = [(np.asarray(image), [text]) for image, text in cells]
    return draw_grid(drawn, min(_COLUMNS, len(drawn)))


def gazed(pixels: Pixels, view: View, words: Sequence[str], maps: Iterable[ArrayLike]) -> Gazed:
    """The same as small JPEGs for the report."""
    picture = view(pixels, _SMALL)
    told = [(word, jpeg(lit(picture, weights))) for word, weights in zip(words, maps, strict=True)]
    return Gazed(" ".join(words), jpeg(picture), told)
