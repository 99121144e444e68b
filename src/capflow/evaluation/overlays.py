"""Pictures clear where a model looked as it said each word, and elsewhere in fog.

After the figures of Show, Attend and Tell (Xu et al., ICML 2015), which are lit; fog can be told from dark
pictures and from bright ones. Clearest is the place with the most weight, and so a model that looks
everywhere alike leaves the picture as it is.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from capflow.data.pictures import Pixels
from capflow.evaluation.gallery import jpeg
from capflow.evaluation.page.sayings import Gazed

# In pixels, of a picture in the report.
_SIDE = 128
# Grey, and thin enough to see through: what stays of the picture, of 255, where the model does not look.
_FOG, _LEAST = (128, 128, 128), 40


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


def fogged(picture: Image.Image, weights: ArrayLike) -> Image.Image:
    """A picture in fog but where the ``weights`` of its places, [rows, columns] and not all 0, are high."""
    clear = np.asarray(weights, float)
    shares = (_LEAST + (255 - _LEAST) * clear / clear.max()).astype(np.uint8)
    mask = Image.fromarray(shares).resize(picture.size, Image.Resampling.BILINEAR)
    return Image.composite(picture, Image.new("RGB", picture.size, _FOG), mask)


def gazed(pixels: Pixels, view: View, words: Sequence[str], maps: Iterable[ArrayLike]) -> Gazed:
    """A picture and the places that a model looked at, as small JPEGs for the report.

    Args:
        pixels: uint8 RGB [height, width, 3].
        view: the part that the model sees; that alone is shown.
        words: the words of the caption.
        maps: for each word the weights of places, [rows, columns].
    """
    picture = view(pixels, _SIDE)
    told = [(word, jpeg(fogged(picture, weights))) for word, weights in zip(words, maps, strict=True)]
    return Gazed(" ".join(words), jpeg(picture), told)
