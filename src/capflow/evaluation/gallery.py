"""Which pictures a report shows, and what it says of each."""

import io
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from PIL import Image

from capflow.data.pictures import decode

Choice = Literal["best", "worst", "random", "unscored"]

_SIDE = 256
_QUALITY = 80
_TILE, _TILE_QUALITY = 160, 70


@dataclass(frozen=True)
class Example:
    """One picture of the gallery.

    Attributes:
        image_id: its id in the annotations.
        file_name: its name in the data set.
        thumbnail: a small picture, or None when the picture is missing or cannot be read.
        caption: the generated caption.
        references: what people wrote; none for a picture without captions.
        scores: this picture's own scores, as fractions, by pycocoevalcap's names.
        true: whether all that the caption says is so; None where nobody can tell.
    """

    image_id: int
    file_name: str
    thumbnail: bytes | None
    caption: str
    references: Sequence[str] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    true: bool | None = None


def thumbnail(content: bytes, name: str) -> bytes:
    """Make a small JPEG of a picture: upright, at most 256 pixels a side, never enlarged.

    Args:
        content: the picture's file as it is.
        name: what to call the picture in an error.

    Raises:
        CapflowError: the picture cannot be read.
    """
    picture = Image.fromarray(decode(content, name))
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return jpeg(picture)


def tile(content: bytes, name: str) -> bytes:
    """A picture as a smaller WebP, of which thousands make a page: some 3.6 kB of a photograph.

    Args and errors are those of :func:`thumbnail`.
    """
    picture = Image.fromarray(decode(content, name))
    picture.thumbnail((_TILE, _TILE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    # A fast method: others take several times as long to save a tenth.
    picture.save(stream, "WEBP", quality=_TILE_QUALITY, method=2)
    return stream.getvalue()


def jpeg(picture: Image.Image) -> bytes:
    """A picture as a JPEG."""
    stream = io.BytesIO()
    # Full colour resolution: halving it smears the edges of small drawings.
    picture.save(stream, "JPEG", quality=_QUALITY, subsampling="4:4:4")
    return stream.getvalue()


def choose_examples(per_image: Mapping[int, float], each: int, seed: int) -> dict[Choice, list[int]]:
    """Choose the pictures to show by their scores.

    Args:
        per_image: the score of each picture (CIDEr, say) by image id.
        each: how many pictures of each kind, at most.
        seed: decides on the random ones.

    Returns:
        Image ids: the ``best``, highest score first; the ``worst``, lowest first; and ``random`` ones out of
        all. No picture is both best and worst, and among equal scores the lower id comes first.
    """
    best = sorted(per_image, key=lambda image: (-per_image[image], image))[:each]
    rest = per_image.keys() - set(best)
    worst = sorted(rest, key=lambda image: (per_image[image], image))[:each]
    return {"best": best, "worst": worst, "random": sample(per_image, each, seed)}


def sample(image_ids: Collection[int], count: int, seed: int) -> list[int]:
    """Draw at most ``count`` ids without replacement, whatever order they come in."""
    return random.Random(seed).sample(sorted(image_ids), min(count, len(image_ids)))
